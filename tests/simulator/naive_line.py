"""Who asks a naive cell, by which terms, and who waits in it: in a list, or as `policy/queueing.py` keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from naive import Request

from ampacity.policy import queueing
from ampacity.policy.line import E_CHARGE, E_DUE, E_PERSON, P_COUNTER, PERSON_FIELDS, fresh_queue
from ampacity.policy.routing import NOBODY
from ampacity.policy.stores import FOREVER


@dataclass(eq=False)
class Agent:
    """Steps as (gap, input, reusable, output), and what each met: arrival, first, finish, replica, 0 if unanswered."""

    number: int
    steps: list[tuple[int, int, int, int]]
    tier: int = 0
    subscriber: int = 0  # 0 once they have bought
    group: int = 0
    shared: int = 0
    helpers: list[tuple[int, Agent]] = field(default_factory=list)  # step whose answer starts them
    at: int = 0
    home: int = NOBODY
    tries: int = 0
    hand: Request | None = None  # that a replica has handed back
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
    ticks: tuple[tuple[int, int, int, Any], ...] = ()  # instant, replica, what, the function of a SLOW, a share
    pool_of: tuple[int, ...] = ()  # of every replica
    fair: tuple[list[int], int] | None = None  # quanta and ageing
    queue_most: int | None = None
    queue_ps: int = 0
    on_kill: str = "resume"
    scaling: dict[str, int] | None = None  # pool, rules, instants in ps and ms
    caps: dict[int, list[int]] = field(default_factory=dict)  # by tier, as `compile_caps` lays out one
    changes: tuple[tuple[int, Any], ...] = ()  # instant in ps, the book from then on


class Line:
    """Who waits: a list, or what `policy/queueing.py` keeps of it."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.list: list[tuple[Agent, Request, int]] = []  # with the ms at which it has waited too long
        self.flat: list[int] = []
        self.people: list[int] = []
        self.entries: dict[int, tuple[Agent, Request]] = {}
        self.paid: dict[Request, tuple[int, int]] = {}
        if terms.fair:
            self.flat = fresh_queue(terms.fair[0], terms.queue_most or 0, terms.fair[1])
            self.people = [0] * 1000 * PERSON_FIELDS

    def __len__(self) -> int:
        return len(self.entries) + len(self.list)

    def person(self, agent: Agent) -> int:
        return (100 + agent.subscriber if agent.subscriber else agent.tier) * PERSON_FIELDS

    def cost(self, agent: Agent, request: Request) -> int:
        _, inputs, reusable, _ = agent.steps[agent.at]
        return inputs + request.out - (reusable if agent.home != NOBODY else 0)

    def passed(self, agent: Agent, request: Request, now_ms: int) -> None:
        if self.terms.fair:
            p = self.person(agent)
            cost = self.cost(agent, request)
            self.paid[request] = p, queueing.pass_through(self.flat, self.people, p, agent.tier, cost, now_ms)

    def add(self, agent: Agent, request: Request, now_ms: int, due_ms: int) -> tuple[Agent, Request] | None:
        """Who is refused for it, if anybody: perhaps itself."""
        if not self.terms.fair:
            if self.terms.queue_most is not None and len(self.list) >= self.terms.queue_most:
                return agent, request
            self.list.append((agent, request, due_ms))
            return None
        p, other = self.person(agent), None
        if len(self) == self.terms.queue_most:
            e = queueing.whom_to_refuse(self.flat, self.people, p, agent.tier, now_ms)
            if not e:
                return agent, request
            queueing.withdraw(self.flat, self.people, e)
            other = self.entries.pop(e)
        e = queueing.enqueue(self.flat, self.people, p, agent.tier, self.cost(agent, request), now_ms, due_ms)
        self.entries[e] = agent, request
        return other

    def take(self) -> tuple[Agent, Request]:
        if not self.terms.fair:
            agent, request, _ = self.list.pop(0)
            return agent, request
        e = queueing.dequeue(self.flat, self.people)
        agent, request = self.entries.pop(e)
        self.paid[request] = self.flat[e + E_PERSON], self.flat[e + E_CHARGE]
        return agent, request

    def first_due_ms(self) -> int:
        if self.entries:
            return min(self.flat[e + E_DUE] for e in self.entries)
        return min((due for _, _, due in self.list), default=FOREVER)

    def take_overdue(self, by_ms: int) -> tuple[Agent, Request] | None:
        if not self.terms.fair:
            due = [x for x in self.list if x[2] <= by_ms]
            if not due:
                return None
            self.list.remove(due[0])
            return due[0][:2]
        e = queueing.overdue(self.flat, by_ms)
        if not e:
            return None
        queueing.withdraw(self.flat, self.people, e)
        return self.entries.pop(e)

    def correct(self, request: Request, uncached: int) -> None:
        if self.terms.fair:
            queueing.correct(self.flat, self.people, *self.paid.pop(request), uncached)

    def served(self, subscribers: int) -> list[int]:
        """Virtual tokens of those who are nobody, of each tier, then of every subscriber."""
        who = (0, 1, 2, *range(101, 101 + subscribers))
        return [self.people[i * PERSON_FIELDS + P_COUNTER] for i in who]
