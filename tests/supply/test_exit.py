"""Leaving: reclaim with the contract's notice and with none, termination, options; exposure, N-1, leasing out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.pool import pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of, quantity
from ampacity.supply.exit import earliest_exit
from ampacity.supply.exposure import exposure
from ampacity.supply.ledger import accounts
from ampacity.supply.options import exercised, rights
from ampacity.supply.supplier_loss import largest_suppliers, without

Ours = Callable[..., Scenario]
CLAUSE = {"contracts.server.reclaim": [{"trigger": "a breach", "cure": "3 d", "notice": "7 d"}]}
SLOW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def event(**what: object) -> dict[str, object]:
    return {"events": {"it": {"contract": "server", **what}}}


def by_day(s: Scenario) -> list[float]:
    s = exercised(s)
    total = sum(quantity(s, pool, hours_of(s)).delivered for pool in pools(s))
    return np.asarray(total).reshape(-1, 24)[:, 0].tolist()


@pytest.mark.parametrize(
    ("clause", "notice", "days"),
    [(True, {}, 17), (True, {"notice": 0}, 7), (True, {"notice": "2 d"}, 9), (False, {}, 7)],
)
def test_reclaimed_capacity_goes_after_cure_and_notice_or_the_events_own(
    ours: Ours, clause: bool, notice: dict[str, object], days: int
) -> None:
    reclaim = event(kind="reclaim", date="2026-11-30", **notice)
    assert by_day(ours({**(CLAUSE if clause else {}), **reclaim})) == [8.0] * days + [0.0] * (28 - days)


@SLOW
@given(st.integers(0, 27 * 24), st.integers(0, 27 * 24), st.integers(0, 20), st.floats(0, 1))
def test_a_later_notice_never_lowers_what_is_delivered(ours: Ours, one: int, two: int, day: int, share: float) -> None:
    said = f"{date.fromordinal(date(2026, 11, 23).toordinal() + day)}"
    found = []
    for hours in sorted((one, two)):
        s = ours(event(kind="reclaim", date=said, share=share, notice=f"{hours} h"))
        found.append(quantity(s, pools(s)[0], hours_of(s)).delivered)
    assert np.all(found[0] <= found[1])
    assert np.all(found[0] >= 0)


@SLOW
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["reclaim", "outage", "delay"]),
                "date": st.dates(date(2026, 11, 23), date(2026, 12, 20)).map(str),
                "share": st.floats(0, 1),
                "duration": st.integers(0, 900).map(lambda h: f"{h} h"),
            }
        ),
        max_size=5,
    )
)
def test_what_is_delivered_is_never_negative_and_never_more_than_contracted(
    ours: Ours, found: list[dict[str, object]]
) -> None:
    subject = {"outage": {"site": "here"}}
    events = {f"e{i}": {**e, **subject.get(str(e["kind"]), {"contract": "server"})} for i, e in enumerate(found)}
    steps = [{"date": "2026-11-25", "quantity": 2}, {"date": "2026-12-01", "quantity": 8}]
    s = ours({"contracts.server.deliveries.0.ramp": steps, "events": events})
    q = quantity(s, pools(s)[0], hours_of(s))
    assert np.all(q.delivered >= 0)
    assert np.all(q.delivered <= q.contracted + 1e-9)


LEAVE = {"contracts.server.termination": [{"party": "lessee", "notice": "5 d", "earliest": "2026-12-01"}]}


@pytest.mark.parametrize(("said", "days"), [("2026-11-25", 13), ("2026-12-03", 15)])
def test_a_notice_counts_from_the_clauses_earliest_day(ours: Ours, said: str, days: int) -> None:
    s = ours({**LEAVE, **event(kind="termination", party="lessee", date=said)})
    assert by_day(s) == [8.0] * days + [0.0] * (28 - days)


def test_who_has_no_clause_cannot_leave(ours: Ours) -> None:
    with pytest.raises(Mistakes, match="server does not let the lessor leave; its clauses are for lessee"):
        ours({**LEAVE, **event(kind="termination", party="lessor", date="2026-12-01")})


def test_an_option_is_used_in_time_or_not_at_all(ours: Ours) -> None:
    option = {"contracts.server.options": [{"kind": "expand", "quantity": 4, "exercise_by": "2026-12-01"}]}
    assert by_day(ours(option)) == [8.0] * 28
    s = ours({**option, **event(kind="exercise", option="expand", date="2026-11-30")})
    assert by_day(s) == [8.0] * 7 + [12.0] * 21
    assert rights(s, s.contract("server"))[0].used_on == date(2026, 11, 30)
    assert exercised(exercised(s)) == exercised(s)
    with pytest.raises(Mistakes, match="after the last day to use it"):
        ours({**option, **event(kind="exercise", option="expand", date="2026-12-02")})


def test_a_swap_puts_the_new_generation_in_the_place_of_the_old(ours: Ours) -> None:
    option = {"contracts.server.options": [{"kind": "swap-generation", "accelerator": "b200-sxm"}]}
    s = exercised(ours({**option, **event(kind="exercise", option="swap-generation", date="2026-11-30")}))
    assert exercised(s) == s
    counts = {p.accelerator.name: quantity(s, p, hours_of(s)).delivered[[0, -1]].tolist() for p in pools(s)}
    assert counts == {"h100-sxm": [8.0, 0.0], "b200-sxm": [0.0, 8.0]}
    assert by_day(s) == [8.0] * 28


def test_ninety_days_after_month_three_is_about_six_monthly_fees_at_signing(ours: Ours) -> None:
    s = ours(
        {
            "contracts.server.start": "2026-12-01",
            "contracts.server.end": "2029-12-01",
            "contracts.server.fee": {"monthly": "1.25 GUSD/month"},
            "contracts.server.termination": [{"party": "either", "notice": "90 d", "earliest": "2027-03-01"}],
        }
    )
    signed = exposure(s, s.contract("server"), date(2026, 12, 1))
    assert signed.firm_months == pytest.approx(6, abs=0.1)
    assert signed.nominal_usd == pytest.approx(36 * 1.25e9)
    later = exposure(s, s.contract("server"), date(2027, 6, 1))
    assert later.firm_months == pytest.approx(3, abs=0.1)


def test_the_lease_as_published_is_firm_for_half_a_year_and_not_for_three() -> None:
    s = load(Path(__file__).parent / "scenarios" / "anthropic-spacex.yaml")
    signed = exposure(s, s.contract("lease"), date(2026, 5, 6))
    assert signed.exit is not None and signed.exit.gone_on == date(2026, 11, 4)
    assert signed.firm_usd < 6 * 1.25e9 < signed.nominal_usd / 5


def test_without_a_clause_there_is_no_exit_and_everything_is_firm(ours: Ours) -> None:
    s = ours({"contracts.server.end": "2027-11-23", "contracts.server.fee": {"monthly": "1000 USD/month"}})
    contract = s.contract("server")
    assert earliest_exit(contract, "lessee", date(2026, 12, 1)) is None
    found = exposure(s, contract, contract.start)
    assert found.firm_usd == found.remaining_usd == found.nominal_usd


def test_with_take_or_pay_only_the_floor_is_firm(ours: Ours) -> None:
    year = {"contracts.server.end": "2027-11-23", "contracts.server.fee": {"monthly": "1000 USD/month"}}
    s = ours({**year, "contracts.server.take_or_pay": 0.7})
    found = exposure(s, s.contract("server"), date(2026, 11, 23))
    assert found.firm_usd == pytest.approx(0.7 * found.nominal_usd)


def test_a_commitment_outlives_an_exit_and_ends_with_its_window(ours: Ours) -> None:
    terms = {"total": "9 kUSD", "from": "2026-11-23", "until": "2027-06-01"}
    clause = [{"party": "lessee", "notice": "30 d"}]
    year = {"contracts.server.end": "2027-11-23", "contracts.server.fee": {"monthly": "1000 USD/month"}}
    s = ours({**year, "contracts.server.commitment": terms, "contracts.server.termination": clause})
    contract = s.contract("server")
    assert exposure(s, contract, date(2026, 11, 23)).firm_usd == pytest.approx(9000)
    assert exposure(s, contract, date(2027, 6, 1)).firm_usd == pytest.approx(1000)


def test_the_largest_supplier_depends_on_what_is_counted(ours: Ours) -> None:
    more = {
        "contracts.other": {
            "side": "lessee",
            "supplier": "few but fast",
            "start": "2026-11-23",
            "deliveries": [{"site": "here", "accelerator": "gb200-nvl72", "quantity": 6}],
            "fee": {"per_accelerator": "0.5 USD/h"},
        }
    }
    s = ours({**more, "contracts.server.supplier": "many"})
    found = {x.basis: x.supplier for x in largest_suppliers(s, hours_of(s), accounts(s))}
    assert found == {"accelerators": "many", "flops": "few but fast", "fee": "many"}
    left = without(s, "many")
    assert [c.name for c in left.contracts] == ["other"]
    assert [p.contract.name for p in pools(left)] == ["other"]


@pytest.mark.parametrize(("out", "left"), [(3, 5.0), (8, 0.0), (99, 0.0)])
def test_what_is_leased_out_is_taken_from_the_own_fleet_and_no_more_than_it_has(
    ours: Ours, out: int, left: float
) -> None:
    lease = {
        "side": "lessor",
        "start": "2026-11-30",
        "deliveries": [{"site": "here", "accelerator": "h100-sxm", "quantity": out}],
    }
    s = ours({"contracts.out": lease})
    (found,) = capacities(s, hours_of(s))
    assert found.delivered.reshape(-1, 24)[:, 0].tolist() == [8.0] * 7 + [left] * 21
    assert np.all(found.contracted >= found.delivered)
