"""Which replicas of a model a kind of chip could be made into: precisions that it has, layouts that memory holds.

What is ruled out is kept with its reason, so that an answer can say what would have to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.layout import NODE, Layout, mistakes
from ampacity.inference.replica import Replica, replica, usual_kv
from ampacity.inference.steady import Load
from ampacity.inference.step_time import StepTime, step_time
from ampacity.inference.work import Array
from ampacity.scenario.accelerator import PRECISIONS, Accelerator
from ampacity.scenario.calibration import Calibration
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.model import Model
from ampacity.scenario.placement import BYTES_PER_NUMBER, MEMORY_SHARE

LARGEST_WITHIN, LARGEST = 64, 1024
"""Chips of a replica: the most that is tried over the fast link (or all of it, up to 72), and at all."""
MOST_STAGES = 8
MOST_SEQUENCES = 1024
"""Sequences that an engine decodes at once with each copy of attention: the largest usual default."""
ESSENTIAL = {"hbm_bytes": "memory size", "hbm_bytes_per_s": "memory bandwidth"}
USEFUL = {
    "scaleup_bytes_per_s": "scale-up bandwidth",
    "scaleup_world": "scale-up domain",
    "scaleout_bytes_per_s": "scale-out bandwidth",
    "tdp_w": "TDP",
    "facility_w": "facility power",
}

COMMON = {"bf16": ("bf16", "fp8")}
"""What engines commonly make of weights published at a precision, that one first; of others, nothing else."""


@dataclass(frozen=True)
class RuledOut:
    """Some layouts that cannot be, and why. precision: of their weights. count: how many."""

    precision: str
    reason: str
    count: int


@dataclass(frozen=True)
class Candidates:
    """Replicas whose memory holds at least one request.

    most: requests that each one's memory and engine hold at once. by_memory: whether memory is what bounds that.
    """

    steps: tuple[StepTime, ...]
    most: Array
    by_memory: NDArray[np.bool_]
    ruled_out: tuple[RuledOut, ...]


def precisions(chip: Accelerator) -> tuple[str, ...]:
    """Precisions of products that a chip is known to have."""
    return tuple(p for p in PRECISIONS if (found := chip.flops(p)) is not None and found.value > 0)


def runs(model: Model, chip: Accelerator, precision: str) -> bool:
    """Whether engines run a model's weights at a precision: one of the chip's products, or of the weights alone.

    Four-bit integers are always weights alone; four-bit floats are where the chip has no arithmetic for them and the
    model is published so (vLLM runs MXFP4 on Hopper like that).
    """
    alone = precision == "int4" or precision == model.published_precision == "fp4"
    return alone or precision in precisions(chip)


def offered(model: Model, chip: Accelerator) -> tuple[str, ...]:
    """Precisions that are tried where none is asked for: the published one, and what engines commonly make of it.

    A chip that runs none of these is tried at all that it has.
    """
    common = COMMON.get(model.published_precision, (model.published_precision,))
    return tuple(p for p in common if runs(model, chip, p)) or precisions(chip)


def candidates(
    model: Model,
    chip: Accelerator,
    load: Load,
    engine: str = "vllm",
    precision: str | None = None,
    chips: int | None = None,
    calibration: Calibration | None = None,
) -> Candidates:
    """Every replica that fits, over the fast link or as many nodes as the widest weights that the chip has would take.

    So every precision is tried over the same numbers of chips. precision: of the weights; absent: those `offered`.
    chips: that there are; absent: as many as it takes. calibration: of that model, chip and engine; weights and cache
    are then at its precisions, in every layout, and its error stands in the place of the chip's own.
    Raises Mistakes if a figure is not known or zero, the chip lacks the precision, the calibration is of something
    else, or nothing fits.
    """
    _check(model, chip, load, precision, chips)
    if calibration is not None:
        of = calibration.not_as_asked(model=model.name, accelerator=chip.name, engine=engine, precision=precision)
        if wrong := [Mistake("calibration", 0, *difference) for difference in of]:
            raise Mistakes(wrong)
        precision = calibration.precision
    asked = (precision,) if precision else offered(model, chip)
    speed = chip.speed.value if calibration is None else 1.0

    def made(weights: str, layout: Layout) -> Replica:
        kv = usual_kv(weights) if calibration is None else calibration.kv_precision
        return replica(model, chip, weights, kv, layout, engine)

    steps: list[StepTime] = []
    memory: list[float] = []
    too_small = dict.fromkeys(asked, 0)
    unfit = {*asked, max(precisions(chip), key=BYTES_PER_NUMBER.__getitem__)}
    for sizes in _sizes(chip):
        spread = tuple(layouts(model, tuple(n for n in sizes if chips is None or n <= chips)))
        for layout in spread:
            for weights in asked:
                r = made(weights, layout)
                if (held := r.sequences(load.most_context)) < 1:
                    too_small[weights] += 1
                    continue
                memory.append(float(held))
                steps.append(step_time(r, speed=speed, calibration=calibration))
        unfit = {p for p in unfit if all(made(p, layout).sequences(load.most_context) < 1 for layout in spread)}
        if not unfit:
            break
    if not steps:
        fewest = (
            n.accelerators
            for sizes in _sizes(chip)
            for n in layouts(model, sizes)
            if any(made(p, n).sequences(load.most_context) >= 1 for p in asked)
        )
        raise Mistakes([_nothing_fits(model, chip, load, asked, chips, next(fewest, None) if chips else None)])
    out = tuple(RuledOut(p, "weights leave no room for one request", n) for p, n in too_small.items() if n)
    groups = np.array([step.replica.layout.data * step.replica.layout.pipeline for step in steps])
    held_by_memory, held_by_engine = np.array(memory), MOST_SEQUENCES * groups
    most = np.minimum(held_by_memory, held_by_engine)
    return Candidates(tuple(steps), most, held_by_memory <= held_by_engine, out)


def layouts(model: Model, sizes: tuple[int, ...]) -> Iterator[Layout]:
    """Layouts of a model over so many chips.

    Experts are spread over as many groups as divide both the chips of a stage and the experts where attention is data
    parallel, and not at all where it is not: the step time tells no other spread apart.
    """
    for chips in sizes:
        for tensor in _divisors(chips):
            for data in _divisors(chips // tensor) if model.experts else (1,):
                stages = chips // tensor // data
                expert = int(np.gcd(tensor * data, model.experts)) if data > 1 else 1
                layout = Layout(tensor, data, stages, expert)
                odd = chips & (chips - 1) and stages > 1
                if stages <= MOST_STAGES and not odd and not mistakes(model, layout):
                    yield layout


def _sizes(chip: Accelerator) -> Iterator[tuple[int, ...]]:
    """Chips of a replica: first those that the fast link joins, then twice and four times as many, and so on."""
    world = int(chip.scaleup_world.value) if chip.scaleup_world else NODE
    within = [1 << i for i in range(LARGEST.bit_length()) if 1 << i <= min(world, LARGEST_WITHIN)]
    yield (*within, world) if LARGEST_WITHIN < world <= NODE * 9 else tuple(within)
    nodes = 2
    while nodes * within[-1] <= LARGEST:
        yield (nodes * within[-1], 2 * nodes * within[-1])
        nodes *= 2


def _divisors(n: int) -> list[int]:
    return [i for i in range(1, n + 1) if n % i == 0]


def _check(model: Model, chip: Accelerator, load: Load, precision: str | None, chips: int | None) -> None:
    """Everything that makes an answer impossible before a layout is tried."""
    where = f"{model.name} on {chip.name}"
    found = []
    for name, word in ESSENTIAL.items():
        value = getattr(chip, name)
        if value is None or value.value <= 0:
            said = f"not known: {word}" if value is None else "0"
            found.append(Mistake(where, 0, word, said, "no iteration can be timed without it; state it in a scenario"))
    for name in ("scaleup_bytes_per_s", "scaleout_bytes_per_s"):
        value = getattr(chip, name)
        if value is not None and value.value <= 0:
            message = "chips that cannot talk make no replica; leave it out to count on PCIe"
            found.append(Mistake(where, 0, USEFUL[name], "0", message))
    has = precisions(chip)
    if not has:
        found.append(Mistake(where, 0, "peak arithmetic", "not known", "no precision of this chip has a stated speed"))
    elif precision and not runs(model, chip, precision):
        known = f"{', '.join(has)}, and int4 for weights alone"
        message = f"{chip.name} has no arithmetic at {precision}, or none is known; it has {known}"
        found.append(Mistake(where, 0, "precision", precision, message))
    if chips is not None and chips < 1:
        found.append(Mistake(where, 0, "chips", f"{chips}", "at least 1"))
    if load.most_context > model.context_tokens:
        message = f"input and output together; {model.name} takes at most {model.context_tokens:,}"
        found.append(Mistake(where, 0, "context", f"{load.most_context:,} tokens", message))
    if found:
        raise Mistakes(found)


def _nothing_fits(
    model: Model, chip: Accelerator, load: Load, asked: tuple[str, ...], chips: int | None, fewest: int | None
) -> Mistake:
    smallest = min(replica(model, chip, p, "fp8", 1).weight_bytes for p in asked)
    assert chip.hbm_bytes is not None
    each = chip.hbm_bytes.value * MEMORY_SHARE
    message = (
        f"no layout of up to {chips or LARGEST:,} chips holds {smallest / 1e9:,.0f} GB of weights and one request of "
        f"{load.most_context:,} tokens; a chip keeps {each / 1e9:,.0f} GB, so weights alone take "
        f"{np.ceil(smallest / each):,.0f}"
    ) + (f"; the smallest layout that holds both has {fewest:,}" if fewest else "")
    return Mistake(f"{model.name} on {chip.name}", 0, "memory", f"{chip.hbm_bytes.value / 1e9:,.0f} GB a chip", message)
