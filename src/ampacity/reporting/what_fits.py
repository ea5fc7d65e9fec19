"""What would fit where a replica takes more chips than there are: other weights, less context, a smaller model."""

from __future__ import annotations

from ampacity.inference.replica import Replica, replica
from ampacity.planner.limits import ModelLoad
from ampacity.scenario import lookup
from ampacity.scenario.catalog_nouns import catalog_model
from ampacity.scenario.model import Model
from ampacity.supply.capacity import PoolCapacity

NARROWER = {"bf16": ("fp8", "int4", "fp4"), "fp8": ("int4", "fp4"), "int4": (), "fp4": ()}
LEAST_CONTEXT = 4096
"""A shorter context than this is none for an agent, and is not proposed. [token]"""


def none_fits(load: ModelLoad) -> bool:
    """Whether no pool ever holds one whole replica of a model."""
    return bool(load.pools) and not any(p.replicas.any() for p in load.pools)


def what_would_fit(load: ModelLoad) -> str | None:
    """A sentence on what would fit the pool with the most accelerators; None if there are none, or nothing does."""
    largest = max(load.pools, key=lambda p: float(p.delivered.max()))
    there = int(largest.delivered.max())
    if largest.replica is None or largest.placement is None or there < 1:
        return None
    chips = 1 << (there.bit_length() - 1)
    context = max(t.behaviour.context_tokens.value for t in load.tiers)
    precision = largest.placement.precision
    r = largest.replica.model
    ways = []
    for other in NARROWER[precision]:
        unit = _on(largest, r, other, chips)
        if unit is not None and unit.sequences(context):
            ways.append(f"{other} weights (placements.{largest.placement.name}.precision: {other})")
            break
    same = _on(largest, r, precision, chips)
    if same is not None and LEAST_CONTEXT <= same.kv_tokens < context:
        ways.append(f"contexts of at most {same.kv_tokens:,.0f} tokens instead of {context:,.0f}")
    if smaller := _smaller(largest, chips, context):
        ways.append(f"a smaller model such as {smaller}")
    if not ways:
        return None
    count = "1 accelerator" if chips == 1 else f"{chips} accelerators"
    return f"What would fit {count}: {', or '.join(ways)}."


def _smaller(pool: PoolCapacity, chips: int, context: float) -> str | None:
    """The largest model of the catalog below this one of which a replica with one context fits."""
    assert pool.replica is not None and pool.placement is not None
    own = pool.replica.weight_bytes
    best: tuple[float, str] | None = None
    for name in lookup.model_names():
        shape = catalog_model(name)
        unit = _on(pool, shape, pool.placement.precision, chips)
        if unit is None or unit.weight_bytes >= own or not unit.sequences(context):
            continue
        best = max(best or (0.0, name), (unit.weight_bytes, name))
    return best[1] if best else None


def _on(pool: PoolCapacity, model: Model, precision: str, chips: int) -> Replica | None:
    """A replica on so many of the pool's chips; None if there can be none."""
    assert pool.placement is not None
    try:
        return replica(
            model, pool.pool.accelerator, precision, pool.placement.kv_precision, chips, pool.placement.engine
        )
    except ValueError:
        return None
