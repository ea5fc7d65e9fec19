"""How a cell is asked for: pools of replicas, the way to a replica, and what its tiers go by; each checked."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.demand.reactions import RETRIES, Reactions
from ampacity.policy.book import Book
from ampacity.policy.line import AGEING_MOST, ROOM_MOST
from ampacity.policy.routing import PACE_MOST_NS, R_BACKLOG, R_REQUESTS, TIMES_MOST
from ampacity.policy.rows import SCALE
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.simulator import cell_rows as at
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine
from ampacity.simulator.route import BY_CHANCE, BY_HOME, BY_LEAST, BY_SOONEST, BY_TURN, BY_TWO
from ampacity.simulator.step_table import TICK_BITS, StepTable, iteration_ticks

RULES = {
    "random": BY_CHANCE,
    "round-robin": BY_TURN,
    "two-choices": BY_TWO,
    "least": BY_LEAST,
    "affinity": BY_HOME,
    "soonest": BY_SOONEST,
}
LOADS = {"requests": R_REQUESTS, "tokens": R_BACKLOG}
ON_KILLS = {"resume": at.RESUME, "recompute": at.RECOMPUTE, "lose": at.LOSE}


@dataclass(frozen=True)
class Pool:
    """Replicas that are alike: the rules of their engine, the time of their iterations, how many there are."""

    engine: Engine
    step: StepTable
    replicas: int

    @property
    def pace_ns(self) -> int:
        """How long an uncached token takes when prompts fill an iteration, without attention; at least 1. [ns]"""
        flat = [int(n) for n in self.step.flat()]
        ticks = iteration_ticks(flat, 0, 0, self.engine.token_budget, 0)
        return min(max((ticks >> TICK_BITS) // self.engine.token_budget // 1000, 1), PACE_MOST_NS)


@dataclass(frozen=True)
class Routing:
    """How a cell chooses a replica.

    rule: random, round-robin, two-choices, least, affinity (a session's home under bounded load) or soonest (least wait
    + uncached prefill). by: what is least, `requests` or `tokens` (outstanding, uncached). percent: of the mean that a
    home may carry. times: how often computing a prompt counts against waiting, see `policy.routing.late_bound`. room:
    requests that a replica takes; the others wait in the cell's queue (late binding). None: any number, as soon as they
    come.

    queue: `fifo`, or `fair` (tiers take turns by their quanta, the people of a tier share). queue_most: how many may
    wait, None: any number; a fair queue needs it. queue_s: how long a request waits before it is refused [s], in whole
    ms of the clock of limits; None: for ever. ageing: what a request that waits in a fair queue gains [token / ms].
    on_kill: what becomes of a request whose replica stops: `resume` (it brings its tokens to another, which computes
    prompt and tokens anew), `recompute` (from its start) or `lose` (its client gets an error).

    Raises ValueError with every mistake.
    """

    rule: str = "least"
    by: str = "tokens"
    percent: int = 125
    times: int = 2
    room: int | None = None
    queue: str = "fifo"
    queue_most: int | None = None
    queue_s: float | None = None
    ageing: int = 0
    on_kill: str = "resume"

    def __post_init__(self) -> None:
        wrong = []
        if self.rule not in RULES:
            wrong.append(f"rule {self.rule!r}: one of {', '.join(RULES)}")
        if self.by not in LOADS:
            wrong.append(f"by {self.by!r}: requests or tokens")
        if not 100 < self.percent <= 1024:
            wrong.append(f"{self.percent} % of the mean: above 100, at most 1024")
        if not 1 <= self.times <= TIMES_MOST:
            wrong.append(f"{self.times} times: 1 to {TIMES_MOST}")
        if self.room is not None and self.room < 1:
            wrong.append(f"room for {self.room} requests: at least 1, or None for any number")
        if self.queue not in ("fifo", "fair"):
            wrong.append(f"queue {self.queue!r}: fifo or fair")
        if self.room is None and (self.queue == "fair" or self.queue_most is not None or self.queue_s is not None):
            wrong.append("a queue, and no room: where a replica takes any number of requests nobody waits")
        least, most = (1, ROOM_MOST) if self.queue == "fair" else (0, FOREVER_PS)
        if self.queue == "fair" and self.queue_most is None:
            wrong.append(f"a fair queue needs queue_most, from 1 to {ROOM_MOST}")
        elif self.queue_most is not None and not least <= self.queue_most <= most:
            wrong.append(f"a {self.queue} queue of {self.queue_most} requests: from {least} to {most}")
        if self.queue_s is not None and not 0 < self.queue_s * PS_PER_S < FOREVER_PS:
            wrong.append(f"{self.queue_s} s in the queue: more than 0, less than {FOREVER_PS // PS_PER_S}")
        if not 0 <= self.ageing <= AGEING_MOST:
            wrong.append(f"ageing {self.ageing} tokens a ms: from 0 to {AGEING_MOST}")
        if self.on_kill not in ON_KILLS:
            wrong.append(f"on_kill {self.on_kill!r}: one of {', '.join(ON_KILLS)}")
        if wrong:
            raise ValueError("; ".join(wrong))


NO_REACTIONS = Reactions(1.0, 0.0, 0.0, 0.0, patience_ms=float(1 << 40))
"""Everybody waits until the window admits."""


@dataclass(frozen=True)
class CellTier:
    """What a tier's requests are counted by, and what happens at a limit.

    limit, family, product: of the book; limit None: no windows. output_most: tokens that a request allows itself.
    writes: whether computed prompt tokens count as cache writes. retries: of the client, by itself. told_s: the longest
    wait that the client obeys if the answer tells it; 0: it is not told. [s] priority: class in the engine, 0 to 3; 0
    goes first. quantum: what the tier earns a round in a fair queue; its ratio to the others' is its weight.
    [uncached token] cap: what the tier may take in each hour; None: anything.
    """

    name: str
    limit: str | None = None
    family: str = ""
    product: str = ""
    output_most: int = 32_000
    writes: bool = True
    retries: int = RETRIES
    told_s: float = 0.0
    reactions: Reactions = NO_REACTIONS
    priority: int = 0
    quantum: int = 4096
    cap: CapacityCurve | None = None

    def row(self, book: Book | None) -> list[int]:
        """As the kernels read it. Raises LimitError if the book has no such limit, ValueError without a book."""
        if self.limit is not None and book is None:
            raise ValueError(f"tier {self.name!r} has the limit {self.limit!r}, and there is no book of limits")
        r = self.reactions
        has = self.limit is not None and book is not None
        limit = book.limit(str(self.limit)) if has and book else 0
        plan = book.plan(str(self.limit), self.family, self.product) if has and book else 0
        shares = [round(x * SCALE) for x in (r.wait, r.later, r.switch, r.buy)]
        told_ms, patience_ms, delay_ms = (round(x) for x in (self.told_s * 1000, r.patience_ms, r.delay_ms))
        return [
            limit, plan, self.output_most, self.writes, self.retries, told_ms, *shares, patience_ms, delay_ms,
            self.priority, 0, 0, 0,
        ]  # fmt: skip
