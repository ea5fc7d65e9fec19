"""The lessor's view: what contracts give to others, taken hour by hour from the scenario's own fleet.

A lessor gives no more than it has: of one type at one site, contracts are served in the order they are written in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.scenario.pool import leased_out_pools, pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.delivery import Array, Times, quantity


@dataclass(frozen=True)
class LeasedOut:
    """Accelerators in each span of time: promised and given by pool of a lessor's contract, taken by own pool."""

    promised: dict[str, Array]
    given: dict[str, Array]
    taken: dict[str, Array]


def leased_out(s: Scenario, times: Times) -> LeasedOut:
    """What is leased out, and from which own pools it is taken: in turn, until each is empty."""
    own = pools(s)
    out = leased_out_pools(s)
    taken = {pool.name: np.zeros(times.count) for pool in own}
    promised: dict[str, Array] = {}
    given: dict[str, Array] = {}
    if not out:
        return LeasedOut(promised, given, taken)
    left = {pool.name: quantity(s, pool, times).delivered for pool in own}
    for pool in out:
        wanted = quantity(s, pool, times).delivered
        promised[pool.name], given[pool.name] = wanted, np.zeros(times.count)
        for source in own:
            if (source.site.name, source.accelerator.name) != (pool.site.name, pool.accelerator.name):
                continue
            part = np.minimum(wanted - given[pool.name], left[source.name])
            given[pool.name] = given[pool.name] + part
            taken[source.name] = taken[source.name] + part
            left[source.name] = left[source.name] - part
    return LeasedOut(promised, given, taken)
