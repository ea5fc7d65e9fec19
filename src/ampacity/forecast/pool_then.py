"""A pool under simulated time: what `emulation/real_time.py` does by the clock, done at the instant itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ampacity.base.streams import uniform
from ampacity.emulation.faults import Fault, Faults
from ampacity.emulation.pools import ServingPool
from ampacity.emulation.real_time import WAITING_PER_SLOT
from ampacity.emulation.replicas import Replicas, Sent
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.ticks import SPEED, slower

FULL, BROKEN, TAKEN = 529, 500, 200


@dataclass(eq=False)
class Serving:
    """A request on a replica.

    owner: whoever sent it; None once it was taken back. came: tokens that came out. cached: of its prompt, those that
    were found. gone: it has left the replica, and another may have its row.
    """

    owner: Any
    sent: Sent
    input_tokens: int
    came: int = 0
    cached: int = 0
    gone: bool = False


class PoolThen:
    """One pool. pace: how many times as long its iterations take as the serving model says."""

    def __init__(self, pool: ServingPool, seed: int, pace: float = 1.0) -> None:
        self.pool = pool
        self.replicas = Replicas(pool.replicas)
        self.faults = Faults()
        self._pace = pace
        self._seed, self._number, self._slowed = seed, 0, 0
        self._at: dict[int, Serving] = {}
        self._set_pace(0, 1.0)

    def send(self, owner: Any, key: str, input_tokens: int, output: int, now_ps: int) -> Serving | int:
        """Send a request; what serves it, or the status that the pool answers at once."""
        self._number += 1
        luck, now_s = uniform(self._seed, self.pool.name, "luck", self._number), now_ps / PS_PER_S
        if self.faults.hits("error", luck, now_s):
            return BROKEN
        full = self.replicas.waiting() >= WAITING_PER_SLOT * self.pool.slots
        if full or self.faults.hits("overloaded", luck, now_s):
            return FULL
        sent = self.replicas.send(key, input_tokens, output, now_ps)
        if sent is None:
            return FULL
        serving = self._at[sent.place] = Serving(owner, sent, input_tokens)
        return serving

    def take_back(self, serving: Serving, now_ps: int) -> None:
        """Nobody waits for it any more."""
        serving.owner = None
        if not serving.gone:
            self.replicas.take_back(serving.sent, now_ps)

    def first_tokens(self, replica: int, now_ps: int) -> Iterator[Serving]:
        """Bring a replica to now; those whose first token has come out since, and that have not ended with it."""
        self.replicas.advance(replica, now_ps)
        for place, came in list(self.replicas.decoding(replica)):
            serving = self._at[place]
            if came > 0 and serving.came == 0:
                serving.cached = self.replicas.found(place)
                yield serving
            serving.came = max(came, serving.came)

    def ended(self, replica: int) -> Iterator[tuple[Serving, bool]]:
        """Those that have gone from a replica, and whether they have all their tokens."""
        for place, whole in list(self.replicas.ended(replica)):
            serving = self._at.pop(place)
            serving.gone = True
            self.replicas.close(serving.sent)
            if whole or serving.came > 0:
                serving.cached = self.replicas.found(place)
            yield serving, whole

    def begin(self, fault: Fault, now_ps: int) -> tuple[int | None, tuple[str, int] | None]:
        """Let a fault begin: a replica that has died by it, and what is to be undone when its time is over."""
        self.faults.begin(fault, now_ps / PS_PER_S)
        if fault.kind == "slow":
            self._slowed += 1
            self._set_pace(math.ceil(fault.share * self.replicas.count), fault.factor)
            return None, ("slow", self._slowed)
        if fault.kind == "kill":
            up = [i for i in range(self.replicas.count) if self.replicas.up[i]]
            if up:
                return max(up, key=self.replicas.outstanding), None
        return None, None

    def as_before(self, slowed: int) -> None:
        """A fault that slowed replicas is over, unless a later one has taken its place."""
        if slowed == self._slowed:
            self._set_pace(0, 1.0)

    def _set_pace(self, slowed: int, factor: float) -> None:
        own, slow = self._step(self._pace), self._step(self._pace * factor)
        for replica in range(self.replicas.count):
            self.replicas.set_pace(replica, slow if replica < slowed else own)

    def _step(self, times: float) -> Any:
        step = self.pool.replicas.step
        return step if times == 1.0 else slower(step, round(times * SPEED))
