"""Arithmetic on published terms: what the leases come to, each on its stated basis. Divisions, not findings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import draw
from ampacity.supply.implied_price import (
    contract_power_w,
    implied_prices,
    usd_per_accelerator_hour,
    usd_per_mw_year,
)
from ampacity.supply.ledger import accounts

SCENARIOS = Path(__file__).parent / "scenarios"


def deal(name: str) -> Scenario:
    return draw(load(SCENARIOS / f"{name}.yaml"), 1, 0)


@pytest.mark.parametrize(
    ("fee", "accelerators", "usd"), [(1.25e9, 325_000, 5.27), (1.25e9, 220_000, 7.78), (920e6, 110_000, 11.46)]
)
def test_a_monthly_fee_per_accelerator_hour(fee: float, accelerators: float, usd: float) -> None:
    assert usd_per_accelerator_hour(fee, accelerators) == pytest.approx(usd, abs=0.005)


def test_the_lease_costs_24_7_million_per_megawatt_year_all_in() -> None:
    assert usd_per_mw_year(1.25e9, 200_000 * 1730.0 + 125_000 * 2100.0) == pytest.approx(24.7e6, rel=2e-3)


def test_the_template_prints_the_price_with_every_scope_it_may_have() -> None:
    s = deal("anthropic-spacex")
    found = {p.accelerators: p.usd_per_accelerator_hour for p in implied_prices(s, s.contract("lease"))}
    assert found[325_000] == pytest.approx(5.27, abs=0.005)
    assert found[220_000] == pytest.approx(7.78, abs=0.005)
    power_w = contract_power_w(s, s.contract("lease"))
    assert power_w == pytest.approx(608.5e6)


def test_googles_template_comes_to_11_46() -> None:
    s = deal("google-spacex")
    (price,) = implied_prices(s, s.contract("bridge"))
    assert price.usd_per_accelerator_hour == pytest.approx(11.46, abs=0.005)


def test_thirty_five_full_months_of_the_lease_are_43_75_billion() -> None:
    (account,) = accounts(deal("anthropic-spacex"))
    full = [usd for usd in account.by_month().values() if usd == pytest.approx(1.25e9)]
    assert len(full) == 35
    assert sum(full) == pytest.approx(43.75e9)


def test_before_the_filing_the_lease_was_thought_to_be_smaller_and_to_cost_less() -> None:
    s = load(SCENARIOS / "anthropic-spacex.yaml", as_of=date(2026, 5, 6))
    fee = s.contract("lease").fee
    assert fee is not None and fee.monthly_usd is not None
    assert (fee.monthly_usd.low, fee.monthly_usd.high) == (0.25e9, 0.5e9)
    assert sum(d.quantity.value for d in s.contract("lease").deliveries) == 220_000


def test_googles_shortfall_cuts_quantity_and_fee_pro_rata_for_good() -> None:
    (account,) = accounts(deal("google-spacex"))
    by_month = {f"{month:%Y-%m}": usd for month, usd in account.by_month().items()}
    assert by_month["2026-09"] == pytest.approx(460e6)
    assert [by_month["2026-11"], by_month["2028-02"]] == pytest.approx([920e6 * 70 / 110] * 2)


def test_metas_second_tranche_is_discounted_from_the_cure_until_it_is_complete() -> None:
    s = deal("meta-nebius")
    account = next(a for a in accounts(s) if a.contract.name == "tranche-2")
    off = {f"{row.month:%Y-%m}": row.usd for row in account.rows() if row.item == "late-discount"}
    # half of it is there; the cure ends on 30 March, the rest sixty days of 24 h after 20 February, on 21 April at one
    assert off == {
        "2026-03": pytest.approx(-24.17e6 * 0.5 * 0.25 * 2 / 31),
        "2026-04": pytest.approx(-24.17e6 * 0.5 * 0.25 * (20 + 1 / 24) / 30),
    }
