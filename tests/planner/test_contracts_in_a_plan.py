"""What contracts do to a plan: its fees, its notes, its data."""

from __future__ import annotations

import pytest

from ampacity.planner.plan import plan
from ampacity.reporting.result import result
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.scenario import Scenario


def laptop(changes: dict[str, object]) -> Scenario:
    return load("laptop", sets=["worlds=1"]).replace(changes)


def test_a_clause_that_has_an_effect_is_not_noted_and_a_right_that_nobody_uses_is() -> None:
    clauses = {
        "contracts.server.take_or_pay": 0.5,
        "contracts.server.reclaim": [{"trigger": "a breach", "notice": "7 d"}],
        "contracts.server.options": [{"kind": "expand", "quantity": 8}],
    }
    (note,) = plan(laptop(clauses)).notes
    assert "reclaim (no event uses it), the right to expand (no event uses it)" in note
    assert "take_or_pay" not in note
    used = {"events": {"r": {"kind": "reclaim", "contract": "server", "date": "2026-12-10"}}}
    assert "reclaim" not in plan(laptop({**clauses, **used})).notes[0]


def test_take_or_pay_bills_what_the_plan_uses_and_never_less_than_the_floor() -> None:
    full = plan(laptop({})).central
    busy = full.bookings[0].totals["busy"] / full.bookings[0].totals["delivered"]
    for floor in (0.0, 0.9):
        paid = plan(laptop({"contracts.server.take_or_pay": floor})).central.fees_usd
        assert paid == pytest.approx(full.fees_usd * max(floor, busy), rel=1e-3)


def test_what_is_promised_to_others_beyond_the_fleet_is_noted() -> None:
    delivery = {"site": "here", "accelerator": "h100-sxm", "quantity": 20}
    out = {"side": "lessor", "start": "2026-11-23", "deliveries": [delivery], "fee": {"per_accelerator": "3 USD/h"}}
    p = plan(laptop({"contracts.out": out}))
    assert p.notes == ("out/here/h100-sxm: up to 12 accelerators are promised beyond what is there",)
    assert p.central.earned_usd == pytest.approx(8 * 3 * 28 * 24)


def test_the_data_of_a_plan_has_its_contracts_and_their_concentration() -> None:
    found = result(plan(laptop({})))
    assert found["contracts"]["server"]["due_usd"] == pytest.approx(found["cost_usd_per_day"]["fees"] * 28)
    assert found["concentration"]["supplier"]["hhi"] == 1.0


def test_a_contract_is_terminated_as_a_whole() -> None:
    event = {"kind": "termination", "contract": "server", "party": "lessee", "date": "2026-12-10", "share": 0.5}
    with pytest.raises(Mistakes, match="terminated as a whole"):
        laptop({"contracts.server.termination": [{"party": "lessee", "notice": "1 d"}], "events": {"t": event}})
