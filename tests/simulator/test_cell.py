"""A cell against a naive one, with ==; what it may not see; what is conserved; how it recovers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cells import RULES, by_cell, by_naive_cell, drawn_cell, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.sessions import generate
from ampacity.policy.routing import R_BACKLOG, R_SHARE, REPLICA_FIELDS, WHOLE_SHARE, least, replica_rows
from ampacity.simulator import cell as cell_module
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine
from ampacity.simulator.route import BY_SOONEST, TAKES_NOTHING, least_loaded
from ampacity.simulator.scripts import Scripts, checked, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.step_table import TICKS, StepTable

REACTIONS = {
    "retry": at.RETRIES_MADE,
    "wait": at.WAITED,
    "later": at.CAME_LATER,
    "switch": at.SWITCHED_AWAY,
    "buy": at.BOUGHT,
    "leave": at.LEFT,
}
MS = PS_PER_S // 1000
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)


def pool(replicas: int, step: StepTable = TEN_MS, **rules: object) -> Pool:
    return Pool(Engine(**{"kv_blocks": 10_000, "lag": 0, "max_seqs": 256, **rules}), step, replicas)  # type: ignore[arg-type]


def met_by(scripts: Scripts, routing: Routing, *pools: Pool) -> np.ndarray:
    cell = open_cell(pools, scripts, routing, keep=True)
    cell.run()
    found = cell.result().met
    assert found is not None
    return found


def test_every_request_goes_to_the_same_replica_and_ends_at_the_same_picosecond_as_in_a_naive_cell() -> None:
    requests = moved = refused = 0
    rules: Counter[str] = Counter()
    reactions: Counter[str] = Counter()
    for seed in range(600):
        w = drawn_cell(seed)
        naive, expected = by_naive_cell(w)
        found, met = by_cell(w)
        assert met == expected, f"seed {seed}: {w.routing}"
        assert found.count(at.REFUSALS) == len(naive.refused)
        assert {name: found.count(what) for name, what in REACTIONS.items()} == naive.reactions
        requests, moved, refused = requests + len(met), moved + found.count(at.MOVES), refused + len(naive.refused)
        rules[w.routing.rule] += 1
        reactions.update(naive.reactions)
    assert requests > 10_000
    assert moved > 2_000
    assert refused > 1_000
    assert min(rules[rule] for rule in RULES) > 10
    assert min(reactions.values()) > 10


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_plain_source_and_compiled_source_agree(seed: int) -> None:
    w = drawn_cell(seed)
    (plain, met), (compiled, same) = by_cell(w, plain=True), by_cell(w)
    assert met == same
    assert (plain.counts == compiled.counts).all()
    assert (plain.histograms == compiled.histograms).all()


def test_requests_that_tie_with_iterations_meet_the_iteration_that_begins_then() -> None:
    ties = 0
    for seed in range(400):
        w = drawn_cell(seed, limited=False)
        if w.sessions.table.per_iteration % MS or len(w.pools) > 1:
            continue
        _, expected = by_naive_cell(w)
        assert by_cell(w)[1] == expected
        ends = {t for _, first, finish, _ in expected for t in (first, finish)}
        ties += sum(asked in ends for asked, _, _, _ in expected)
        if ties > 60:
            return
    raise AssertionError("too few ties")


def test_who_routes_sees_nothing_of_the_iteration_in_flight_and_all_of_one_that_ends_now() -> None:
    """Outputs of 2 tokens on iterations of 10 ms: what comes at 0 ends at 20 ms."""
    for asked_ps, replica in ((20 * MS - 1, 1), (20 * MS, 0)):
        scripts = scripts_of_trace([0, 5 * MS, asked_ps], [10, 10, 10], [2, 9, 2])
        cell = open_cell((pool(2),), scripts, Routing("least", by="requests"), keep=True)
        cell.desk.cell[at.TURNS] = 2  # so that replica 0 is first among equals
        cell.run(5 * MS + 1)
        cell.desk.cell[at.TURNS] = 1
        cell.run()
        met = cell.result().met
        assert met is not None
        assert met[:2, at.MET_REPLICA].tolist() == [0, 1]
        assert met[2, at.MET_REPLICA] == replica


def test_a_session_that_moves_finds_the_replica_as_it_is_now() -> None:
    """A replica that decodes alone for 1,000 s is not looked at; whoever comes meanwhile meets its next iteration."""
    scripts = scripts_of_trace([0, 0, 500 * PS_PER_S + 3 * MS], [10, 10, 10], [100_000, 100_000, 5])
    met = met_by(scripts, Routing("round-robin"), pool(2))
    assert met[2, at.MET_REPLICA] == 0
    assert met[2, at.MET_FIRST_PS] == 500 * PS_PER_S + 20 * MS
    assert met[0, at.MET_FINISH_PS] == 1000 * PS_PER_S


def test_a_session_that_moves_finds_nothing_of_its_context_and_one_that_stays_does() -> None:
    agents = np.zeros((2, at.AGENT_FIELDS), np.int64)
    agents[1, [at.LAST, at.CONTEXT]] = 2, 1
    steps = np.array([[0, 320, 0, 16], [PS_PER_S, 480, 335, 16]])
    scripts = Scripts(np.array([[0, 1]]), agents, steps, 1)
    moves, stays = (met_by(scripts, Routing(rule), pool(2)) for rule in ("round-robin", "soonest"))
    assert moves[:, at.MET_HITS].tolist() == [0, 0]
    assert stays[:, at.MET_HITS].tolist() == [0, 320]
    assert stays[0, at.MET_REPLICA] == stays[1, at.MET_REPLICA]


def test_a_session_that_returns_finds_only_what_it_has_not_cut_off_since() -> None:
    """Turns on two replicas; the second step, elsewhere, cuts the context to 32 tokens, which then grows again."""
    agents = np.zeros((2, at.AGENT_FIELDS), np.int64)
    agents[1, [at.LAST, at.CONTEXT]] = 3, 1
    for kept, found in ((32, 32), (335, 320)):
        steps = np.array([[0, 320, 0, 16], [PS_PER_S, 336, kept, 16], [PS_PER_S, 500, 351, 16]])
        met = met_by(Scripts(np.array([[0, 1]]), agents, steps, 1), Routing("round-robin"), pool(2))
        assert met[:, at.MET_HITS].tolist() == [0, 0, found]


@pytest.mark.parametrize("seed", range(40, 52))
def test_cutting_a_run_into_calls_changes_no_byte(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    w = drawn_cell(seed)
    whole = opened(w)
    whole.run()
    monkeypatch.setattr(cell_module, "ROWS_AT_FIRST", 1)  # and rows of requests are made as they are needed
    cut = opened(w)
    ends = sorted({int(t) for t in whole.found.met.tolist()})
    for t in np.random.default_rng(seed).choice(ends, 9).tolist():
        if t > cut.now_ps:
            cut.run(t)
    cut.run()
    for name in ("counts", "histograms", "met"):
        assert getattr(whole.found, name).tobytes() == getattr(cut.found, name).tobytes()
    assert whole.people.agents.tobytes() == cut.people.agents.tobytes()
    assert whole.windows.states.tobytes() == cut.windows.states.tobytes()


def test_requests_and_tokens_are_conserved() -> None:
    lost = 0
    for seed in range(100):
        w = drawn_cell(seed)
        cell = opened(w)
        steps = sum(len(c) for c in w.sessions.chains)
        for until in (PS_PER_S // 2, 2 * PS_PER_S, FOREVER_PS):
            cell.run(until)
            r = cell.result()
            assert r.count(at.SENT) == r.count(at.ANSWERED) + r.in_flight
            assert r.count(at.SENT) <= r.count(at.ASKED) <= steps
        assert r.in_flight == 0
        lost += r.count(at.STEPS_LOST)
        assert r.count(at.ANSWERED) + r.count(at.STEPS_LOST) + never_back(cell) == steps
        if r.preemptions == 0:
            assert r.prompt_tokens + r.hit_tokens == r.count(at.INPUT_TOKENS)
        assert sum(r.counts[:, at.BY_WINDOW :].sum(axis=1)) == r.count(at.REFUSALS)
        for metric in (at.TTFT, at.LATENCY):
            assert r.histograms[:, metric].sum() == r.count(at.ANSWERED)
    assert lost > 50


def never_back(cell: Cell) -> int:
    """Steps of agents whose window returns after the end of time, and of those whom they would have started."""
    wakes, agents = cell.people.wakes, cell.people.agents.reshape(-1, at.AGENT_FIELDS)
    left = 0
    stack = [int(wakes[2 + 2 * i]) for i in range(int(wakes[0]))]
    while stack:
        agent = agents[stack.pop()]
        left += int(agent[at.LAST] - agent[at.STEP])
        child = int(agent[at.CHILD])
        while child:
            stack.append(child)
            child = int(agents[child, at.SIBLING])
    return left


def test_the_least_load_in_the_column_is_the_policy_s_choice() -> None:
    rng = np.random.default_rng(4)
    chosen = set()
    for _ in range(3000):
        count = int(rng.integers(1, 12))
        row = np.zeros(at.CELL_FIELDS + count * (REPLICA_FIELDS + at.PLACED_FIELDS + at.COLUMNS), np.int64)
        row[at.REPLICAS] = count
        rows = np.array(replica_rows(range(count), 5)).reshape(count, REPLICA_FIELDS)
        rows[:, R_BACKLOG] = rng.integers(0, 4, count)
        rows[:, R_SHARE] = rng.choice([0, WHOLE_SHARE], count)
        loads = len(row) - at.COLUMNS * count
        row[loads : loads + count] = np.where(rows[:, R_SHARE] > 0, rows[:, R_BACKLOG], TAKES_NOTHING)
        start = int(rng.integers(0, 30))
        choice = least_loaded(row, start)
        assert choice == least(rows.reshape(-1).tolist(), 0, count, R_BACKLOG, 0, start)
        chosen.add(choice)
    assert chosen == set(range(-1, 11))


def agents_at_100k_tokens(replicas: int, agents_each: int, steps_each: int) -> Scripts:
    """All begin without anything in memory."""
    rng = np.random.default_rng(1)
    n = replicas * agents_each
    agents = np.zeros((n + 1, at.AGENT_FIELDS), np.int64)
    agents[1:, at.STEP] = np.arange(n) * steps_each
    agents[1:, at.LAST] = agents[1:, at.STEP] + steps_each
    agents[1:, at.CONTEXT] = np.arange(1, n + 1)
    added, outputs = rng.integers(200, 1200, (n, steps_each)), rng.integers(50, 400, (n, steps_each))
    context = 100_000 + np.cumsum(added + outputs, axis=1) - outputs
    steps = np.zeros((n, steps_each, at.ASK_FIELDS), np.int64)
    steps[..., at.ASK_GAP_PS] = rng.exponential(30 * PS_PER_S, (n, steps_each)).astype(np.int64)
    steps[..., at.ASK_INPUT], steps[..., at.ASK_OUTPUT] = context, outputs
    steps[:, 1:, at.ASK_REUSABLE] = context[:, :-1] + outputs[:, :-1] - 1
    starts = np.array(sorted((int(gap), i) for i, gap in enumerate(steps[:, 0, at.ASK_GAP_PS], 1)))
    return checked(Scripts(starts, agents, steps.reshape(-1, at.ASK_FIELDS), n))


def test_plain_late_binding_destroys_affinity_and_least_wait_plus_prefill_restores_it() -> None:
    """20,000 uncached tokens a second each: with caches a third of what is asked, without five times as much."""
    step = StepTable(per_iteration=8 * 10**9 * TICKS, per_token=5 * 10**7 * TICKS, pieces=((0, 2000 * TICKS, 0),))
    scripts = agents_at_100k_tokens(8, 30, 60)
    inputs = scripts.steps[:, at.ASK_INPUT]

    def share_found(cell: Cell, since: int) -> float:
        met = np.asarray(cell.found.met).reshape(-1, at.MET_FIELDS)
        which = met[:, at.MET_ARRIVAL_PS] >= since
        return float(met[which, at.MET_HITS].sum() / inputs[which].sum())

    switch, later = 2400 * PS_PER_S, 4200 * PS_PER_S
    late = open_cell((pool(8, step, kv_blocks=30 * 150_000 // 16),), scripts, Routing(by="requests", room=4), keep=True)
    late.run(switch)
    assert share_found(late, PS_PER_S) < 0.2  # one in eight comes home by chance
    late.desk.cell[[at.ROUTE, at.ROOM]] = BY_SOONEST, 10_000
    late.run()
    assert share_found(late, later) > 0.95
    cold = open_cell((pool(8, step, kv_blocks=30 * 150_000 // 16),), scripts, Routing("soonest"), keep=True)
    cold.run()
    assert share_found(cold, 300 * PS_PER_S) > 0.95


def test_drawn_sessions_ask_when_the_answers_before_have_come_and_helpers_when_they_are_started() -> None:
    steps = generate(packaged_model(), 3, np.arange(60))
    first = np.flatnonzero(steps.step == 0)
    assert (steps.agent[first] > 0).sum() > 3
    begin_s = np.linspace(0, 100, 60)
    scripts = scripts_of_sessions(steps, begin_s, shared_tokens=(1600,), group=np.arange(60) % 2)
    met = met_by(scripts, Routing("soonest"), pool(4, kv_blocks=200_000))
    gap = scripts.steps[:, at.ASK_GAP_PS]
    goes_on = np.flatnonzero(steps.step > 0)
    waited = met[goes_on, at.MET_ARRIVAL_PS] - met[goes_on - 1, at.MET_FINISH_PS]
    assert (waited == gap[goes_on]).all()
    main = {int(steps.session[i]): i for i in first if steps.agent[i] == 0}
    for i in first[steps.agent[first] > 0]:
        parent = main[int(steps.session[i])] + steps.start_step[i]
        assert met[i, at.MET_ARRIVAL_PS] == met[parent, at.MET_FINISH_PS]
    for session, i in main.items():
        assert met[i, at.MET_ARRIVAL_PS] == pytest.approx(begin_s[session] * PS_PER_S, abs=PS_PER_S // 10**6)


def test_every_mistake_in_a_cell_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"rule 'best'.*by 'luck'.*99 %.*0 requests"):
        Routing("best", by="luck", percent=99, room=0)
    with pytest.raises(ValueError, match=r"step 1 has a gap below 0.*has no input.*reuses"):
        steps = np.array([[0, 5, 0, 5], [-1, 0, 5, 5]])
        checked(Scripts(np.array([[0, 1]]), np.zeros((2, at.AGENT_FIELDS), np.int64), steps, 0))
    with pytest.raises(ValueError, match=r"pool 0 has 0 replicas.*needs 199 tokens.*tier 1"):
        open_cell((pool(0, kv_blocks=5),), scripts_of_trace(0, 100, 100, tier=1), Routing(), (CellTier("one"),))


def test_an_iteration_that_whole_numbers_cannot_count_is_refused_with_what_would_help() -> None:
    slow = Pool(Engine(1 << 16, token_budget=1 << 15), StepTable(per_iteration=TICKS, prefill_a2=1 << 31), 1)
    with pytest.raises(ValueError, match=r"pool 0: an iteration may take 1,\d+ s, beyond the 281 s.*fewer tokens"):
        open_cell((slow,), scripts_of_trace([0], 130_000, 10), Routing())
