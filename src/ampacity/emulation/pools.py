"""What a scenario's pools serve: each placement with its engine, its step time and its replicas, as the twin has them.

Capacity is that of a pool's best hour, as in the twin; what fails or ends in time is left to whoever asks for faults.
"""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.policy.routing import REPLICAS_MOST
from ampacity.scenario.scenario import Scenario
from ampacity.simulator.cell_terms import Pool
from ampacity.simulator.model_cell import pool_of, replicas_in
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of


@dataclass(frozen=True)
class ServingPool:
    """A placement on a pool.

    name: of the pool. names: by which a request may call the model: alias, model, placement. context_most: tokens of
    input and output that a request may have; of the model or of a replica's memory, whichever is less. [token]
    """

    name: str
    placement: str
    model: str
    alias: str | None
    replicas: Pool
    context_most: int

    @property
    def names(self) -> tuple[str, ...]:
        """By which a request may call the model, the name that clients know first."""
        return tuple(dict.fromkeys(n for n in (self.alias, self.model, self.placement) if n is not None))

    @property
    def slots(self) -> int:
        """Sequences that all replicas together run at once."""
        return self.replicas.replicas * self.replicas.engine.max_seqs


def serving_pools(s: Scenario) -> tuple[ServingPool, ...]:
    """All placements on all pools that have a replica. Raises ValueError if there is none, or a pool has too many."""
    found = []
    for p in capacities(s, hours_of(s)):
        if p.placement is None or p.replica is None or replicas_in(p) < 1:
            continue
        if replicas_in(p) > REPLICAS_MOST:
            raise ValueError(
                f"{p.pool.name}: {replicas_in(p)} replicas; at most {REPLICAS_MOST} of a pool are emulated"
            )
        pool, m = pool_of(p), p.replica.model
        context_most = min(m.context_tokens, pool.engine.context_most)
        found.append(ServingPool(p.pool.name, p.placement.name, m.name, p.placement.alias, pool, context_most))
    if not found:
        raise ValueError(f"{s.name}: no pool holds a replica, so there is nothing to emulate")
    return tuple(found)
