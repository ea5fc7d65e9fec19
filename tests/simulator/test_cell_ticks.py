"""What changes while a cell runs, against a naive cell with ==; and what becomes of whoever is in the way."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cells import by_cell, by_naive_cell, drawn_changes, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.policy.book import STATE_FIELDS, compile_book
from ampacity.policy.line import P_COUNTER, PERSON_FIELDS, TIERS_MOST
from ampacity.policy.rows import IN_FLIGHT, ONE_IN_FLIGHT, WindowRule
from ampacity.simulator import cell as cell_module
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine
from ampacity.simulator.scripts import Scripts, scripts_of_trace
from ampacity.simulator.step_table import TICKS, StepTable
from ampacity.simulator.ticks import DOOR, Tick

MS = PS_PER_S // 1000
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)

COUNTED = {
    "asked": at.ASKED,
    "sent": at.SENT,
    "door": at.SHUT_OUT,
    "capacity": at.NO_CAPACITY,
    "full": at.QUEUE_FULL,
    "overdue": at.OVERDUE,
    "back": at.HANDED_BACK,
    "resume": at.RESUMED,
    "recompute": at.RECOMPUTED,
    "broken": at.BROKEN_OFF,
    "dropped": at.DROPPED,
    "wasted": at.TOKENS_WASTED,
    "astray": at.MISROUTED,
}
REACTIONS = {
    "retry": at.RETRIES_MADE,
    "wait": at.WAITED,
    "later": at.CAME_LATER,
    "switch": at.SWITCHED_AWAY,
    "buy": at.BOUGHT,
    "leave": at.LEFT,
}


def counted(found: CellResult) -> Counter[tuple[str, int]]:
    """The counts of a cell by name and tier, without zeros."""
    rows = {(name, tier): int(found.counts[tier, what]) for name, what in COUNTED.items() for tier in range(3)}
    return Counter({key: n for key, n in rows.items() if n})


def served(cell: Cell) -> list[int]:
    """Virtual tokens of those who are nobody, of each tier, then of every subscriber."""
    people = list(cell.rare.line[int(cell.desk.cell[at.LINE_PEOPLE]) + P_COUNTER :: PERSON_FIELDS])
    return [int(n) for n in people[:3] + people[TIERS_MOST + 1 :]]


@pytest.mark.parametrize("queue", ["fifo", "fair"])
def test_a_cell_that_changes_gives_what_a_naive_one_gives(queue: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(250):
        w = drawn_changes(seed, queue)
        naive, expected = by_naive_cell(w)
        cell = opened(w)
        cell.run()
        found = cell.result()
        assert found.met is not None
        assert [tuple(row) for row in found.met[:, :4].tolist()] == expected, f"seed {seed}: {w.routing}, {w.ticks}"
        assert counted(found) == naive.counts, seed
        assert {name: found.count(what) for name, what in REACTIONS.items()} == naive.reactions
        assert found.count(at.REFUSALS) == len(naive.refused)
        states = cell.windows.states.reshape(-1, STATE_FIELDS)
        assert all(states[who].tolist() == state for who, state in naive.states.items())
        if queue == "fair":
            assert served(cell) == naive.queue.served(max(w.subscriber_of)), seed
        seen.update({name: n for (name, _), n in naive.counts.items()} | naive.reactions)
    assert min(seen[name] for name in (*COUNTED, *REACTIONS)) > 20, seen


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from(["fifo", "fair"]))
def test_plain_source_and_compiled_source_agree_about_changes(seed: int, queue: str) -> None:
    w = drawn_changes(seed, queue)
    (plain, met), (compiled, same) = by_cell(w, plain=True), by_cell(w)
    assert met == same
    assert (plain.counts == compiled.counts).all()
    assert (plain.histograms == compiled.histograms).all()


@pytest.mark.parametrize("seed", range(60, 72))
def test_cutting_a_run_at_ticks_and_elsewhere_changes_no_byte_and_loses_no_request(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = drawn_changes(seed, "fair" if seed % 2 else "fifo")
    whole = opened(w)
    whole.run()
    monkeypatch.setattr(cell_module, "ROWS_AT_FIRST", 1)
    cut = opened(w)
    for until in sorted({tick.at_ps for tick in w.ticks} | {tick.at_ps + 1 for tick in w.ticks}):
        if until > cut.now_ps:
            cut.run(until)
            r = cut.result()
            assert r.count(at.SENT) == r.count(at.ANSWERED) + r.count(at.DROPPED) + r.in_flight
    cut.run()
    assert cut.result().in_flight == 0
    for name in ("counts", "histograms", "met"):
        assert getattr(whole.found, name).tobytes() == getattr(cut.found, name).tobytes()
    assert whole.people.agents.tobytes() == cut.people.agents.tobytes()


def one_pool(replicas: int, **rules: object) -> tuple[Pool, ...]:
    return (Pool(Engine(**{"kv_blocks": 10_000, "lag": 0, "max_seqs": 64, **rules}), TEN_MS, replicas),)  # type: ignore[arg-type]


def ran(scripts: Scripts, routing: Routing, ticks: list[Tick], replicas: int, **more: object) -> CellResult:
    cell = open_cell(one_pool(replicas), scripts, routing, ticks=ticks, keep=True, **more)  # type: ignore[arg-type]
    cell.run()
    return cell.result()


def met_of(found: CellResult) -> list[tuple[int, ...]]:
    assert found.met is not None
    return [tuple(row) for row in found.met[:, :4].tolist()]


def test_a_draining_replica_ends_what_it_has_and_gets_nothing_new_until_it_is_up() -> None:
    scripts = scripts_of_trace([0, 25 * MS, 45 * MS], 10, 10)
    turns = Routing("round-robin")
    found = met_of(ran(scripts, turns, [Tick(20 * MS, 0, at.DRAIN), Tick(40 * MS, 0, at.UP)], 1 + 1))
    assert found[0] == (0, 10 * MS, 100 * MS, 0)
    assert [row[3] for row in found] == [0, 1, 0]
    assert found[2] == (45 * MS, 60 * MS, 150 * MS, 0)  # it never stopped: the iteration from 40 to 50 ms is in flight


@pytest.mark.parametrize(
    ("on_kill", "first_ms", "finish_ms", "wasted"), [("resume", 10, 105, 0), ("recompute", 65, 155, 5)]
)
def test_what_a_stopped_replica_had_goes_on_elsewhere_or_begins_anew(
    on_kill: str, first_ms: int, finish_ms: int, wasted: int
) -> None:
    """Five of ten tokens are there at 55 ms; the sixth comes with the prompt and the five computed anew."""
    found = ran(scripts_of_trace([0], 10, 10), Routing("round-robin", on_kill=on_kill), [Tick(55 * MS, 0, at.KILL)], 2)
    assert met_of(found) == [(0, first_ms * MS, finish_ms * MS, 1)]
    assert found.count(at.HANDED_BACK) == 1
    assert found.count(at.TOKENS_WASTED) == wasted
    assert found.busy_ps == finish_ms * MS


def test_a_lost_request_is_tried_again_by_its_client() -> None:
    found = ran(scripts_of_trace([0], 10, 10), Routing("round-robin", on_kill="lose"), [Tick(55 * MS, 0, at.KILL)], 2)
    ((asked_ps, _, finish_ps, replica),) = met_of(found)
    assert (55 + 375) * MS <= asked_ps <= (55 + 500) * MS
    assert (finish_ps, replica) == (asked_ps + 100 * MS, 1)
    assert [found.count(what) for what in (at.BROKEN_OFF, at.DROPPED, at.RETRIES_MADE, at.ASKED)] == [1, 1, 1, 1]


def test_a_stopped_replica_has_forgotten_what_sessions_left_and_sessions_find_a_new_home() -> None:
    agents = np.zeros((2, at.AGENT_FIELDS), np.int64)
    agents[1, [at.LAST, at.CONTEXT]] = 4, 1
    steps = np.array([[0, 320, 0, 16], *([PS_PER_S, 335 + 100 * i, 330, 16] for i in range(1, 4))])
    scripts = Scripts(np.array([[0, 1]]), agents, steps, 1)
    for ticks, homes, hits in (
        ([], [0, 0, 0, 0], [0, 320, 320, 320]),
        ([Tick(PS_PER_S // 2, 0, at.KILL), Tick(2 * PS_PER_S, 0, at.UP)], [0, 1, 1, 1], [0, 0, 320, 320]),
        ([Tick(PS_PER_S // 2, 0, at.KILL), Tick(PS_PER_S, 0, at.UP)], [0, 0, 0, 0], [0, 0, 320, 320]),
    ):
        found = ran(scripts, Routing("soonest"), ticks, 2)
        assert found.met is not None
        assert found.met[:, at.MET_REPLICA].tolist() == homes
        assert found.met[:, at.MET_HITS].tolist() == hits


def test_a_slow_replica_takes_longer_from_its_next_iteration_on() -> None:
    """One iteration of 10 ms is in flight at 25 ms; then each takes 30 ms; from 150 ms on 10 ms again."""
    slow = [Tick(25 * MS, 0, at.SLOW, 3072), Tick(130 * MS, 0, at.SLOW, 1024)]
    ((_, first_ps, finish_ps, _),) = met_of(ran(scripts_of_trace([0], 10, 10), Routing(), slow, 1))
    assert first_ps == 10 * MS
    assert finish_ps == (30 + 4 * 30 + 3 * 10) * MS  # tokens at 10, 20, 30; 60, 90, 120, 150; 160, 170, 180


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (102, 320, 480), (1024, 4000, 4000)])
def test_a_share_of_the_requests_goes_to_the_other_pool(share: int, least: int, most: int) -> None:
    """Of 4,000 requests 398 are a tenth; four standard deviations are 76."""
    scripts = scripts_of_trace(np.arange(4000) * PS_PER_S, 10, 2)
    astray = [Tick(0, DOOR, at.MISROUTE, share)]
    cell = open_cell(one_pool(2) + one_pool(3), scripts, Routing("round-robin"), ticks=astray, keep=True)
    cell.run()
    found = cell.result()
    assert least <= found.count(at.MISROUTED) <= most
    assert sum((row[3] < 2) != (i % 5 < 2) for i, row in enumerate(met_of(found))) == found.count(at.MISROUTED)


def test_who_would_go_astray_to_where_nobody_takes_requests_goes_where_they_should() -> None:
    gone = [Tick(0, DOOR, at.MISROUTE, 1024), Tick(0, 0, at.DRAIN), Tick(0, 1, at.KILL)]
    cell = open_cell(
        one_pool(2) + one_pool(2), scripts_of_trace(steady(10, 9), 10, 2), Routing(), ticks=gone, keep=True
    )
    cell.run()
    assert {row[3] for row in met_of(cell.result())} == {2, 3}
    assert cell.result().count(at.MISROUTED) == 0


def test_in_one_pool_a_misrouted_session_leaves_home_by_chance_and_the_last_place_is_its_home() -> None:
    agents = np.zeros((2, at.AGENT_FIELDS), np.int64)
    agents[1, [at.LAST, at.CONTEXT]] = 60, 1
    steps = np.array([[PS_PER_S // 2, 320 + 10 * i, (320 + 10 * (i - 1)) * (i > 0), 16] for i in range(60)])
    scripts = Scripts(np.array([[0, 1]]), agents, steps, 1)
    once = [Tick(20 * PS_PER_S, DOOR, at.MISROUTE, 1024), Tick(24 * PS_PER_S, DOOR, at.MISROUTE, 0)]
    found = ran(scripts, Routing("soonest"), once, 8)
    homes = [row[3] for row in met_of(found)]
    astray = [i for i, row in enumerate(met_of(found)) if 20 * PS_PER_S <= row[0] < 24 * PS_PER_S]
    assert found.count(at.MISROUTED) == len(astray) > 4
    assert len({homes[i] for i in astray}) > 2
    assert len(set(homes[: astray[0]])) == len(set(homes[astray[-1] :])) == 1


def steady(rate_per_s: int, seconds: int) -> np.ndarray:
    return np.arange(0, seconds * PS_PER_S, PS_PER_S // rate_per_s)


def test_after_an_outage_everybody_asks_at_once() -> None:
    """Ten ask each second. A minute of closed doors keeps 600, who ask again within eight seconds of its end."""
    shut, opens = 60 * PS_PER_S, 120 * PS_PER_S
    ticks = [Tick(shut, DOOR, at.CLOSE), Tick(opens, DOOR, at.OPEN)]
    found = ran(scripts_of_trace(steady(10, 180), 10, 5), Routing(), ticks, 1)
    assert found.met is not None
    asked_ps = found.met[:, at.MET_ARRIVAL_PS]
    usual = np.sum(asked_ps < shut) / 60
    storm = np.sum((asked_ps >= opens) & (asked_ps < opens + 8 * PS_PER_S)) / 8
    assert usual == 10
    assert storm > 8 * usual
    assert not np.any((asked_ps >= shut) & (asked_ps < opens))
    assert found.count(at.SHUT_OUT) == found.overloaded() > 2 * 600  # clients add to it by trying again
    assert found.count(at.ANSWERED) == found.count(at.ASKED) == 1800


def test_whoever_waits_too_long_or_finds_the_queue_full_is_refused_and_what_they_reserved_is_released() -> None:
    """One place, taken for 1 s; two may wait, for 0.3 s. Windows of one request in flight would else stay taken."""
    book = compile_book({"one": [WindowRule("at once", 1000, IN_FLIGHT, 0, ONE_IN_FLIGHT)]})
    tier = CellTier("one", limit="one", retries=0)
    scripts = scripts_of_trace([0, MS, 2 * MS, 3 * MS], 10, [100, 5, 5, 5], subscriber=[1, 2, 3, 4])
    one = Routing(room=1, queue_most=2, queue_s=0.3)
    cell = open_cell(one_pool(1), scripts, one, (tier,), book, keep=True)
    cell.run(400 * MS)
    r = cell.result()
    assert [r.count(what) for what in (at.QUEUE_FULL, at.OVERDUE, at.DROPPED)] == [1, 2, 2]
    assert r.in_flight == 1
    cell.run()
    r = cell.result()
    assert r.count(at.REFUSALS) == 0  # no window was left taken
    assert [asked_ps for asked_ps, *_ in met_of(r)] == [0, 8301 * MS, 8302 * MS, 8003 * MS]


def test_without_a_replica_everybody_is_refused_also_who_waits() -> None:
    scripts = scripts_of_trace([0, MS, 2 * MS], 10, 50)
    nobody = [Tick(100 * MS, 0, at.KILL), Tick(PS_PER_S, 0, at.UP)]
    cell = open_cell(one_pool(1), scripts, Routing(room=1), (CellTier("a", retries=0),), ticks=nobody)
    cell.run(200 * MS)
    r = cell.result()
    assert [r.count(what) for what in (at.NO_CAPACITY, at.DROPPED, at.HANDED_BACK)] == [3, 3, 1]
    assert r.in_flight == 0
    cell.run()
    assert cell.result().count(at.ANSWERED) == 3


def waits_s(queue: str, flood_tier: int, tier: int, subscriber: int) -> float:
    """The longest wait of who asks once a second, while 400 requests are asked at once by somebody else. [s]"""
    ask = steady(1, 20) + MS
    arrival = np.concatenate([np.zeros(400, np.int64), ask])
    tiers = np.repeat([flood_tier, tier], [400, 20])
    scripts = scripts_of_trace(arrival, 10, 10, tiers, np.repeat([1, subscriber], [400, 20]))
    routing = Routing(room=1, queue=queue, queue_most=500)
    cell = open_cell(one_pool(1), scripts, routing, (CellTier("a", quantum=20), CellTier("b", quantum=20)), keep=True)
    cell.run()
    met = np.array(met_of(cell.result()))[400:]
    return float((met[:, 2] - met[:, 0]).max()) / PS_PER_S


@pytest.mark.parametrize(("tier", "subscriber"), [(1, 2), (0, 2)], ids=["tier", "subscriber"])
def test_a_flood_by_one_starves_the_others_first_come_first_served_and_not_in_a_fair_queue(
    tier: int, subscriber: int
) -> None:
    """400 requests of 0.1 s each are 40 s of work."""
    assert waits_s("fifo", 0, tier, subscriber) > 38
    assert waits_s("fair", 0, tier, subscriber) < 0.4


def test_tiers_share_by_their_quanta_while_both_wait() -> None:
    """Requests of 100 tokens, one place: of the first 40 served the tier with three times the quantum has 30."""
    scripts = scripts_of_trace(np.zeros(200, np.int64), 100, 1, np.arange(200) % 2)
    tiers = (CellTier("a", quantum=300), CellTier("b", quantum=100))
    cell = open_cell(one_pool(1), scripts, Routing(room=1, queue="fair", queue_most=200), tiers)
    cell.run(400 * MS + 1)
    found = cell.result()
    assert abs(found.count(at.ANSWERED, "a") - 30) <= 3
    assert found.count(at.ANSWERED) == 40


def test_who_floods_a_full_fair_queue_crowds_out_themselves() -> None:
    scripts = scripts_of_trace([*[0] * 20, MS], 10, 10, 0, [*[1] * 20, 2])
    cell = open_cell(one_pool(1), scripts, Routing(room=1, queue="fair", queue_most=5), (CellTier("a", retries=0),))
    cell.run(2 * MS)
    found = cell.result()
    assert found.count(at.QUEUE_FULL) == 14 + 1
    assert found.count(at.DROPPED) == 1
    cell.run(301 * MS)
    assert cell.result().count(at.ANSWERED) == 3
    assert cell.people.agents.reshape(-1, at.AGENT_FIELDS)[21, at.STEP] == 21  # who came last is one of three


def test_every_mistake_in_ticks_and_queues_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"queue 'best'.*no room.*0 s in the queue.*ageing -1.*on_kill 'forget'"):
        Routing(queue="best", queue_s=0.0, ageing=-1, on_kill="forget")
    with pytest.raises(ValueError, match=r"needs queue_most"):
        Routing(room=2, queue="fair")
    wrong = [
        Tick(5, 3, at.KILL),
        Tick(4, 0, at.CLOSE),
        Tick(5, 0, at.SLOW, 1000),
        Tick(6, 0, 99),
        Tick(FOREVER_PS, 1, at.UP, 2),
        Tick(FOREVER_PS - 1, DOOR, at.MISROUTE, 1025),
    ]
    expected = r"tick 0, KILL, is of 3: a replica from 0 to 1.*tick 1, CLOSE, is of 0: the door.*tick 1 is at 4 ps"
    with pytest.raises(
        ValueError,
        match=expected + r".*1000 / 1024.*tick 3 does 99.*only SLOW and MISROUTE.*tick 4 is at.*misroutes 1025",
    ):
        open_cell(one_pool(2), scripts_of_trace([0], 1, 1), Routing(), ticks=wrong)
