"""The bill: by the hour, by the month, by an index."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.scenario.scenario import Scenario
from ampacity.supply.billing import price_usd_per_s
from ampacity.supply.delivery import hours_of
from ampacity.supply.ledger import accounts, paid_and_earned_usd

Ours = Callable[..., Scenario]


def bill(s: Scenario) -> float:
    hours = hours_of(s)
    paid, _ = paid_and_earned_usd(accounts(s, hours), hours)
    return paid


def fee(**form: object) -> dict[str, object]:
    return {"contracts.server.fee": form}


def test_an_hourly_price_counts_every_delivered_accelerator_hour(ours: Ours) -> None:
    assert bill(ours(fee(per_accelerator="2.35 USD/h"))) == pytest.approx(2.35 * 8 * 28 * 24)


def test_what_a_reclaim_takes_is_not_billed_by_the_hour(ours: Ours) -> None:
    reclaim = {"events": {"r": {"kind": "reclaim", "contract": "server", "date": "2026-12-07", "share": 0.25}}}
    assert bill(ours({**fee(per_accelerator="2 USD/h"), **reclaim})) == pytest.approx(2 * 24 * (8 * 14 + 6 * 14))


def test_a_monthly_fee_is_shared_out_by_the_days_of_each_month(ours: Ours) -> None:
    # 23 to 30 November: 8 days of 30; 1 to 20 December: 20 days of 31
    assert bill(ours(fee(monthly="9300 USD/month"))) == pytest.approx(9300 * (8 / 30 + 20 / 31))


@pytest.mark.parametrize("start", ["2026-02-01", "2026-03-01", "2026-11-01"])
def test_a_whole_month_costs_the_monthly_fee_however_long_it_is(ours: Ours, start: str) -> None:
    month = {"start": start, "horizon": "1 month", "contracts.server.start": start}
    assert bill(ours({**month, **fee(monthly="1000 USD/month")})) == pytest.approx(1000.0)


def test_a_monthly_fee_ends_with_its_contract(ours: Ours) -> None:
    changes = {**fee(monthly="3000 USD/month"), "contracts.server.end": "2026-11-26"}
    assert bill(ours(changes)) == pytest.approx(3000 * 3 / 30)


def test_a_monthly_fee_follows_the_ramp(ours: Ours) -> None:
    ramp = [
        {"date": "2026-11-25", "quantity": 2, "fee_share": "25 %"},
        {"date": "2026-12-01", "quantity": 8, "fee_share": "100 %"},
    ]
    changes = {**fee(monthly="3100 USD/month"), "contracts.server.deliveries.0.ramp": ramp}
    assert bill(ours(changes)) == pytest.approx(3100 * (0.25 * 6 / 30 + 20 / 31))


def test_a_monthly_fee_is_due_once_for_a_contract_of_two_pools(ours: Ours) -> None:
    two = [{"site": "here", "accelerator": chip, "quantity": 8} for chip in ("h100-sxm", "b200-sxm")]
    changes = {**fee(monthly="9300 USD/month"), "contracts.server.deliveries": two}
    assert bill(ours(changes)) == pytest.approx(9300 * (8 / 30 + 20 / 31))


def test_an_index_fee_is_the_index_of_the_chip_and_its_spread(ours: Ours) -> None:
    s = ours(fee(index="rental_1yr", spread="0.15 USD/h"))
    price = price_usd_per_s(s.contract("server"), s.accelerator("h100-sxm"))
    assert price == pytest.approx((2.35 + 0.15) / 3600)
    assert bill(s) == pytest.approx(2.5 * 8 * 28 * 24)


def test_an_index_that_is_not_known_has_no_price(ours: Ours) -> None:
    s = ours(fee(index="rental_1yr"))
    chip = s.accelerator("h100-sxm").model_copy(update={"rental_1yr_usd_per_s": None})
    assert price_usd_per_s(s.contract("server"), chip) is None


def test_what_one_owns_has_no_fee(ours: Ours) -> None:
    assert bill(ours({"contracts.server.fee": None, "contracts.server.side": "owner"})) == 0.0


def test_an_hour_repeated_by_the_clocks_is_paid_and_an_hour_skipped_is_not(ours: Ours) -> None:
    for start, hours in (("2026-03-02", 167), ("2026-10-26", 169)):
        week = {"start": start, "horizon": "1 week", "contracts.server.start": start}
        assert bill(ours({**week, **fee(per_accelerator="1 USD/h")})) == pytest.approx(8 * hours)
