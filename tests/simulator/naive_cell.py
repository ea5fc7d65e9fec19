"""A cell once more, with objects: naive replicas, a plain list of events, the policy called as plain Python.

Of the code under test it uses nothing; of `policy/` the decisions that the cell uses too.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from naive import BLOCK, Request
from naive_line import Agent, Line, Terms
from naive_scaler import Scaler
from stepper import NEVER, Stepper

from ampacity.policy import capacity_cap, limits
from ampacity.policy.book import HELD_FIELDS, LIMIT, PLACE, REFILL, STATE_FIELDS, STORE_FIELDS
from ampacity.policy.homes import home_within
from ampacity.policy.mixing import mixed
from ampacity.policy.routing import (
    MOVE_MOST_NS,
    NOBODY,
    R_BACKLOG,
    R_FULL,
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
from ampacity.simulator.cell_rows import CLOSE, KILL, MISROUTE, OPEN, SLOW, UP

MS = 10**9


class NaiveCell:
    """Replicas, agents, events in a list."""

    def __init__(
        self, replicas: list[Stepper], lines: list[int], agents: list[tuple[int, Agent]], terms: Terms
    ) -> None:
        self.replicas, self.lines, self.terms = replicas, lines, terms
        self.events = [(at, agent.number, agent) for at, agent in agents]
        self.everybody = [agent for _, agent in agents]
        for agent in self.everybody:
            self.everybody += [helper for _, helper in agent.helpers]
        self.tier_of = {a.subscriber: a.tier for a in reversed(self.everybody)}
        self.queue = Line(terms)
        self.serving = [True] * len(replicas)
        self.shut = False
        self.astray = 0
        self.scaler = Scaler(terms.scaling, terms.pool_of) if terms.scaling else None
        self.ticks = list(terms.ticks)
        self.changes = list(terms.changes)
        self.taken = {tier: [0] * capacity_cap.TAKEN_FIELDS for tier in terms.caps}
        self.of_cap: dict[Request, tuple[int, int]] = {}  # hour and tokens that were taken
        self.counts: Counter[tuple[str, int]] = Counter()  # by what and tier
        self.first_asked: set[tuple[int, int]] = set()
        self.owner: dict[Request, tuple[Agent, int, int, list[int]]] = {}
        self.states: dict[int, list[int]] = {}
        self.turns = 0
        self.refused: list[tuple[int, int]] = []  # tier, place of the window
        self.hit: set[tuple[int, int, int]] = set()  # tier, subscriber, place
        self.reactions = dict.fromkeys(("wait", "later", "switch", "buy", "leave", "retry"), 0)

    def run(self, until_ps: int = NEVER) -> None:
        while True:
            due = self.scaler.next_ps() if self.scaler else NEVER
            if not self.work_left() and (not self.scaler or self.scaler.look_ps == NEVER):
                for change in self.changes:
                    self.change_limits(*change)
                return
            now = min([r.next_ps() for r in self.replicas] + [at for at, _, _ in self.events])
            now = min(now, self.due_ps(), due, self.ticks[0][0] if self.ticks else NEVER)
            if now >= until_ps:
                return
            while self.changes and self.changes[0][0] <= now:
                self.change_limits(*self.changes.pop(0))
            for i, r in enumerate(self.replicas):
                if r.ends_ps() == now:
                    for request in r.end():
                        self.answered(i, request, now)
            while self.ticks and self.ticks[0][0] == now:
                self.tick(*self.ticks.pop(0))
            if self.scaler and due == now:
                self.scale(self.scaler, now)
            self.look_after_queue(now)
            while any(at == now for at, _, _ in self.events):
                event = min(e for e in ((at, n) for at, n, _ in self.events) if e[0] == now)
                agent = next(a for at, n, a in self.events if (at, n) == event)
                self.events = [e for e in self.events if e[:2] != event]
                self.ask(agent, now)
            for r in self.replicas:
                r.begin(now)

    def work_left(self) -> bool:
        return bool(self.events) or len(self.queue) > 0 or any(r.left for r in self.replicas)

    def scale(self, scaler: Scaler, now: int) -> None:
        by_requests = self.terms.scaling["by"] == R_REQUESTS  # type: ignore[index]
        load = {i: len(r.left) if by_requests else sum(r.left.values()) for i, r in enumerate(self.replicas)}
        for i in scaler.empty_ones(now, {i for i, r in enumerate(self.replicas) if not r.left}):
            assert not self.replicas[i].kill(now)
            for agent in self.everybody:
                agent.visits.pop(i, None)
        out = {i for i, serves in enumerate(self.serving) if not serves}
        scaler.go_on(now, self.now_ms(now), load, len(self.queue) if by_requests else 0, out, self.work_left())

    def takes(self, i: int) -> bool:
        return self.serving[i] and (self.scaler is None or self.scaler.stage.get(i, "in service") == "in service")

    def now_ms(self, now: int) -> int:
        return self.terms.epoch_ms + now // MS

    def due_ps(self) -> int:
        due = self.queue.first_due_ms()
        return (due - self.terms.epoch_ms) * MS if due < FOREVER else NEVER

    def tick(self, now: int, i: int, what: int, ticks: Any) -> None:
        if what in (CLOSE, OPEN):
            self.shut = what == CLOSE
        elif what == MISROUTE:
            self.astray = ticks
        elif what == SLOW:
            self.replicas[i].ticks = ticks
        else:
            self.serving[i] = what == UP
        if what != KILL:
            return
        for request in self.replicas[i].kill(now):
            agent = self.owner[request][0]
            agent.hand = request
            self.queue.correct(request, 0)
            self.events.append((now, agent.number, agent))
        for agent in self.everybody:
            agent.visits.pop(i, None)

    def look_after_queue(self, now: int) -> None:
        alive = any(self.takes(i) for i in range(len(self.replicas)))
        while len(self.queue) and any(self.has_room(i) for i in range(len(self.replicas))):
            assert self.send(*self.queue.take(), now)
        while overdue := self.queue.take_overdue(self.now_ms(now) if alive else FOREVER):
            self.drop(*overdue, "overdue" if alive else "capacity", now)

    def ask(self, agent: Agent, now: int) -> None:
        request, agent.hand = agent.hand, None
        if request is not None:
            self.ask_again(agent, request, now)
            return
        if (agent.number, agent.at) not in self.first_asked:
            self.first_asked.add((agent.number, agent.at))
            self.counts["asked", agent.tier] += 1
        if self.shut:
            self.overloaded(agent, "door", now)
            return
        held: list[int] = [0] * HELD_FIELDS
        if agent.subscriber and self.terms.tiers[agent.tier].get("limit") and not self.admitted(agent, held, now):
            return
        _, inputs, reusable, outputs = agent.steps[agent.at]
        request = Request(now, inputs, reusable, outputs, agent.number, agent.group, agent.shared)
        if agent.tier in self.taken and not self.within_cap(agent, request, held, now):
            return
        self.owner[request] = (agent, now, NOBODY, held)
        if reason := self.take_in(agent, request, now):
            self.turn_away(agent, request, reason, now)
        else:
            self.counts["sent", agent.tier] += 1

    def ask_again(self, agent: Agent, request: Request, now: int) -> None:
        self.counts["back", agent.tier] += 1
        if self.terms.on_kill == "lose":
            self.drop(agent, request, "broken", now)
            return
        if self.terms.on_kill == "recompute":
            self.counts["wasted", agent.tier] += request.out
            request.out = request.first_ps = 0
        self.counts[self.terms.on_kill, agent.tier] += 1
        request.cacheable = agent.steps[agent.at][2]
        if reason := self.take_in(agent, request, now):
            self.drop(agent, request, reason, now)

    def take_in(self, agent: Agent, request: Request, now: int) -> str:
        """Nothing, or why it must be refused."""
        if not len(self.queue) and self.send(agent, request, now):
            self.queue.passed(agent, request, self.now_ms(now))
            return ""
        if not any(self.takes(i) for i in range(len(self.replicas))):
            return "capacity"
        due = self.terms.epoch_ms + -(-(now + self.terms.queue_ps) // MS) if self.terms.queue_ps else FOREVER
        refused = self.queue.add(agent, request, self.now_ms(now), due)
        if refused is not None and refused[1] is not request:
            self.drop(*refused, "full", now)
            refused = None
        return "full" if refused else ""

    def drop(self, agent: Agent, request: Request, reason: str, now: int) -> None:
        self.counts["dropped", agent.tier] += 1
        self.counts["wasted", agent.tier] += request.out
        self.turn_away(agent, request, reason, now)

    def turn_away(self, agent: Agent, request: Request, reason: str, now: int) -> None:
        _, _, _, held = self.owner.pop(request)
        self.correct_cap(agent, request, 0)
        if held[LIMIT]:
            limits.release(self.state(agent), self.terms.book.flat, held, 0, self.now_ms(now))
        self.overloaded(agent, reason, now)

    def overloaded(self, agent: Agent, reason: str, now: int) -> None:
        self.counts[reason, agent.tier] += 1
        tier, now_ms = self.terms.tiers[agent.tier], self.now_ms(now)
        if not self.retried(agent, tier, FOREVER, now_ms, now):
            self.react(agent, tier, now_ms + 8000, now_ms, now, buying=False)

    def has_room(self, i: int) -> bool:
        return self.takes(i) and (self.terms.room is None or len(self.replicas[i].left) < self.terms.room)

    def send(self, agent: Agent, request: Request, now: int) -> bool:
        i = self.choose(agent, now)
        if i == NOBODY:
            return False
        i = self.misled(agent, i, now)
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
            cell[i * REPLICA_FIELDS + R_SHARE] = WHOLE_SHARE if self.takes(i) else 0
            cell[i * REPLICA_FIELDS + R_FULL] = not self.has_room(i)
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

    def misled(self, agent: Agent, right: int, now: int) -> int:
        """The replica, or some other by chance of the pool after its own."""
        draw = mixed(mixed(mixed(self.terms.seed + agent.number)) + now)
        if draw % 1024 >= self.astray:
            return right
        pools = sorted(set(self.terms.pool_of))
        after = pools[(pools.index(self.terms.pool_of[right]) + 1) % len(pools)]
        there = [i for i, pool in enumerate(self.terms.pool_of) if pool == after]
        lines = [n for i in there for n in self.lines[i * REPLICA_FIELDS : (i + 1) * REPLICA_FIELDS]]
        k = at_random(lines, 0, len(there), 0, mixed(draw))
        self.counts["astray", agent.tier] += k != NOBODY
        return right if k == NOBODY else there[k]

    def answered(self, i: int, request: Request, now: int) -> None:
        agent, asked, _, held = self.owner.pop(request)
        step = agent.at
        agent.met[step] = (asked, request.first_ps, now, i)
        agent.home = i
        agent.tries = 0
        read = min(self.replicas[i].hits.get(request, 0), agent.steps[step][2])
        self.queue.correct(request, request.inputs - read)
        self.correct_cap(agent, request, request.inputs - read)
        self.settle(agent, request, held, now)
        for after, helper in agent.helpers:
            if after == step:
                self.events.append((now + helper.steps[0][0], helper.number, helper))
        agent.helpers = [(after, helper) for after, helper in agent.helpers if after != step]
        agent.at += 1
        if agent.at < len(agent.steps):
            self.events.append((now + agent.steps[agent.at][0], agent.number, agent))

    # caps

    def within_cap(self, agent: Agent, request: Request, held: list[int], now: int) -> bool:
        caps, taken, uncached = self.terms.caps[agent.tier], self.taken[agent.tier], self.queue.cost(agent, request)
        if capacity_cap.take_of_cap(caps, 0, taken, 0, uncached, self.now_ms(now)):
            self.of_cap[request] = taken[capacity_cap.IN_HOUR], uncached
            return True
        if held[LIMIT]:
            limits.unreserve(self.state(agent), self.terms.book.flat, held, 0, HELD_FIELDS)
        self.counts["cap", agent.tier] += 1
        back = capacity_cap.fits_cap_from_ms(caps, 0, taken, 0, uncached, self.now_ms(now))
        tier = self.terms.tiers[agent.tier]
        if not self.retried(agent, tier, back, self.now_ms(now), now):
            self.react(agent, tier, back, self.now_ms(now), now, buying=False)
        return False

    def correct_cap(self, agent: Agent, request: Request, uncached: int) -> None:
        if request in self.of_cap:
            capacity_cap.correct_cap(self.taken[agent.tier], 0, *self.of_cap.pop(request), uncached)

    # windows

    def change_limits(self, now: int, book: Any) -> None:
        for who in self.states:
            if limit := self.terms.tiers[self.tier_of[who]].get("limit"):
                limits.rebase(self.states[who], 0, self.terms.book.flat, book.flat, limit, self.now_ms(now))
        self.terms.book = book

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
        self.hit.add((agent.tier, agent.subscriber, book[window + PLACE] // STORE_FIELDS))
        back = limits.retry_at_ms(state, book, held, 0, 1, now_ms)
        held[LIMIT] = 0
        if self.retried(agent, tier, back, now_ms, now):
            return False
        if book[window + REFILL] == IN_FLIGHT:
            back = now_ms + 8000
        self.react(agent, tier, back, now_ms, now)
        return False

    def retried(self, agent: Agent, tier: dict[str, int], back: int, now_ms: int, now: int) -> bool:
        if agent.tries >= tier["retries"]:
            agent.tries = 0
            return False
        self.reactions["retry"] += 1
        agent.tries += 1
        if back - now_ms <= tier["told_ms"]:
            self.wake(agent, (back - self.terms.epoch_ms) * MS)
        else:
            wait_ms = min(500 * 2 ** (agent.tries - 1), 8000)
            self.wake(agent, now + wait_ms * (1000 - self.drawn(agent, now_ms, 1) % 251) * 10**6)
        return True

    def react(self, agent: Agent, tier: dict[str, int], back: int, now_ms: int, now: int, buying: bool = True) -> None:
        shares = [tier[name] for name in ("wait", "later", "switch", "buy")]
        if not buying:
            shares = [shares[0], shares[1] + shares[3], shares[2], 0]
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
