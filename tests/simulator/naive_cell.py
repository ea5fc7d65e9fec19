"""A cell once more, with objects: naive replicas, a plain list of events, the policy called as plain Python.

Of the code under test it uses nothing; of `policy/` the decisions that the cell uses too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from naive import BLOCK, Iteration, Replica, Request, Rules

from ampacity.policy import limits
from ampacity.policy.book import HELD_FIELDS, LIMIT, PLACE, REFILL, STATE_FIELDS, STORE_FIELDS
from ampacity.policy.homes import home_within
from ampacity.policy.mixing import mixed
from ampacity.policy.routing import (
    MOVE_MOST_NS,
    NOBODY,
    R_BACKLOG,
    R_REQUESTS,
    R_SHARE,
    REPLICA_FIELDS,
    WHOLE_SHARE,
    at_random,
    better_of_two,
    in_turn,
    late_bound,
    least,
)
from ampacity.policy.rows import IN_FLIGHT
from ampacity.policy.stores import FOREVER

MS = 10**9
NEVER = 1 << 62


class Stepper(Replica):
    """A naive replica that others drive: it begins an iteration, ends it, and says who ended with it."""

    def __init__(self, rules: Rules, ticks: Callable[[int, int, int, int], int], unit: int) -> None:
        super().__init__(rules, ticks, unit)
        self.now = 0  # in units: when the last iteration ended, or the one in flight ends
        self.flight: Iteration | None = None
        self.queued: Iteration | None = None
        self.left: dict[Request, int] = {}  # prompt tokens that are seen to be left, of who has not ended
        self.notes: dict[int, list[tuple[Request, int]]] = {}  # by iteration: what is left of prompts once it has run
        self.have_gone: list[tuple[Request, int]] = []
        self.hits: dict[Request, int] = {}

    def send(self, r: Request) -> None:
        r.prompt, r.promised, r.computed = r.inputs, 0, 0
        self.waiting.append(r)
        self.left[r] = r.inputs - r.cacheable

    def chunk(self, it: Iteration, r: Request, chunk: int) -> None:
        super().chunk(it, r, chunk)
        self.notes.setdefault(id(it), []).append((r, r.prompt - r.computed))

    def found(self, r: Request, now_ps: int) -> int:
        n = super().found(r, now_ps)
        self.hits[r] = self.hits.get(r, 0) + n
        return n

    def load(self, it: Iteration, r: Request, until_ps: int) -> None:
        super().load(it, r, until_ps)
        self.notes.setdefault(id(it), []).append((r, r.prompt - r.computed))

    def preempt(self, r: Request, now_ps: int) -> None:
        super().preempt(r, now_ps)
        self.have_gone.append((r, r.prompt - r.cacheable))

    def composed(self, known_ps: int) -> tuple[Iteration, list[tuple[Request, int]]]:
        self.have_gone = []
        return self.compose(known_ps), self.have_gone

    def begin(self, now_ps: int) -> None:
        """Begin what there is to do, if nothing is in flight; all that comes now has come."""
        if self.flight is not None:
            return
        if self.queued is None:
            self.now = max(self.now, now_ps * self.unit)
            it, gave_way = self.composed(now_ps)
            while it.empty() and self.gave_way:
                for r, left in gave_way:
                    self.left[r] = left
                it, gave_way = self.composed(now_ps)
            if it.empty():
                for r, left in self.notes.pop(id(it), []):
                    self.left[r] = left
        else:
            it, gave_way = self.queued
        if not it.empty():
            for r, left in gave_way:
                self.left[r] = left
            self.flight = it
            self.queued = self.composed(self.now // self.unit) if self.rules.lag else None
            self.now += self.ticks(*it.shape())

    def ends_ps(self) -> int:
        return self.now // self.unit if self.flight is not None else NEVER

    def next_ps(self) -> int:
        """When an iteration ends, or a request at which nothing runs has loaded."""
        return self.loading[0][0] if self.flight is None and self.loading else self.ends_ps()

    def end(self) -> list[Request]:
        """End the iteration in flight; who has ended, in order."""
        it, now_ps = self.flight, self.now // self.unit
        assert it is not None
        self.flight = None
        for r, left in self.notes.pop(id(it), []):
            self.left[r] = left
        ended = []
        for r, gain in it.tokens:
            r.out = min(r.out + gain, r.outputs)
            r.first_ps = r.first_ps or now_ps
            if r.out == r.outputs:
                r.finish_ps = now_ps
                self.running.remove(r)
                self.leave_own(r, r.inputs + r.outputs - 1, now_ps)
                ended.append(r)
                del self.left[r]
        for group in dict.fromkeys(r.group for r in ended if r.group):
            if not any(x.group == group for x in self.running):
                self.keep(-group, range(next(r.shared for r in ended if r.group == group)), now_ps)
        if self.queued is not None and self.queued[0].empty():
            self.queued = None
            self.now = self.now // self.unit * self.unit
        return ended

    def cached(self, session: int, group: int, shared: int, most: int, now_ps: int) -> int:
        """Tokens of a prompt that are in memory now."""

        def of(owner: int, first: int) -> int:
            mine = {i for lot in (self.cache, *self.tiers) for s, i in lot if s == owner}
            if not mine or now_ps - self.left_at[owner] > self.rules.idle_ps:
                return 0
            n = first
            while n in mine:
                n += 1
            return n - first

        common = shared
        if group and not self.holds(group):
            common = of(-group, 0)
        own = of(session, shared) if session and common == shared else 0
        return min(common + own, most // BLOCK) * BLOCK


@dataclass(eq=False)
class Agent:
    """Steps as (gap, input, reusable, output), and what each met: arrival, first, finish, replica, 0 if unanswered."""

    number: int
    steps: list[tuple[int, int, int, int]]
    tier: int = 0
    subscriber: int = 0
    group: int = 0
    shared: int = 0
    helpers: list[tuple[int, Agent]] = field(default_factory=list)  # step whose answer starts them
    at: int = 0
    home: int = NOBODY
    tries: int = 0
    visits: dict[int, int] = field(default_factory=dict)  # of replicas: the last step there
    met: list[tuple[int, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.met = [(0, 0, 0, 0)] * len(self.steps)


@dataclass
class Terms:
    """How the cell routes and limits: rule, field, percent, room; book, tiers' rows by name, epoch, seed."""

    rule: str
    by: int
    percent: int
    times: int
    room: int | None
    seed: int
    book: Any = None
    tiers: tuple[dict[str, int], ...] = ({},)
    epoch_ms: int = 1


class NaiveCell:
    """Replicas, agents, events in a list."""

    def __init__(
        self, replicas: list[Stepper], lines: list[int], agents: list[tuple[int, Agent]], terms: Terms
    ) -> None:
        self.replicas, self.lines, self.terms = replicas, lines, terms
        self.events = [(at, agent.number, agent) for at, agent in agents]
        self.queue: list[tuple[Agent, Request]] = []
        self.owner: dict[Request, tuple[Agent, int, int, list[int]]] = {}
        self.states: dict[int, list[int]] = {}
        self.turns = 0
        self.refused: list[tuple[int, int]] = []  # tier, place of the window
        self.reactions = dict.fromkeys(("wait", "later", "switch", "buy", "leave", "retry"), 0)

    def run(self, until_ps: int = NEVER) -> None:
        while True:
            if not self.events and all(r.next_ps() == NEVER for r in self.replicas):
                return
            now = min([r.next_ps() for r in self.replicas] + [at for at, _, _ in self.events])
            if now >= until_ps:
                return
            for i, r in enumerate(self.replicas):
                if r.ends_ps() == now:
                    for request in r.end():
                        self.answered(i, request, now)
            while self.queue and self.send(*self.queue[0], now):
                self.queue.pop(0)
            while any(at == now for at, _, _ in self.events):
                event = min(e for e in ((at, n) for at, n, _ in self.events) if e[0] == now)
                agent = next(a for at, n, a in self.events if (at, n) == event)
                self.events = [e for e in self.events if e[:2] != event]
                self.ask(agent, now)
            for r in self.replicas:
                r.begin(now)

    def ask(self, agent: Agent, now: int) -> None:
        held: list[int] = [0] * HELD_FIELDS
        if agent.subscriber and self.terms.tiers[agent.tier] and not self.admitted(agent, held, now):
            return
        agent.tries = 0
        _, inputs, reusable, outputs = agent.steps[agent.at]
        request = Request(now, inputs, reusable, outputs, agent.number, agent.group, agent.shared)
        self.owner[request] = (agent, now, NOBODY, held)
        if self.queue or not self.send(agent, request, now):
            self.queue.append((agent, request))

    def send(self, agent: Agent, request: Request, now: int) -> bool:
        i = self.choose(agent, now)
        if i == NOBODY:
            return False
        _, asked, _, held = self.owner[request]
        self.owner[request] = (agent, asked, i, held)
        if self.replicas[i].rules.prefix_cache:
            before = agent.visits.get(i)
            since = agent.steps[before + 1 : agent.at + 1] if before is not None else []
            request.cacheable = min((reusable for _, _, reusable, _ in since), default=0)
        agent.visits[i] = agent.at
        self.replicas[i].send(request)
        return True

    def choose(self, agent: Agent, now: int) -> int:
        i = self.chosen(agent, now)
        if i != NOBODY and self.terms.rule != "round-robin":
            self.turns += 1
        return i

    def chosen(self, agent: Agent, now: int) -> int:
        cell, t, n = self.lines, self.terms, len(self.replicas)
        for i, r in enumerate(self.replicas):
            cell[i * REPLICA_FIELDS + R_REQUESTS] = len(r.left)
            cell[i * REPLICA_FIELDS + R_BACKLOG] = sum(r.left.values())
            full = t.room is not None and len(r.left) >= t.room
            cell[i * REPLICA_FIELDS + R_SHARE] = 0 if full else WHOLE_SHARE
        if t.rule == "round-robin":
            turn = in_turn(cell, 0, n, 0, self.turns)
            if turn == NOBODY:
                return NOBODY
            self.turns = turn + 1
            return turn % n
        if t.rule == "affinity":
            return home_within(cell, 0, n, mixed(t.seed + agent.number), t.by, 1, t.percent, 0)
        if t.rule == "least":
            return least(cell, 0, n, t.by, 0, self.turns)
        if t.rule == "soonest":
            _, inputs, reusable, _ = agent.steps[agent.at]
            there = 0
            if agent.home != NOBODY:
                home = self.replicas[agent.home]
                there = home.cached(agent.number, agent.group, agent.shared, reusable, now)
            shared = min(agent.shared * BLOCK, there)
            return late_bound(cell, 0, n, agent.home, there, shared, MOVE_MOST_NS, t.times, inputs, 0, self.turns)
        draw = mixed(t.seed + self.turns)
        return better_of_two(cell, 0, n, t.by, 0, draw) if t.rule == "two-choices" else at_random(cell, 0, n, 0, draw)

    def answered(self, i: int, request: Request, now: int) -> None:
        agent, asked, _, held = self.owner.pop(request)
        step = agent.at
        agent.met[step] = (asked, request.first_ps, now, i)
        agent.home = i
        self.settle(agent, request, held, now)
        for after, helper in agent.helpers:
            if after == step:
                self.events.append((now + helper.steps[0][0], helper.number, helper))
        agent.helpers = [(after, helper) for after, helper in agent.helpers if after != step]
        agent.at += 1
        if agent.at < len(agent.steps):
            self.events.append((now + agent.steps[agent.at][0], agent.number, agent))

    # windows

    def state(self, agent: Agent) -> list[int]:
        return self.states.setdefault(agent.subscriber, [0] * STATE_FIELDS)

    def drawn(self, agent: Agent, now_ms: int, purpose: int) -> int:
        return mixed(mixed(self.terms.seed + agent.number) + 4 * now_ms + purpose)

    def admitted(self, agent: Agent, held: list[int], now: int) -> bool:
        t, tier, book = self.terms, self.terms.tiers[agent.tier], self.terms.book.flat
        now_ms = t.epoch_ms + now // MS
        state = self.state(agent)
        inputs = agent.steps[agent.at][1]
        limits.hold(state, 0, book, tier["limit"], tier["plan"], held, 0, now_ms, FOREVER, inputs, tier["output_most"])
        window = limits.reserve(state, book, held, 0, 1, now_ms, self.drawn(agent, now_ms, 0) % 1000)
        if window == 0:
            return True
        self.refused.append((agent.tier, book[window + PLACE] // STORE_FIELDS))
        back = limits.retry_at_ms(state, book, held, 0, 1, now_ms)
        held[LIMIT] = 0
        if agent.tries < tier["retries"]:
            self.reactions["retry"] += 1
            agent.tries += 1
            if back - now_ms <= tier["told_ms"]:
                self.wake(agent, (back - t.epoch_ms) * MS)
            else:
                wait_ms = min(500 * 2 ** (agent.tries - 1), 8000)
                self.wake(agent, now + wait_ms * (1000 - self.drawn(agent, now_ms, 1) % 251) * 10**6)
            return False
        agent.tries = 0
        if book[window + REFILL] == IN_FLIGHT:
            back = now_ms + 8000
        self.react(agent, tier, back, now_ms, now)
        return False

    def react(self, agent: Agent, tier: dict[str, int], back: int, now_ms: int, now: int) -> None:
        shares = [tier[name] for name in ("wait", "later", "switch", "buy")]
        draw = self.drawn(agent, now_ms, 2) % 1000
        if draw < shares[0] and back - now_ms > tier["patience_ms"]:
            draw = shares[0] + draw * (1000 - shares[0]) // shares[0]
        if back == FOREVER:
            draw = 1000
        names = ("wait", "later", "switch", "buy", "leave")
        reaction = next((name for i, name in enumerate(names[:4]) if draw < sum(shares[: i + 1])), "leave")
        self.reactions[reaction] += 1
        if reaction == "wait":
            self.wake(agent, (back - self.terms.epoch_ms) * MS)
        elif reaction == "later":
            delay = self.drawn(agent, now_ms, 3) % (2 * tier["delay_ms"] + 1)
            self.wake(agent, (back + delay - self.terms.epoch_ms) * MS)
        elif reaction == "buy":
            agent.subscriber = 0
            self.wake(agent, now)

    def wake(self, agent: Agent, at: int) -> None:
        self.events += [(at, agent.number, agent)] if at < NEVER - MS else []

    def settle(self, agent: Agent, request: Request, held: list[int], now: int) -> None:
        if not held[LIMIT]:
            return
        tier = self.terms.tiers[agent.tier]
        _, inputs, reusable, outputs = agent.steps[agent.at]
        read = min(self.replicas[agent.home].hits[request], reusable)
        rest = inputs - read
        written = rest if tier["writes"] else 0
        now_ms = self.terms.epoch_ms + now // MS
        limits.settle(self.state(agent), self.terms.book.flat, held, 0, now_ms, rest - written, written, read, outputs)
