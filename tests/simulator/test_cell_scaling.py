"""Replicas that come and go with the load, against a naive cell with ==; what is followed, what does not flap."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cells import by_cell, by_naive_cell, drawn_scaling, opened
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cell_ticks import COUNTED, MS, REACTIONS, counted, one_pool

from ampacity.policy.book import STATE_FIELDS
from ampacity.simulator import cell as cell_module
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_terms import Routing
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.scaling import Scaling
from ampacity.simulator.scripts import Scripts, scripts_of_trace
from ampacity.simulator.ticks import Tick


@pytest.mark.parametrize("queue", ["fifo", "fair"])
def test_a_cell_that_scales_gives_what_a_naive_one_gives(queue: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(110):
        w = drawn_scaling(seed, queue)
        naive, expected = by_naive_cell(w)
        cell = opened(w)
        cell.run()
        found = cell.result()
        assert found.met is not None
        assert [tuple(row) for row in found.met[:, :4].tolist()] == expected, f"seed {seed}: {w.scaling}, {w.ticks}"
        assert counted(found) == naive.counts, seed
        assert {name: found.count(what) for name, what in REACTIONS.items()} == naive.reactions
        states = cell.windows.states.reshape(-1, STATE_FIELDS)
        assert all(states[who].tolist() == state for who, state in naive.states.items())
        s = naive.scaler
        assert s is not None
        assert found.scaled == (s.starts, s.taken_back, s.drains, s.here_ps), seed
        seen.update(starts=s.starts, back=s.taken_back, drains=s.drains, **naive.reactions)
        seen.update({name: n for (name, _), n in naive.counts.items()})
    assert min(seen[name] for name in ("starts", "back", "drains")) > 15, seen
    assert min(seen[name] for name in (*COUNTED, *REACTIONS)) > 3, seen


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["fifo", "fair"]))
def test_plain_source_and_compiled_source_agree_about_scaling(seed: int, queue: str) -> None:
    w = drawn_scaling(seed, queue)
    (plain, met), (compiled, same) = by_cell(w, plain=True), by_cell(w)
    assert met == same
    assert (plain.counts == compiled.counts).all()
    assert plain.scaled == compiled.scaled


@pytest.mark.parametrize("seed", range(20, 30))
def test_cutting_a_run_at_looks_changes_no_byte(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    w = drawn_scaling(seed)
    whole = opened(w)
    whole.run()
    monkeypatch.setattr(cell_module, "ROWS_AT_FIRST", 1)
    cut = opened(w)
    assert w.scaling is not None
    every = round(w.scaling.every_s * 1000) * MS
    for until in range(every, 12 * every, every):
        cut.run(until)
        cut.run(until + 1)
    cut.run()
    assert whole.found.met.tobytes() == cut.found.met.tobytes()
    assert whole.people.agents.tobytes() == cut.people.agents.tobytes()
    assert whole.result().scaled == cut.result().scaled


def waves(*spans: tuple[int, int]) -> np.ndarray:
    """Instants of requests: so many a second for so many seconds, one span after the other."""
    found, since = [], 0
    for per_s, seconds in spans:
        found.append(since + np.arange(per_s * seconds) * PS_PER_S // per_s)
        since += seconds * PS_PER_S
    return np.concatenate(found)


def stages(cell: Cell) -> list[int]:
    """Of every replica."""
    s = int(cell.desk.cell[at.SCALED])
    return [int(n) for n in cell.desk.cell[s + at.SCALED_HEADER :: at.SCALED_FIELDS]]


def seconds_here(cell: Cell) -> float:
    return cell.result().scaled.here_ps / PS_PER_S


def test_a_step_of_load_is_followed_up_after_the_start_and_down_after_the_calm() -> None:
    """Each request takes a second, so as many a second are outstanding: 3, then 31, then 3; four to a replica."""
    scripts = scripts_of_trace(waves((3, 100), (31, 200), (3, 200)), 10, 100)
    follow = Scaling(target=4, every_s=5, start_s=20, calm_s=60)
    cell = open_cell(one_pool(12), scripts, Routing("least", by="requests"), scaling=follow, keep=True)
    serving = {}
    for s in (99, 104, 106, 124, 126, 299, 355, 400):
        cell.run(s * PS_PER_S)
        serving[s] = stages(cell).count(at.IN_SERVICE), stages(cell).count(at.STARTING)
    assert serving[99] == (1, 0)
    assert serving[104] == (1, 0)  # the look at 100 s sees nothing of it yet
    assert serving[106] == serving[124] == (1, 7)  # 31 of 4 each
    assert serving[126] == serving[299] == serving[355] == (8, 0)
    assert serving[400] == (1, 0)
    cell.run(500 * PS_PER_S)
    held = seconds_here(cell)
    assert cell.result().scaled[:3] == (7, 0, 7)
    assert held == pytest.approx(500 + 7 * (365 - 105), abs=7 * 10)  # as paid for: until the look that finds it empty
    cell.run()
    assert cell.result().count(at.ANSWERED) == len(scripts)
    assert seconds_here(cell) - held < 10  # looks end with the work


@pytest.mark.parametrize(("calm_s", "starts", "drains"), [(60, 1, 0), (0, 10, 10)])
def test_a_load_that_swings_about_the_target_does_not_flap(calm_s: float, starts: int, drains: int) -> None:
    """Ten seconds with 7 outstanding, ten with 3, of 4 to a replica, for 200 s."""
    scripts = scripts_of_trace(waves(*[(7, 10), (3, 10)] * 10, (3, 30)), 10, 100)
    follow = Scaling(target=4, every_s=2, start_s=4, calm_s=calm_s)
    cell = open_cell(one_pool(4), scripts, Routing("least", by="requests"), scaling=follow)
    cell.run(205 * PS_PER_S)
    done = cell.result().scaled
    assert (done.starts + done.taken_back, done.drains) == (starts, drains)


@pytest.mark.parametrize(("holds_s", "back", "hits"), [(60, 1, 320), (20, 0, 0)], ids=["taken back", "gone"])
def test_a_replica_taken_back_has_its_memory_and_one_that_was_gone_has_none(holds_s: int, back: int, hits: int) -> None:
    """By turns: a session on the second replica, which then drains with a request of `holds_s`; load comes at 50 s."""
    single = [(0, 9000), (PS_PER_S, 5), (PS_PER_S + 1, 100 * holds_s), (50 * PS_PER_S, 4000), (50 * PS_PER_S, 4000)]
    steps = np.array([[0, 320, 0, 16], [80 * PS_PER_S, 400, 335, 16], *([0, 10, 0, out] for _, out in single)])
    agents = np.zeros((7, at.AGENT_FIELDS), np.int64)
    agents[2, [at.STEP, at.LAST, at.CONTEXT]] = 0, 2, 1  # behind the first of the others
    starts = [(0, 2)]
    for step, (agent, (begin_ps, _)) in enumerate(zip((1, 3, 4, 5, 6), single, strict=True), 2):
        agents[agent, [at.STEP, at.LAST]] = step, step + 1
        starts.append((begin_ps, agent))
    follow = Scaling(2, first=2, every_s=15, start_s=5, calm_s=0)
    scripts = Scripts(np.array(sorted(starts)), agents, steps, 1)
    cell = open_cell(one_pool(2), scripts, Routing("round-robin"), scaling=follow, keep=True)
    cell.run(16 * PS_PER_S)
    assert stages(cell) == [at.IN_SERVICE, at.LEAVING]
    cell.run(31 * PS_PER_S)
    assert stages(cell) == [at.IN_SERVICE, at.LEAVING if back else at.ABSENT]
    cell.run()
    found = cell.result()
    assert found.met is not None
    assert found.met[:2, at.MET_REPLICA].tolist() == [1, 1]
    assert found.met[1, at.MET_HITS] == hits
    assert found.scaled[:3] == (1 - back, back, 1 + 1)


def test_for_a_replica_that_is_out_another_starts_until_it_is_back() -> None:
    scripts = scripts_of_trace(waves((7, 300)), 10, 100)
    out = [Tick(50 * PS_PER_S, 0, at.KILL), Tick(100 * PS_PER_S, 0, at.UP)]
    follow = Scaling(target=4, first=2, every_s=5, start_s=10, calm_s=30)
    cell = open_cell(one_pool(3), scripts, Routing("least", by="requests"), ticks=out, scaling=follow, keep=True)
    cell.run(52 * PS_PER_S)
    assert stages(cell) == [at.IN_SERVICE, at.IN_SERVICE, at.ABSENT]
    cell.run(66 * PS_PER_S)
    assert stages(cell) == [at.IN_SERVICE] * 3
    cell.run(200 * PS_PER_S)
    assert stages(cell).count(at.IN_SERVICE) == 2
    cell.run()
    assert cell.result().scaled[:3] == (1, 0, 1)
    assert cell.result().count(at.ANSWERED) == len(scripts)


def test_every_mistake_in_scaling_is_named_at_once() -> None:
    wrong = Scaling(0, by="luck", least=3, most=5, first=2, every_s=0, start_s=0)
    expected = (
        r"by 'luck'.*a look every 0 s.*most is 5: the pool has 4.*first is 2: from 3 to 5.*target is 0.*start_ms is 0"
    )
    with pytest.raises(ValueError, match=expected):
        open_cell(one_pool(4), scripts_of_trace([0], 1, 1), Routing(), scaling=wrong)
    with pytest.raises(ValueError, match="by tokens, and room"):
        open_cell(one_pool(4), scripts_of_trace([0], 1, 1), Routing(room=1), scaling=Scaling(9, by="tokens"))
    with pytest.raises(ValueError, match="pool 1 scales: one from 0 to 0"):
        open_cell(one_pool(4), scripts_of_trace([0], 1, 1), Routing(), scaling=Scaling(9, pool=1))
