"""Money: every clause in a table, and what holds for any contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampacity.scenario.scenario import Scenario
from ampacity.supply.billing import term
from ampacity.supply.delivery import hours_of
from ampacity.supply.drawdown import drawdown, rolled_over
from ampacity.supply.exposure import exposure
from ampacity.supply.ledger import Account, accounts, ledger, paid_and_earned_usd
from ampacity.supply.prepayment import set_off
from ampacity.supply.take_or_pay import take_or_pay

Ours = Callable[..., Scenario]
YEAR: dict[str, object] = {
    "contracts.server.start": "2026-12-01",
    "contracts.server.end": "2027-12-01",
    "contracts.server.fee": {"monthly": "3100 USD/month"},
    "start": "2026-12-01",
}


def on_server(**keys: object) -> dict[str, object]:
    return {**YEAR, **{f"contracts.server.{key}": value for key, value in keys.items()}}


def event(**what: object) -> dict[str, object]:
    return {"events": {"it": {"contract": "server", **what}}}


def account(s: Scenario) -> Account:
    return accounts(s)[0]


def items(s: Scenario) -> dict[str, float]:
    sums: dict[str, float] = {}
    for row in ledger(s):
        sums[row.item] = sums.get(row.item, 0.0) + row.usd
    return sums


def month(s: Scenario, key: str) -> float:
    return {f"{m:%Y-%m}": usd for m, usd in account(s).by_month().items()}[key]


def test_a_year_has_twelve_fees_february_included(ours: Ours) -> None:
    s = ours(on_server())
    assert items(s) == {"fee": pytest.approx(12 * 3100)}
    assert [month(s, f"2027-{m:02}") for m in (2, 3)] == pytest.approx([3100, 3100])  # 28 days; 31 less an hour


def test_a_month_in_which_the_clocks_change_is_shared_out_by_days(ours: Ours) -> None:
    s = ours(on_server(end="2027-03-15"))
    assert month(s, "2027-03") == pytest.approx(3100 * 14 / 31)


def test_a_ramp_without_a_fee_share_costs_what_is_there(ours: Ours) -> None:
    ramp = [{"date": "2026-12-01", "quantity": 2}, {"date": "2027-01-01", "quantity": 8}]
    s = ours({**on_server(), "contracts.server.deliveries.0.ramp": ramp})
    assert month(s, "2026-12") == pytest.approx(3100 / 4)
    assert month(s, "2027-01") == pytest.approx(3100)


@pytest.mark.parametrize(("used", "share"), [(0.0, 0.6), (0.5, 0.6), (0.6, 0.6), (0.9, 0.9), (1.0, 1.0)])
def test_take_or_pay_is_the_larger_of_floor_and_use(ours: Ours, used: float, share: float) -> None:
    s = ours(on_server(take_or_pay=0.6))
    hours = hours_of(s)
    in_use = {"server/here/h100-sxm": np.full(hours.count, 8 * used)}
    paid, _ = paid_and_earned_usd(accounts(s, hours, in_use), hours)
    assert paid == pytest.approx(3100 * 28 / 31 * share)


def test_a_prepayment_is_paid_at_the_start_and_set_off_evenly(ours: Ours) -> None:
    s = ours(on_server(prepayment={"share": "25 %", "months": "6 months"}))
    assert month(s, "2026-12") == pytest.approx(3100 + 3 * 3100 - 1550)
    assert [month(s, "2027-01"), month(s, "2027-02")] == pytest.approx([1550, 1550])
    assert month(s, "2027-06") == pytest.approx(3100)
    assert sum(items(s).values()) == pytest.approx(12 * 3100)


def test_a_commitment_is_drawn_down_and_what_is_missing_is_due_at_its_end(ours: Ours) -> None:
    terms = {"total": "20 kUSD", "from": "2026-12-01", "until": "2027-06-01"}
    s = ours(on_server(commitment=terms))
    assert items(s) == {"fee": pytest.approx(37_200), "commitment-shortfall": pytest.approx(20_000 - 6 * 3100)}
    assert month(s, "2027-05") == pytest.approx(3100 + 1400)
    drawn = account(s).drawn
    assert drawn is not None and drawn.left_usd[0] == pytest.approx(16_900)


def test_a_shortfall_that_rolls_over_is_set_off_against_later_fees(ours: Ours) -> None:
    terms = {"total": "20 kUSD", "from": "2026-12-01", "until": "2027-06-01", "rollover": True}
    s = ours(on_server(commitment=terms))
    assert month(s, "2027-06") == pytest.approx(3100 - 1400)
    assert sum(items(s).values()) == pytest.approx(37_200)


def test_a_commitment_without_a_fee_counts_evenly(ours: Ours) -> None:
    terms = {"total": "36500 USD", "from": "2026-12-01", "until": "2027-12-01"}
    s = ours({**on_server(commitment=terms), "contracts.server.fee": None})
    assert items(s) == {"commitment": pytest.approx(36_500)}
    assert month(s, "2027-01") == pytest.approx(3100)


@pytest.mark.parametrize(("hours_out", "credit"), [(0, 0.0), (3, 0.0), (24, 0.1), (100, 0.3)])
def test_a_service_credit_follows_the_months_availability(ours: Ours, hours_out: int, credit: float) -> None:
    table = [{"availability_below": 0.99, "credit": 0.1}, {"availability_below": 0.95, "credit": 0.3}]
    out = {"events": {"o": {"kind": "outage", "site": "here", "date": "2027-01-05", "duration": f"{hours_out} h"}}}
    s = ours({**on_server(service_credits=table), **out})
    assert month(s, "2027-01") == pytest.approx(3100 * (1 - credit))
    assert month(s, "2027-02") == pytest.approx(3100)


LATE = [{"date": "2026-12-01", "quantity": 2}, {"date": "2026-12-20", "quantity": 8}]


@pytest.mark.parametrize(
    ("remedy", "months"),
    [
        ({"remedy": "terminate"}, {"2027-01": 775 * 14 / 31, "2027-02": 0.0}),
        ({"remedy": "fewer-pro-rata"}, {"2027-01": 775, "2027-02": 775, "2027-03": 775}),
        ({"remedy": "late-discount", "discount": 0.2}, {"2027-01": 775 * (14 + 0.8 * 17) / 31, "2027-02": None}),
    ],
)
def test_late_delivery_has_its_remedy_from_the_end_of_the_cure(
    ours: Ours, remedy: Mapping[str, object], months: Mapping[str, float | None]
) -> None:
    terms = {"deadline": "2026-12-31", "cure": "15 d", **remedy}
    late = event(kind="delay", date="2026-12-10", duration="60 d")
    s = ours({**on_server(delivery=terms), "contracts.server.deliveries.0.ramp": LATE, **late})
    for key, usd in months.items():
        if usd is not None:
            assert month(s, key) == pytest.approx(usd)
    assert month(s, "2027-05") == pytest.approx(
        {"terminate": 0.0, "fewer-pro-rata": 775.0, "late-discount": 3100.0}[str(remedy["remedy"])]
    )


def test_delivery_within_the_cure_has_no_remedy(ours: Ours) -> None:
    terms = {"deadline": "2026-12-31", "cure": "15 d", "remedy": "terminate"}
    late = event(kind="delay", date="2026-12-10", duration="20 d")
    s = ours({**on_server(delivery=terms), "contracts.server.deliveries.0.ramp": LATE, **late})
    assert month(s, "2027-11") == pytest.approx(3100)


@pytest.mark.parametrize(("party", "fee"), [("lessee", 500), ("lessor", -500)])
def test_who_leaves_owes_the_fee_for_it(ours: Ours, party: str, fee: float) -> None:
    clause = [{"party": "either", "notice": "31 d", "fee": "500 USD"}]
    leave = event(kind="termination", party=party, date="2027-01-01")
    s = ours({**on_server(termination=clause), **leave})
    assert items(s) == {"fee": pytest.approx(2 * 3100), "termination-fee": fee}
    assert month(s, "2027-01") == pytest.approx(3100 + fee)


def test_an_expansion_that_is_used_adds_its_part_of_the_fee(ours: Ours) -> None:
    options = [{"kind": "expand", "quantity": 4, "exercise_by": "2027-06-30"}]
    assert items(ours(on_server(options=options))) == {"fee": pytest.approx(12 * 3100)}
    s = ours({**on_server(options=options), **event(kind="exercise", option="expand", date="2027-06-01")})
    assert items(s) == {"fee": pytest.approx(6 * 3100 + 6 * 4650)}


def test_an_extension_that_is_used_moves_the_end(ours: Ours) -> None:
    options = [{"kind": "extend", "until": "2028-06-01"}]
    s = ours({**on_server(options=options), **event(kind="exercise", option="extend", date="2027-06-01")})
    assert items(s) == {"fee": pytest.approx(18 * 3100)}


def test_a_lessor_earns_and_its_own_fleet_gets_less(ours: Ours) -> None:
    out = {
        "side": "lessor",
        "customer": "them",
        "start": "2026-12-01",
        "end": "2027-12-01",
        "deliveries": [{"site": "here", "accelerator": "h100-sxm", "quantity": 3}],
        "fee": {"per_accelerator": "2 USD/h"},
    }
    s = ours({**on_server(), "contracts.out": out})
    paid, earned = paid_and_earned_usd(accounts(s), hours_of(s))
    assert earned == pytest.approx(3 * 2 * 28 * 24)
    assert paid == pytest.approx(3100 * 28 / 31)


# what holds for any contract

clauses = st.fixed_dictionaries(
    {},
    optional={
        "take_or_pay": st.floats(0, 1),
        "prepayment": st.builds(
            lambda x, n: {"share": x, "months": f"{n} months"}, st.floats(0, 1), st.integers(1, 24)
        ),
        "commitment": st.builds(
            lambda usd, roll: {"total": f"{usd} USD", "from": "2026-12-15", "until": "2027-08-01", "rollover": roll},
            st.integers(0, 50_000),
            st.booleans(),
        ),
        "service_credits": st.just([{"availability_below": 0.99, "credit": 0.2}]),
        "termination": st.builds(
            lambda n, usd: [{"party": "either", "notice": f"{n} d", "earliest": "2027-02-01", "fee": f"{usd} USD"}],
            st.integers(0, 200),
            st.integers(0, 5000),
        ),
    },
)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(clauses, st.booleans())
def test_money_is_booked_once(ours: Ours, found: dict[str, object], outage: bool) -> None:
    out = {"events": {"o": {"kind": "outage", "site": "here", "date": "2027-01-05", "duration": "3 d"}}}
    s = ours({**on_server(**found), **(out if outage else {})})
    a = account(s)
    assert sum(row.usd for row in a.rows()) == pytest.approx(a.total_usd)
    assert sum(a.by_month().values()) == pytest.approx(a.total_usd)
    hours = hours_of(s)
    begin, end = int(a.term.edges_s[0]), int(a.term.edges_s[-1])
    cut = hours.start_s + 3600 * hours.count
    both = accounts(s, hours)[0]
    assert both.within_usd(begin, cut) + both.within_usd(cut, end) == pytest.approx(a.total_usd)


@SLOW
@given(clauses, st.dates(date(2026, 12, 1), date(2027, 11, 30)))
def test_exposure_never_exceeds_the_nominal_total(ours: Ours, found: dict[str, object], on: date) -> None:
    s = ours(on_server(**found))
    e = exposure(s, s.contract("server"), on)
    assert -1e-6 <= e.firm_usd <= max(e.remaining_usd, 0.0) + 1e-6
    assert e.firm_usd <= e.nominal_usd + 1e-6


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_take_or_pay_bill_is_at_least_the_floor_and_at_most_the_fee(
    fees: list[float], used: float, floor: float
) -> None:
    fee = np.array(fees)
    use, top_up = take_or_pay(fee, np.full(len(fees), used), floor)
    assert np.all(use + top_up >= floor * fee * (1 - 1e-12))
    assert np.all(use + top_up <= fee * (1 + 1e-12))


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60), st.floats(0, 1e10))
def test_what_is_drawn_and_what_is_missing_are_the_commitment(spent: list[float], total: float) -> None:
    found = drawdown(spent, total)
    assert found.shortfall_usd == pytest.approx(max(total - sum(spent), 0.0), abs=1e-3)
    assert list(found.left_usd) == sorted(found.left_usd, reverse=True)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1e7), st.integers(1, 30))
def test_nothing_is_set_off_twice_or_beyond_the_fee(fees: list[float], credit: float, months: int) -> None:
    for parts in (set_off(credit, months, fees), rolled_over(fees, credit)):
        assert sum(parts) <= credit * (1 + 1e-9) + 1e-6
        assert all(0 <= part <= fee + 1e-9 for part, fee in zip(parts, fees, strict=True))


def test_a_term_is_cut_at_every_midnight_across_the_change_of_the_clocks(ours: Ours) -> None:
    s = ours(on_server())
    when = term(s, s.contract("server"))
    assert len(when.days) == 365
    assert when.lengths_s.sum() == 365 * 86400
    assert {round(x / 3600) for x in when.lengths_s} == {23, 24, 25}
    assert when.month_share.sum() == pytest.approx(12.0)
