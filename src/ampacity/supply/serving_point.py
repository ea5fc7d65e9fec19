"""Where a pool works for a tier: the operating point of its replicas for what the tier's people ask."""

from __future__ import annotations

from ampacity.demand.resting import resting
from ampacity.inference.at_rest import AtRest
from ampacity.inference.drafts import Drafts
from ampacity.inference.operating_point import OperatingPoint, mix_of, operating_point
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Behaviour
from ampacity.supply.capacity import PoolCapacity


def serving_point(s: Scenario, b: Behaviour, pool: PoolCapacity) -> OperatingPoint | None:
    """The operating point of a pool that serves a model, for people of a behaviour; None if their context does not fit.

    Contexts of sessions rest in the memory that their replica has.
    """
    assert pool.step is not None
    assert pool.placement is not None
    drafts = Drafts(pool.placement.draft_tokens, pool.placement.acceptance.value)
    r, placement = pool.step.replica, pool.placement
    left = resting(b, r.model.context_tokens)
    below = sum(memory.value for memory in (placement.host_kv, placement.store_kv) if memory is not None)
    below_tokens = below * r.accelerators / r.kv_bytes_per_token
    rest = AtRest(left.keep_s, left.found, left.tokens, below_tokens) if left is not None else None
    return operating_point(pool.step, mix_of(b), s.service_level.tpot_s, drafts, rest)
