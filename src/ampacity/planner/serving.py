"""What each pool serves: tokens per second of an accelerator, with the interval that its unknown inputs leave."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.planner.answer import Answer
from ampacity.planner.interval import interval
from ampacity.scenario.scenario import Scenario


@dataclass(frozen=True)
class Served:
    """Tokens per second of one accelerator of a pool, busy with its first tier's mix.

    output, all_kinds: at the stated values; low and high: ends of the 90 % interval over worlds [token/s].
    basis: how the step time of its accelerator was come by: measured fit, scaled from family, datasheet only.
    """

    pool: str
    accelerator: str
    model: str
    output: float
    output_low: float
    output_high: float
    all_kinds: float
    basis: str


def served(s: Scenario, answers: list[Answer]) -> tuple[Served, ...]:
    """One row a pool that serves a model."""
    found = []
    for i, load in enumerate(answers[0].models):
        tier = load.tiers[0]
        for pool in load.pools:
            key = (tier.name, pool.pool.name)
            rates = []
            for a in answers:
                own = a.models[i]
                behaviour = next(t for t in own.tiers if t.name == tier.name).behaviour
                if key in own.points:
                    rates.append(behaviour.output_per_s.value / own.points[key].seconds_per_active_s)
            b = tier.behaviour
            each = b.output_per_s.value + b.uncached_per_s.value + b.cached_per_s.value
            chip = s.accelerator(pool.pool.accelerator.name)
            assert pool.step is not None
            output = interval(rates)
            found.append(
                Served(
                    pool=pool.pool.name,
                    accelerator=chip.name,
                    model=load.model,
                    output=output.value,
                    output_low=output.low,
                    output_high=output.high,
                    all_kinds=output.value * each / b.output_per_s.value,
                    basis=pool.step.coefficients.label,
                )
            )
    return tuple(found)
