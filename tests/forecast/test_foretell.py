"""The gateway's desk before the engine's replicas in simulated time: what it keeps, and two naive loops beside it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from ampacity.emulation.faults import Fault
from ampacity.emulation.pools import ServingPool
from ampacity.forecast.foretell import HOP_MS, foretell
from ampacity.forecast.happenings import Happening, PoolFails, PoolGoes, PoolReopens, TermsChange
from ampacity.forecast.learned import Learned
from ampacity.forecast.load import Habits, Line, Load, Step, drawn_load
from ampacity.forecast.met import REFUSED, SERVED, TURNED_AWAY, Met, figures
from ampacity.policy import rows
from ampacity.policy.rows import ONE_REQUEST, WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms
from ampacity.simulator.cell_terms import Pool
from ampacity.simulator.engine import PS_PER_S, vllm
from ampacity.simulator.open_loop import serve_all
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    FINISH_PS,
    FIRST_PS,
    INPUT,
    OUTPUT,
    REQUEST_FIELDS,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
ALIAS = "model"
STEP = StepTable(
    per_iteration=10 * MS * TICKS,
    per_token=MS // 20 * TICKS,
    per_sequence=MS // 10 * TICKS,
    pieces=((0, 500 * TICKS, 0),),
)
ENGINE = vllm(20_000, token_budget=4096, max_seqs=8)
NO_WINDOWS: tuple[WindowRule, ...] = ()
PEOPLE = {"plain": (Habits(12, lines=2, pause_s=0.4),), "more": (Habits(6, lines=2, pause_s=0.4),)}


def pools(**replicas: int) -> dict[str, ServingPool]:
    return {n: ServingPool(n, "code", ALIAS, None, Pool(ENGINE, STEP, count), 100_000) for n, count in replicas.items()}


def terms(of: dict[str, ServingPool], *windows: WindowRule, wait_most_ms: int = 3000, room: int = 20) -> Terms:
    """Tiers `plain`, with windows, and `more`, which goes before it and has none."""
    own = tuple(PoolTerms(p.name, "http://127.0.0.1:1", ALIAS, p.slots, 50_000) for p in of.values())
    tiers = (TierTerms("plain", "plain"), TierTerms("more", "more", rank=1))
    limits = {"plain": windows, "more": NO_WINDOWS}
    return Terms("small", limits, tiers, (ServiceTerms(ALIAS, own),), room=room, wait_most_ms=wait_most_ms)


TWO = pools(east=2, west=1)
WINDOW = WindowRule("requests", 4 * rows.SCALE, rows.AT_FIRST_USE, 5000, ONE_REQUEST)
FEWER = replace(WINDOW, size=2 * rows.SCALE)
HAPPENINGS: dict[str, tuple[Happening, ...]] = {
    "nothing": (),
    "limits": (TermsChange(6000, terms(TWO, FEWER).text()),),
    "drain": (PoolGoes(5000, "east", 800), PoolReopens(12_000, "east")),
    "kill": (PoolFails(5000, "east", Fault("kill", seconds=4)), PoolFails(6000, "west", Fault("kill", seconds=4))),
    "slow": (PoolFails(4000, "east", Fault("slow", seconds=6, factor=4)),),
    "full": (PoolFails(4000, "west", Fault("overloaded", seconds=6, share=0.5)),),
    "broken": (PoolFails(4000, "west", Fault("error", seconds=6, share=0.5)),),
}


@pytest.mark.parametrize("what", HAPPENINGS)
def test_every_request_ends_once_and_each_client_asks_one_thing_after_another(what: str) -> None:
    load = drawn_load(ALIAS, PEOPLE, 20)
    met = foretell(terms(TWO, WINDOW), TWO, load, HAPPENINGS[what])
    assert {m.outcome for m in met} <= {SERVED, REFUSED, TURNED_AWAY}
    assert len(met) > 200
    lines_of: dict[int, int] = defaultdict(int)
    for line in load.lines:
        lines_of[line.subscriber] += 1
    for who, lines in lines_of.items():
        own = [m for m in met if m.subscriber == who]
        ends = sorted((m.at_ms + max(m.whole_ms, 0.0), -1) for m in own)
        changes = sorted([(float(m.at_ms), 1) for m in own] + ends)
        assert max(np.cumsum([change for _, change in changes])) <= lines
    for m in met:
        assert 0 <= m.at_ms < load.lasts_ms
        assert (m.outcome == SERVED) == (m.first_ms > 0) == (m.whole_ms > 0)
        assert m.first_ms <= m.whole_ms
        assert m.tier != "more" or m.outcome != REFUSED
        assert (m.outcome == REFUSED) == (m.window == "requests")


@pytest.mark.parametrize("what", HAPPENINGS)
def test_the_same_is_forecast_again(what: str) -> None:
    load = drawn_load(ALIAS, PEOPLE, 12)
    args = terms(TWO, WINDOW), TWO, load, HAPPENINGS[what]
    assert foretell(*args) == foretell(*args)


def test_what_happens_shows() -> None:
    """Each fault takes something from those who ask while it lasts, and nothing from those before it."""
    load = drawn_load(ALIAS, PEOPLE, 20)

    def run(what: str) -> tuple[Met, ...]:
        return foretell(terms(TWO, WINDOW), TWO, load, HAPPENINGS[what])

    plain = run("nothing")
    for what, happenings in HAPPENINGS.items():
        if not happenings:
            continue
        met, at_ms = run(what), happenings[0].at_ms
        ended = [m for m in plain if m.at_ms + max(m.whole_ms, 0) < at_ms - 10]
        assert ended
        assert set(ended) <= set(met)
        assert met != plain
    assert figures(run("limits")).refused_share > figures(plain).refused_share
    assert figures(run("slow")).per_token_ms > figures(plain).per_token_ms
    assert figures(run("kill")).served < figures(plain).served


def test_a_lone_request_has_the_first_token_of_the_step_time() -> None:
    of = pools(only=1)
    load = Load(ALIAS, 10_000, (Line(1, "more", 500, (Step(0, "a", 2000, 50),)),))
    (met,) = foretell(terms(of), of, load)
    first_ms = 10 + 2000 * 0.05
    assert met.at_ms == 500
    assert met.first_ms == pytest.approx(first_ms + HOP_MS, abs=0.02)
    decode_ms = 10 + 0.1 + (2000 + 25) * 500 / 1e9
    assert met.per_token_ms == pytest.approx(decode_ms, rel=0.01)
    (slow,) = foretell(terms(of), of, load, learned=Learned(pace=1.25, more_ms=3))
    assert slow.first_ms == pytest.approx(1.25 * first_ms + HOP_MS + 3, abs=0.02)


def test_a_learned_demand_shortens_pauses() -> None:
    of = pools(only=1)
    load = Load(ALIAS, 10_000, (Line(1, "more", 0, tuple(Step(1000, f"{i}", 100, 2) for i in range(9))),))
    usual, often = (foretell(terms(of), of, load, learned=Learned(demand=d)) for d in (1.0, 2.0))
    assert [m.at_ms for m in usual[:2]] == [1000, 2000 + round(usual[0].whole_ms)]
    assert [m.at_ms for m in often[:2]] == [500, 1000 + round(often[0].whole_ms)]


def test_without_limits_it_is_the_engine_alone() -> None:
    """One pool of one replica with a place for everybody: a second loop gives the same instants, a hop apart."""
    of = pools(only=1)
    of["only"] = replace(of["only"], replicas=Pool(vllm(20_000, token_budget=4096, max_seqs=64), STEP, 1))
    draw = np.random.default_rng(3)
    asks = sorted(
        (int(draw.integers(5000)), int(draw.integers(100, 3000)), int(draw.integers(2, 80))) for _ in range(50)
    )
    lines = tuple(Line(i, "more", at, (Step(0, f"{i}", p, o),)) for i, (at, p, o) in enumerate(asks, 1))
    met = {m.subscriber: m for m in foretell(terms(of), of, Load(ALIAS, 10_000, lines))}

    there = round(HOP_MS * MS) // 2
    requests = fresh_requests(len(asks)).tolist()
    for place, (at, prompt, output) in enumerate(asks, 1):
        r = place * REQUEST_FIELDS
        requests[r + ARRIVAL_PS], requests[r + INPUT], requests[r + OUTPUT] = at * MS + there, prompt, output
    engine = of["only"].replicas.engine
    row, known = fresh_replicas(engine, 1)[0].tolist(), fresh_sessions(0).tolist()
    serve_all(row, engine.rules().tolist(), STEP.flat().tolist(), requests, known, 1 << 60)
    back = round(HOP_MS * MS) - there
    for place, (at, _, _) in enumerate(asks, 1):
        first, finish = (requests[place * REQUEST_FIELDS + of] + back - at * MS for of in (FIRST_PS, FINISH_PS))
        assert met[place].first_ms == pytest.approx(first / MS, abs=1e-6)
        assert met[place].whole_ms == pytest.approx(finish / MS, abs=1e-6)


def test_windows_refuse_as_counting_on_fingers_does() -> None:
    """A window of four requests that opens with the first: counted again from the rows, request by request."""
    load = drawn_load(ALIAS, {"plain": (Habits(20, pause_s=0.5, output_tokens=10.0),)}, 20)
    met = foretell(terms(TWO, WINDOW, room=1000), TWO, load)
    assert 0.1 < figures(met).refused_share < 0.9
    opened: dict[int, int] = {}
    used: dict[int, int] = defaultdict(int)
    for m in met:
        if m.at_ms >= opened.get(m.subscriber, -(10**9)) + WINDOW.length_ms:
            opened[m.subscriber], used[m.subscriber] = m.at_ms, 0
        refuses = used[m.subscriber] >= 4
        assert (m.outcome == REFUSED) == refuses
        used[m.subscriber] += not refuses


def test_who_may_not_wait_is_turned_away_and_asks_again_when_told() -> None:
    of = pools(only=1)
    many = tuple(Line(i, "more", 0, (Step(0, f"{i}", 500, 200),)) for i in range(1, 31))
    met = foretell(terms(of, room=4), of, Load(ALIAS, 10_000, many))
    counts = {o: sum(m.outcome == o for m in met) for o in (SERVED, TURNED_AWAY)}
    assert sum(m.outcome == SERVED and m.at_ms == 0 for m in met) == 8 + 4
    again = [m for m in met if m.at_ms > 0]
    assert {m.at_ms for m in again} == {2000}
    assert len(again) == 30 - 12
    assert counts[SERVED] + counts[TURNED_AWAY] == len(met) == 30 + 18


def test_a_fault_that_nobody_can_forecast_is_refused_in_words() -> None:
    load = drawn_load(ALIAS, PEOPLE, 1)
    with pytest.raises(ValueError, match="a fault 'stall' of pool east"):
        foretell(terms(TWO), TWO, load, (PoolFails(0, "east", Fault("stall")),))
