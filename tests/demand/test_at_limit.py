"""Demand under a limit: by hand, against requests one by one, against the collective-risk form, and its accounts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import gamma

from ampacity.base.compiled import compiled
from ampacity.demand.at_limit import Kinds, Met, Scheme, met, standing, under_each, working_day
from ampacity.demand.population import activity
from ampacity.demand.reactions import NOBODY_RETURNS, Reactions, deferring
from ampacity.demand.stretches import Habits, Stretches, stretches
from ampacity.planner.scheme_figures import tier_under
from ampacity.planner.schemes import comparison
from ampacity.policy.book import HELD_FIELDS, MARK, PLACE, STATE_FIELDS, STORE_FIELDS, USED, compile_book
from ampacity.policy.limits import hold, reserve, settle
from ampacity.policy.rows import (
    AT_FIRST_USE,
    AT_INSTANTS,
    EVENLY,
    NEVER,
    ONE_REQUEST,
    SCALE,
    Price,
    WindowRule,
    compile_limit,
)
from ampacity.scenario.limit import Limit
from ampacity.scenario.load import load

Floats = NDArray[np.float64]
HOUR, WEEK = 3_600_000, 604_800_000
START = 1_780_272_000_000  # a Monday, 00:00 UTC
TOKENS = Price(1000, 1250, 100, 5000)
AGENT = Kinds(359_000 / 3600, 9_381_000 / 3600, 34_600 / 3600)
HOURLY = 1_560_000.0  # weighted tokens that an active hour takes, about
ONE = Kinds(0.0, 0.0, 1.0)  # one output token a second
COUNTED = Price(1000, 1000, 1000, 1000)


def window(name: str, tokens: float, price: Price = TOKENS, **otherwise: Any) -> WindowRule:
    rule = {"refill": AT_FIRST_USE, "length_ms": 5 * HOUR, **otherwise}
    return WindowRule(name, int(tokens * SCALE), price=price, **rule)


def weekly(tokens: float, price: Price = TOKENS, weeks: int = 12) -> WindowRule:
    instants = tuple(START + WEEK * k for k in range(weeks + 1))
    return window("weekly", tokens, price, refill=AT_INSTANTS, length_ms=WEEK, instants_ms=instants)


def habit(people: int = 1000, weeks: int = 4, **otherwise: Any) -> Habits:
    rest = {"active_share": 0.08, "stretch_ms": 2.0 * HOUR, "sigma_between": 1.0, "sigma_within": 0.8, **otherwise}
    return Habits(people=people, start_ms=START, hour_weights=np.ones(168 * weeks), **rest)


def wishes(*stretches_of_one: tuple[float, float, float], reaction: float = 0.99) -> Stretches:
    """One subscriber's stretches as (begin [h], length [h], pace)."""
    n = len(stretches_of_one)
    begin, length, pace = (np.array(column, dtype=np.float64) for column in zip(*stretches_of_one, strict=True))
    return Stretches(
        first=np.array([0, n]),
        begin_ms=START + np.rint(begin * HOUR).astype(np.int64),
        active_ms=np.rint(length * HOUR).astype(np.int64),
        pace=pace,
        reaction=np.full(n, reaction),
        delay=np.ones(n),
        family=np.full(n, 0.5),
    )


def under(h: Habits, kinds: Kinds, scheme: Scheme, r: Reactions, seed: int, name: str = "", parallel: int = 20) -> Met:
    """The only case."""
    (m,) = under_each(h, kinds, [(scheme, r)], seed, name, parallel)
    return m


# by hand


def test_a_stretch_is_stopped_the_moment_its_line_meets_the_windows_size() -> None:
    scheme = Scheme((window("five-hour", 2 * 3600, COUNTED),))
    m = met(habit(1), wishes((1.0, 3.0, 1.0)), ONE, scheme, NOBODY_RETURNS)
    assert (m.served, m.lost) == (2 * HOUR, 1 * HOUR)
    assert m.served_ms[:5].tolist() == [0, HOUR, HOUR, 0, 0]


def test_a_window_opens_with_its_first_use_and_returns_its_length_later() -> None:
    scheme = Scheme((window("five-hour", 3600, COUNTED),))
    m = met(habit(1), wishes((1.0, 1.0, 1.0), (5.5, 1.0, 1.0), (6.0, 1.0, 1.0)), ONE, scheme, NOBODY_RETURNS)
    assert (m.served, m.lost) == (2 * HOUR, 1 * HOUR)  # the second finds the window full, the third a new one


def test_two_stretches_at_once_fill_a_window_twice_as_fast() -> None:
    scheme = Scheme((window("five-hour", 2 * 3600, COUNTED),))
    m = met(habit(1), wishes((1.0, 2.0, 1.0), (1.0, 2.0, 1.0)), ONE, scheme, NOBODY_RETURNS)
    assert m.served_ms[:3].tolist() == [0, 2 * HOUR, 0]


def test_who_waits_goes_on_when_the_window_returns() -> None:
    scheme = Scheme((window("five-hour", 3600, COUNTED),))
    patient = Reactions(1.0, 0.0, 0.0, 0.0, patience_ms=6.0 * HOUR)
    m = met(habit(1), wishes((0.0, 2.0, 1.0), reaction=0.5), ONE, scheme, patient)
    assert m.served_ms[:7].tolist() == [HOUR, 0, 0, 0, 0, HOUR, 0]
    assert (m.delayed_ms, m.lost) == (4 * HOUR, 0)


def test_who_has_less_patience_than_the_window_takes_comes_back_a_delay_after_it() -> None:
    scheme = Scheme((window("five-hour", 3600, COUNTED),))
    hurried = Reactions(1.0, 0.0, 0.0, 0.0, patience_ms=1.0 * HOUR, delay_ms=2.0 * HOUR)
    m = met(habit(1), wishes((0.0, 2.0, 1.0), reaction=0.5), ONE, scheme, hurried)
    assert m.served_ms[:9].tolist() == [HOUR, 0, 0, 0, 0, 0, 0, HOUR, 0]


def test_what_is_bought_is_served_at_once_and_counts_in_no_window() -> None:
    scheme = Scheme((window("five-hour", 3600, COUNTED),))
    m = met(habit(1), wishes((0.0, 3.0, 1.0), reaction=0.5), ONE, scheme, Reactions(0.0, 0.0, 0.0, 1.0))
    assert (m.served, m.bought, m.lost, m.refused.sum()) == (3 * HOUR, 2 * HOUR, 0, 1)


def test_who_switches_inside_the_service_goes_on_under_the_other_windows() -> None:
    opus = window("weekly-opus", 3600, COUNTED, families=("opus",))
    scheme = Scheme((opus, window("weekly", 7200, COUNTED, length_ms=WEEK)), families=(("opus", 1.0),))
    m = met(habit(1), wishes((0.0, 3.0, 1.0), reaction=0.5), ONE, scheme, Reactions(0.0, 0.0, 1.0, 0.0))
    assert (m.served, m.switched) == (2 * HOUR, 1 * HOUR)
    assert dict(zip(m.windows, m.refused.tolist(), strict=True)) == {"weekly-opus": 1, "weekly": 1}


def test_peak_hours_fill_a_window_faster_from_the_minute_on_at_which_they_begin() -> None:
    price = Price(1000, 1000, 1000, 1000, peak_times=2000, peaks_ms=(START + HOUR, START + 2 * HOUR))
    m = met(habit(1), wishes((0.0, 9.0, 1.0)), ONE, Scheme((window("w", 3.5 * 3600, price),)), NOBODY_RETURNS)
    assert m.served == 2.5 * HOUR  # one hour at 1, one at 2, half an hour at 1


def test_a_credit_never_returns_and_whoever_would_wait_for_it_leaves() -> None:
    scheme = Scheme((window("credit", 3600, COUNTED, refill=NEVER, length_ms=0),))
    m = met(habit(1), wishes((0.0, 2.0, 1.0), (200.0, 2.0, 1.0), reaction=0.5), ONE, scheme, deferring(1.0))
    assert (m.served, m.lost) == (HOUR, 3 * HOUR)


def test_a_window_of_nothing_serves_nothing() -> None:
    m = met(habit(1), wishes((0.0, 2.0, 1.0)), ONE, Scheme((window("w", 0, COUNTED),)), NOBODY_RETURNS)
    assert (m.served, m.lost) == (0, 2 * HOUR)


def test_more_stretches_than_a_person_steers_follow_one_another_and_lose_nothing() -> None:
    m = met(habit(1), wishes(*[(0.0, 1.0, 1.0)] * 5), ONE, Scheme(()), NOBODY_RETURNS, parallel=2)
    assert m.served_ms[:4].tolist() == [2 * HOUR, 2 * HOUR, HOUR, 0]


def test_stores_that_shape_seconds_are_left_out_and_named() -> None:
    scheme = Scheme((window("five-hour", 1e12), WindowRule("rpm", 60_000, EVENLY, 60_000, ONE_REQUEST)))
    assert scheme.left_out == ("rpm",)
    assert [r.name for r in scheme.windows] == ["five-hour"]


# accounts


@pytest.mark.parametrize("r", [NOBODY_RETURNS, deferring(1.0), Reactions(0.3, 0.3, 0.1, 0.05)])
def test_all_work_ends_as_served_lost_switched_or_outstanding(r: Reactions) -> None:
    m = under(habit(), AGENT, Scheme((window("five-hour", 2 * HOURLY), weekly(20 * HOURLY))), r, seed=1)
    assert m.served + m.lost + m.switched + m.outstanding == pytest.approx(m.wanted, rel=1e-9)
    assert m.served_ms.sum() == pytest.approx(m.served)
    assert m.refused.sum() > 1000
    assert sum(m.binding.values()) == pytest.approx(1.0)


def test_without_a_window_everybody_gets_what_they_want() -> None:
    m = under(habit(), AGENT, Scheme(()), NOBODY_RETURNS, seed=1)
    assert m.served + m.outstanding == pytest.approx(m.wanted)
    assert m.hit_share == 0.0


def test_nobody_is_given_more_in_a_week_than_the_weekly_window_holds() -> None:
    """One person at a time, so that the hours are theirs alone."""
    h = habit(40, sigma_between=0.0, active_share=0.5)
    for begin in range(0, 40, 8):
        one = stretches(h, 1, "", begin, begin + 1)
        m = met(h, one, AGENT, Scheme((weekly(20 * HOURLY),)), deferring(1.0))
        tokens = m.served_ms.reshape(4, 168).sum(axis=1) / 1000 * AGENT.weighted(weekly(1.0))
        assert np.all(tokens <= 20 * HOURLY * (1 + 1e-6))
        assert tokens.max() > 19.9 * HOURLY


def test_the_portions_in_which_people_are_drawn_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = Scheme((window("five-hour", 2 * HOURLY), weekly(20 * HOURLY)))
    cases = [(scheme, deferring(0.5)), (Scheme(()), NOBODY_RETURNS), (scheme, NOBODY_RETURNS)]
    alone = [under(habit(300), AGENT, s, r, seed=4, name="t") for s, r in cases]
    monkeypatch.setattr("ampacity.demand.at_limit.PEOPLE_AT_ONCE", 77)
    for whole, parts in zip(alone, under_each(habit(300), AGENT, cases, seed=4, name="t"), strict=True):
        assert (whole.people, whole.weeks, whole.windows) == (parts.people, parts.weeks, parts.windows)
        assert np.array_equal(whole.stopped, parts.stopped)
        assert np.array_equal(whole.refused, parts.refused)
        assert parts.served_ms == pytest.approx(whole.served_ms)


def test_no_more_than_a_portion_of_the_people_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    portions = []

    def noted(h: Habits, seed: int, name: str, begin: int, end: int) -> Stretches:
        portions.append((begin, end))
        return stretches(h, seed, name, begin, end)

    monkeypatch.setattr("ampacity.demand.at_limit.stretches", noted)
    monkeypatch.setattr("ampacity.demand.at_limit.PEOPLE_AT_ONCE", 100)
    c, s = comparison("2026-03-26", "2026-05-06"), load("colossus-1")
    (met_by,) = tier_under(s, c, "pro", 250, (NOBODY_RETURNS,), {}, 1, 0)
    assert portions == [(0, 100), (100, 200), (200, 250)]  # once, for both schemes
    assert {label: m.people for label, m in met_by.items()} == {"2026-03-26": 250, "2026-05-06": 250}


def test_a_working_day_is_the_mean_of_the_days_on_which_people_work() -> None:
    m = met(habit(1), wishes((10.0, 1.0, 1.0), (34.0, 1.0, 1.0), (130.0, 1.0, 9.0)), ONE, Scheme(()), NOBODY_RETURNS)
    hours = tuple(h % 168 for h in range(672))
    day = working_day(m, hours, START // 1000)
    assert day[10] == pytest.approx(2 * HOUR / 20)  # two of twenty working days; Saturday's is left out
    assert day.sum() == day[10]
    begins_at_seven = working_day(m, hours, START // 1000 + 7 * 3600)
    assert begins_at_seven[17] == day[10]  # their ten o'clock is UTC's seventeen


# what people want


def test_people_work_as_much_as_their_habits_say() -> None:
    h = habit(20_000, active_share=0.1)
    drawn = stretches(h, 3)
    hours = drawn.wanted_ms / HOUR / h.people / 4
    assert hours == pytest.approx(0.1 * 168, rel=0.01)
    assert drawn.active_ms.mean() == pytest.approx(2 * HOUR, rel=0.01)
    assert np.log(drawn.pace).std() == pytest.approx(0.8, rel=0.01)


def test_each_persons_stretches_stand_in_order_within_the_span() -> None:
    drawn = stretches(habit(500), 3)
    assert drawn.begin_ms.min() >= START and drawn.begin_ms.max() < START + 4 * WEEK
    inside = np.ones(len(drawn.begin_ms) - 1, dtype=bool)
    inside[drawn.first[1:-1][(drawn.first[1:-1] > 0) & (drawn.first[1:-1] < len(drawn.begin_ms))] - 1] = False
    assert np.all(np.diff(drawn.begin_ms)[inside] >= 0)


def test_stretches_begin_in_the_hours_in_which_people_work() -> None:
    h = habit(5000)
    weights = np.tile(np.repeat([0.5, 1.5], 12), 28)
    drawn = stretches(Habits(**{**h.__dict__, "hour_weights": weights}), 3)
    late = ((drawn.begin_ms - START) // HOUR % 24 >= 12).mean()
    assert late == pytest.approx(0.75, abs=0.01)


# how people stand in the middle


def gone_on(h: Habits, drawn: Stretches, scheme: Scheme, r: Reactions, at_ms: int) -> Met:
    """What people meet after an instant, of what is then under way or deferred and of what begins later, by hand."""
    left = standing(h, drawn, AGENT, scheme, r, at_ms, parallel=1000)
    owner = np.repeat(np.arange(len(drawn.first) - 1), np.diff(drawn.first))
    later = drawn.begin_ms >= at_ms
    stretch = np.concatenate([left.stretch, np.flatnonzero(later)])
    person = np.concatenate([left.person, owner[later]])
    begin = np.concatenate([np.maximum(left.goes_on_ms, at_ms), drawn.begin_ms[later]])
    length = np.concatenate([left.left_ms, drawn.active_ms[later]])
    pace = np.concatenate([left.pace, drawn.pace[later]])
    order = np.lexsort((begin, person))
    of = stretch[order]
    rest = Stretches(
        first=np.searchsorted(person[order], np.arange(len(drawn.first))).astype(np.int64),
        begin_ms=begin[order],
        active_ms=length[order],
        pace=pace[order],
        reaction=drawn.reaction[of],
        delay=drawn.delay[of],
        family=drawn.family[of],
    )
    return met(h, rest, AGENT, scheme, r, parallel=1000)


@pytest.mark.parametrize("r", [NOBODY_RETURNS, deferring(1.0)], ids=["lost", "deferred"])
@pytest.mark.parametrize("limited", [False, True])
def test_weeks_stopped_in_the_middle_and_gone_on_by_hand_are_the_whole_weeks(r: Reactions, limited: bool) -> None:
    """At the instant at which a weekly window returns nothing is used of it, so weeks can begin anew there."""
    h, at_ms = habit(400), START + 2 * WEEK
    drawn, scheme = stretches(h, 7), Scheme((weekly(12 * HOURLY),) if limited else ())
    whole, rest = met(h, drawn, AGENT, scheme, r, parallel=1000), gone_on(h, drawn, scheme, r, at_ms)
    assert rest.served_ms[: 2 * 168].sum() == 0
    assert rest.served_ms[2 * 168 :] == pytest.approx(whole.served_ms[2 * 168 :], rel=1e-6, abs=1000)
    assert rest.squares_ms[2 * 168 :] == pytest.approx(whole.squares_ms[2 * 168 :], rel=1e-6, abs=1000)
    assert np.array_equal(rest.stopped[:, 2:], whole.stopped[:, 2:])
    assert limited == bool(whole.stopped[:, 2:].any())


def test_what_is_used_of_a_window_at_an_instant_is_the_work_since_it_opened() -> None:
    h, at_ms = habit(300), START + WEEK - HOUR
    drawn, scheme = stretches(h, 7), Scheme((weekly(12 * HOURLY),))
    left = standing(h, drawn, AGENT, scheme, NOBODY_RETURNS, at_ms)
    until = met(h, drawn, AGENT, scheme, NOBODY_RETURNS).served_ms[: 168 - 1].sum()
    used = left.states[:, 0 * STORE_FIELDS + USED]
    assert used.sum() == pytest.approx(until * AGENT.weighted(scheme.rules[0]), rel=1e-6)
    assert used.max() <= 12 * HOURLY * SCALE * (1 + 1e-6)
    # of whom something is under way works on at their stretch's own pace
    assert np.array_equal(left.pace, drawn.pace[left.stretch])
    assert np.all(drawn.begin_ms[left.stretch] < at_ms)
    assert np.all(left.left_ms <= drawn.active_ms[left.stretch])


# request by request

GAP = 45_570  # 79 requests in an active hour
NEXT, LEFT, STRETCH, TRIES, JOB = range(5)


def requests_of_all(first, begin_ms, active_ms, pace, reaction, delay, book, limit, plan, rates, returning, delay_ms, start, end, state, held, jobs, hit, out):  # type: ignore[no-untyped-def]  # fmt: skip  # noqa: E501
    """Every subscriber's requests in time order through `policy/limits`; work served and lost in `out`."""
    for u in range(len(first) - 1):
        for s in range(len(state)):
            state[s] = 0
        i = first[u]
        count = 0
        while count > 0 or i < first[u + 1]:
            j = -1
            for k in range(count):
                if j < 0 or jobs[k, NEXT] < jobs[j, NEXT]:
                    j = k
            if i < first[u + 1] and (j < 0 or begin_ms[i] <= jobs[j, NEXT]):
                jobs[count, NEXT] = begin_ms[i]
                jobs[count, LEFT] = active_ms[i]
                jobs[count, STRETCH] = i
                jobs[count, TRIES] = 0
                count += 1
                i += 1
                continue
            now = jobs[j, NEXT]
            if now >= end:
                break
            s = jobs[j, STRETCH]
            part = min(jobs[j, LEFT], GAP)
            work = part * pace[s]
            read = int(rates[1] * work)
            fresh = int(rates[0] * work)
            hold(state, 0, book, limit, plan, held, 0, now, now + 1, read + fresh, 32_000)
            w = reserve(state, book, held, 0, 1, now, 0)
            gone = False
            if w == 0:
                settle(state, book, held, 0, now, 0, fresh, read, int(rates[2] * work))
                out[0] += work
                jobs[j, NEXT] = now + GAP
                jobs[j, LEFT] -= part
                gone = jobs[j, LEFT] <= 0
            else:
                hit[u, (now - start) // WEEK] = 1
                draw = reaction[s] + jobs[j, TRIES] * 0.6180339887498949
                jobs[j, TRIES] += 1
                if draw - int(draw) < returning:
                    jobs[j, NEXT] = state[book[w + PLACE] + MARK] + int(delay[s] * delay_ms)
                else:
                    out[1] += jobs[j, LEFT] * pace[s]
                    gone = True
            if gone:
                count -= 1
                for f in range(JOB):
                    jobs[j, f] = jobs[count, f]


def one_by_one(h: Habits, drawn: Stretches, kinds: Kinds, scheme: Scheme, r: Reactions) -> tuple[Floats, Floats]:
    """Who is hit in each week, and (served, lost), request by request."""
    book = compile_book({"l": scheme.rules})
    hit, out = np.zeros((h.people, 4), np.int64), np.zeros(2)
    rates = np.array([kinds.uncached, kinds.cached, kinds.output]) / 1000
    held, jobs = np.zeros(HELD_FIELDS, np.int64), np.zeros((1000, JOB), np.int64)
    flat, state = np.array(book.flat, np.int64), np.zeros(STATE_FIELDS, np.int64)
    every = (drawn.first, drawn.begin_ms, drawn.active_ms, drawn.pace, drawn.reaction, drawn.delay)
    where = (flat, book.limit("l"), book.plan("l"), rates, r.deferred, r.delay_ms, START, h.end_ms, state, held, jobs)
    compiled(requests_of_all).requests_of_all(*every, *where, hit, out)
    return hit, out


@pytest.mark.parametrize("returning", [0.0, 0.6])
def test_sessions_agree_with_requests_one_by_one_on_a_thousand_subscribers(returning: float) -> None:
    h, r = habit(1000), deferring(returning)
    price = Price(1000, 1250, 100, 5000, peak_times=1580, peaks_ms=_peaks())
    scheme = Scheme((window("five-hour", 3.6 * HOURLY, price), weekly(40 * HOURLY)))
    drawn = stretches(h, 5)
    m = met(h, drawn, AGENT, scheme, r, parallel=1000)
    hit, (served, _) = one_by_one(h, drawn, AGENT, scheme, r)
    assert 0.2 < m.hit_share < 0.7
    assert served == pytest.approx(m.served, rel=0.004)
    assert hit.mean() == pytest.approx(m.hit_share, abs=0.004)
    assert ((hit > 0) == (m.stopped > 0)).mean() > 0.995  # person by person and week by week


def _peaks() -> tuple[int, ...]:
    """Weekdays from 13 to 19 o'clock."""
    days = [START + 24 * HOUR * d for d in range(28) if d % 7 < 5]
    return tuple(day + HOUR * k for day in days for k in (13, 19))


# the collective-risk form


def pmf_of(amounts: Floats, unit: float, bins: int) -> Floats:
    """Amounts on a grid, keeping their mean: each is shared between the two points beside it."""
    x = np.minimum(amounts / unit, bins - 1.000001)
    low = np.floor(x).astype(np.int64)
    part = x - low
    return (np.bincount(low, 1 - part, bins) + np.bincount(low + 1, part, bins))[:bins] / len(amounts)


@cache
def one_stretch(stretch_h: float, sigma: float) -> Floats:
    """Work of many single stretches, in hours at the mean pace."""
    rng = np.random.default_rng(11)
    z = rng.standard_normal(400_000)
    return rng.exponential(stretch_h, 400_000) * np.exp(sigma * z - sigma**2 / 2)


@cache
def stretch_law(stretch_h: float, sigma: float, unit: float, bins: int) -> Any:
    """The transform of the work of a single stretch on a grid."""
    return np.fft.rfft(pmf_of(one_stretch(stretch_h, sigma), unit, bins))


def collective_risk_h(
    per_h: float, stretch: tuple[float, float], l5: float, l_week: float, hours: float = 168.0
) -> float:
    """E[min(L_week, sum over openings of min(X, L_5h))] of one week that begins with nothing open. [h]

    Openings follow each other as in a counter with dead time: five hours closed to new ones, then an exponential wait.
    X is the first stretch and a Poisson number of others; the last opening of the week is cut at its end.
    """
    bins, unit = 8192, l5 / 150  # 34 openings of 150 at most
    single = stretch_law(*stretch, unit, bins)

    def taken(length_h: float) -> Any:
        x = np.fft.irfft(single * np.exp(per_h * length_h * (single - 1)), bins)
        return np.fft.rfft(np.concatenate([x[:150], [x[150:].sum()], np.zeros(bins - 151)]))

    ages, weight = np.polynomial.legendre.leggauss(8)
    ages, weight = 2.5 * (ages + 1), 2.5 * weight
    cut, whole = np.array([taken(a) for a in ages]), taken(5.0)
    sums, total = np.ones(len(whole), dtype=complex), np.zeros(len(whole), dtype=complex)
    total += np.exp(-per_h * hours)  # nothing opens
    n = 1
    while (left := hours - 5.0 * (n - 1)) > 0:  # the n-th opening begins at a Gamma(n) time plus n - 1 dead times
        density = np.where(left > ages, gamma.pdf(np.maximum(left - ages, 0.0), n, scale=1 / per_h), 0.0)
        total += sums * ((weight * density).astype(complex) @ cut)
        sums = sums * whole
        sums[np.abs(sums) < 1e-30] = 0.0  # numbers too small for their format are slow
        if left > 5:
            closed, again = gamma.cdf(left - 5, n, scale=1 / per_h), gamma.cdf(left - 5, n + 1, scale=1 / per_h)
            total += (closed - again) * sums
        n += 1
    law = np.fft.irfft(total, bins)
    assert law.sum() == pytest.approx(1.0, abs=1e-3)
    return float(law @ np.minimum(np.arange(bins) * unit, l_week))


@pytest.mark.parametrize(("l5", "l_week"), [(0.6, 6.0), (1.2, 1e3)])
def test_lost_demand_agrees_with_the_collective_risk_form(l5: float, l_week: float) -> None:
    """Hours of output tokens, one a second: D as a vector is this times the tokens of an hour by kind."""
    stretch_h, share, sigma = 1 / 20, 0.06, 0.5
    h = habit(4_000, weeks=1, active_share=share, stretch_ms=stretch_h * HOUR, sigma_between=0.7, sigma_within=sigma)
    scheme = Scheme((window("five-hour", l5 * 3600, COUNTED), weekly(min(l_week, 1e6) * 3600, COUNTED)))
    m = under(h, ONE, scheme, NOBODY_RETURNS, seed=2, parallel=60)
    people = activity(np.arange(40), 40, 0.7)
    expected = np.mean([collective_risk_h(share / stretch_h * w, (stretch_h, sigma), l5, l_week) for w in people])
    assert m.lost > 0.02 * m.wanted
    assert m.served / HOUR / h.people == pytest.approx(expected, rel=0.016)


def test_a_window_twice_as_large_serves_the_same_people_more_if_what_is_stopped_is_lost() -> None:
    def served(times: float) -> Met:
        scheme = Scheme((window("five-hour", times * 2 * HOURLY), weekly(40 * HOURLY)))
        return under(habit(), AGENT, scheme, NOBODY_RETURNS, seed=1)

    once, twice = served(1.0), served(2.0)
    assert once.wanted == twice.wanted  # the same wishes
    assert twice.served > 1.05 * once.served
    assert twice.hit_by("weekly") >= once.hit_by("weekly")


def test_windows_of_requests_are_left_out_and_one_product_counts_as_all() -> None:
    limit = Limit.model_validate(
        {
            "name": "l",
            "windows": [
                {"name": "a-day", "length": "1 d", "requests": 100},
                {"name": "at-once", "refill": "in-flight", "requests": 8},
                {"name": "of-code", "length": "5 h", "tokens": 1e6, "products": ["code"]},
            ],
        }
    )
    scheme = Scheme(compile_limit(limit, 0, 10**6))
    assert scheme.left_out == ("a-day", "at-once")
    assert [(r.name, r.products) for r in scheme.windows] == [("of-code", None)]
