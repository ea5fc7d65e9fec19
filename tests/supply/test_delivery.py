"""What contracts deliver: ramps, ends, outages, delays and reclaims, hour by hour, and the hours themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from ampacity.base.calendar import utc_s
from ampacity.scenario.pool import pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.delivery import Quantity, between, hours_of, quantity
from ampacity.supply.ramp import fee_share

Ours = Callable[..., Scenario]
RAMP = [{"date": "2026-11-25", "quantity": 2}, {"date": "2026-12-01", "quantity": 8}]


def delivered(s: Scenario) -> Quantity:
    return quantity(s, pools(s)[0], hours_of(s))


def by_day(hours: np.ndarray) -> list[float]:
    assert len(hours) % 24 == 0
    days = hours.reshape(-1, 24)
    assert np.all(days == days[:, :1])  # whole days, from midnight to midnight where the site is
    return days[:, 0].tolist()


def with_ramp(steps: list[dict[str, object]]) -> dict[str, object]:
    return {"contracts.server.deliveries.0.ramp": steps}


def with_event(**what: object) -> dict[str, object]:
    return {"events": {"it": what}}


def test_without_a_ramp_everything_is_there_from_the_first_day(ours: Ours) -> None:
    found = delivered(ours())
    assert by_day(found.delivered) == by_day(found.contracted) == [8.0] * 28


def test_a_ramp_delivers_step_by_step_and_the_contract_is_for_all_of_it(ours: Ours) -> None:
    found = delivered(ours(with_ramp(RAMP)))
    assert by_day(found.delivered) == [0.0] * 2 + [2.0] * 6 + [8.0] * 20
    assert by_day(found.contracted) == [8.0] * 28


def test_a_contract_ends_before_the_day_of_its_end(ours: Ours) -> None:
    found = delivered(ours({"contracts.server.end": "2026-12-03"}))
    assert by_day(found.delivered) == by_day(found.contracted) == [8.0] * 10 + [0.0] * 18


def test_two_deliveries_of_one_pool_add_up(ours: Ours) -> None:
    eight = {"site": "here", "accelerator": "h100-sxm", "quantity": 8}
    later = {**eight, "quantity": 4, "ramp": [{"date": "2026-12-01", "quantity": 4}]}
    found = delivered(ours({"contracts.server.deliveries": [eight, later]}))
    assert by_day(found.delivered) == [8.0] * 8 + [12.0] * 20


def test_an_outage_takes_a_share_of_its_site_for_its_time(ours: Ours) -> None:
    s = ours(with_event(kind="outage", site="here", date="2026-11-30", share="25 %", duration="3 d"))
    found = delivered(s)
    assert by_day(found.delivered) == [8.0] * 7 + [6.0] * 3 + [8.0] * 18
    assert by_day(found.contracted) == [8.0] * 28


def test_a_reclaim_without_a_share_or_an_end_takes_everything_for_good(ours: Ours) -> None:
    found = delivered(ours(with_event(kind="reclaim", contract="server", date="2026-12-07")))
    assert by_day(found.delivered) == [8.0] * 14 + [0.0] * 14


def test_a_reclaim_and_an_outage_take_their_shares_one_after_the_other(ours: Ours) -> None:
    reclaim = {"kind": "reclaim", "contract": "server", "date": "2026-12-07", "share": 0.5}
    outage = {"kind": "outage", "site": "here", "date": "2026-12-14", "share": 0.5}
    found = delivered(ours({"events": {"a": reclaim, "b": outage}}))
    assert by_day(found.delivered) == [8.0] * 14 + [4.0] * 7 + [2.0] * 7


def test_a_delay_moves_the_ramp(ours: Ours) -> None:
    late = with_event(kind="delay", contract="server", date="2026-11-23", duration="4 d")
    found = delivered(ours({**with_ramp(RAMP), **late}))
    assert by_day(found.delivered) == [0.0] * 6 + [2.0] * 6 + [8.0] * 16


def test_a_delay_does_not_take_back_what_was_there_before_it(ours: Ours) -> None:
    late = with_event(kind="delay", contract="server", date="2026-11-28", duration="4 d")
    found = delivered(ours({**with_ramp(RAMP), **late}))
    assert by_day(found.delivered) == [0.0] * 2 + [2.0] * 10 + [8.0] * 16


def test_what_is_leased_out_is_not_ours_to_use(ours: Ours) -> None:
    out = {
        "side": "lessor",
        "start": "2026-11-23",
        "deliveries": [{"site": "here", "accelerator": "h100-sxm", "quantity": 99}],
    }
    assert [p.name for p in pools(ours({"contracts.out": out}))] == ["server/here/h100-sxm"]


@pytest.mark.parametrize(("start", "hours"), [("2026-03-02", 167), ("2026-10-26", 169), ("2026-11-23", 168)])
def test_a_week_in_which_the_clocks_change_has_167_or_169_hours(ours: Ours, start: str, hours: int) -> None:
    found = hours_of(ours({"start": start, "horizon": "1 week", "contracts.server.start": start}))
    assert found.count == hours
    assert np.all(np.diff(found.begins_s) == 3600)


def test_days_are_whole_days_of_the_site_across_a_change_of_the_clocks(ours: Ours) -> None:
    spring = {"start": "2026-03-02", "horizon": "2 weeks", "contracts.server.start": "2026-03-02"}
    s = ours({**spring, **with_ramp([{"date": "2026-03-09", "quantity": 8}])})  # the clocks go forward on the 8th
    assert delivered(s).delivered.tolist() == [0.0] * 167 + [8.0] * 168


def test_between_is_open_where_no_day_is_said(ours: Ours) -> None:
    hours = hours_of(ours())
    assert between(hours, "UTC", None, None).sum() == 28 * 24
    assert between(hours, "America/Chicago", date(2026, 11, 24), date(2026, 11, 26)).sum() == 48
    assert between(hours, "America/Chicago", date(2027, 1, 1), None).sum() == 0


def test_the_fee_follows_the_step_of_the_ramp_in_force(ours: Ours) -> None:
    steps = [
        {"date": "2026-11-25", "quantity": 2, "fee_share": "25 %"},
        {"date": "2026-12-01", "quantity": 8, "fee_share": "100 %"},
    ]
    s = ours(with_ramp(steps))
    days = (date(2026, 11, 24), date(2026, 11, 25), date(2026, 11, 30), date(2026, 12, 1))
    at_s = np.array([utc_s(day, "America/Chicago") for day in days])
    assert fee_share(s, s.contract("server"), at_s).tolist() == [0.0, 0.25, 0.25, 1.0]
