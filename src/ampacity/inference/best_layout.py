"""The layout and batch of a model on a kind of chip that serve most tokens per chip within a service level.

It says in words why: what keeps the best from more, what comes next and by how much, and what cannot be at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.disaggregated import Disaggregated, disaggregated
from ampacity.inference.stack import stacked
from ampacity.inference.steady import Load, Steady, steady
from ampacity.inference.survey import Operation, Survey, operation, survey
from ampacity.inference.work import Array
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.calibration import Calibration
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.model import Model
from ampacity.scenario.placement import BYTES_PER_NUMBER

Rows = NDArray[np.int64]

FINALISTS, STEPS = 24, 24
"""Replicas whose batch is looked for to the very request, and batches tried for each at a time."""


@dataclass(frozen=True)
class Slo:
    """A service level: mean time to the first token and per token after it, at most. [s]"""

    ttft_s: float = float("inf")
    tpot_s: float = float("inf")


@dataclass(frozen=True)
class Choice:
    """What was chosen, and beside what.

    best: the replica that does prefill and decoding itself. others: the best batch of every other replica that meets
    the service level, best first. disaggregated: prefill and decoding on replicas of their own; None where that cannot
    be. too_slow: replicas that meet the service level with no batch. words: the explanation, a sentence each.
    chips: that there are; None: as many as it takes. With them, best is what whole replicas on all of them serve most.
    """

    slo: Slo
    best: Operation
    others: tuple[Operation, ...]
    disaggregated: Disaggregated | None
    too_slow: int
    words: tuple[str, ...]
    chips: int | None = None

    @property
    def replicas(self) -> int:
        """Of the best that the chips make, all of them whole; 1 where chips are as many as it takes."""
        return 1 if self.chips is None else self.chips // self.best.replica.accelerators

    @property
    def left_over(self) -> int:
        """Chips that no whole replica of the best takes."""
        return 0 if self.chips is None else self.chips % self.best.replica.accelerators


def best_layout(
    model: Model,
    chip: Accelerator,
    slo: Slo | None = None,
    load: Load | None = None,
    engine: str = "vllm",
    precision: str | None = None,
    chips: int | None = None,
    calibration: Calibration | None = None,
) -> Choice:
    """Search all layouts and batches. load: absent: 1,024 tokens in and out. chips: that there are;
    absent: as many as it takes. calibration: one's own, of that model, chip and engine.

    Raises Mistakes that say which constraint fails and what would satisfy it: figures that are not known, a precision
    that the chip lacks, a calibration of something else, a model that fits nowhere, a service level that nothing meets.
    """
    return choose(survey(model, chip, load, engine, precision, chips, calibration), slo or Slo())


def choose(s: Survey, slo: Slo) -> Choice:
    """The best of a survey. Raises Mistakes if nothing meets the service level."""
    meets = _meets(s.at, slo)
    rate = np.where(meets, s.tokens_per_s_per_chip * s.in_use, -1.0)
    at = rate.argmax(axis=1)
    top = rate.max(axis=1)
    if not meets.any():
        raise Mistakes(_unreachable(s, slo))
    order = np.argsort(-top, kind="stable")
    order = order[top[order] > 0]
    first = order[:FINALISTS]
    found = _refined(s, slo, first, at[first])
    found += [_coarse(s, slo, int(i), int(at[i])) for i in order[FINALISTS:]]
    found.sort(key=lambda o: -_served(o, s.owned))
    apart = disaggregated(s, slo.ttft_s, slo.tpot_s, s.owned)
    too_slow = int(np.count_nonzero(~meets.any(axis=1)))
    choice = Choice(slo, found[0], tuple(found[1:]), apart, too_slow, (), s.owned)
    return replace(choice, words=tuple(_words(s, choice)))


def _meets(at: Steady, slo: Slo) -> Array:
    return np.asarray((at.ttft_s <= slo.ttft_s) & (at.tpot_s <= slo.tpot_s))


def _refined(s: Survey, slo: Slo, rows: Rows, at: Rows) -> list[Operation]:
    """The best batch of some candidates to the very request, looked for around the best of the survey's batches."""
    steps = [s.candidates.steps[i] for i in rows]
    stack, most = stacked(steps), s.candidates.most[rows]
    tried, best = s.at.requests[rows], at
    while True:
        low, high = _beside(tried, best)
        tried = np.rint(low[:, None] + (high - low)[:, None] * np.linspace(0, 1, STEPS))
        found = steady(stack, s.load, tried)
        rate = np.where(_meets(found, slo), found.output_tokens_per_s, -1.0)
        best = rate.argmax(axis=1)
        if (high - low).max() < STEPS:  # every whole number in between was tried
            break
    requests = np.take_along_axis(tried, best[:, None], axis=1)
    more = steady(stack, s.load, requests + 1)
    result = []
    for j, (row, i) in enumerate(zip(rows, best, strict=True)):
        if requests[j, 0] >= most[j]:
            binds = "memory" if s.candidates.by_memory[row] else "sequences"
        else:
            binds = _binding(slo, more.ttft_s[j, 0], more.tpot_s[j, 0])
        times = float(found.ttft_s[j, i]), float(found.tpot_s[j, i])
        per_chip = float(rate[j, i] / s.chips[row, 0])
        result.append(Operation(steps[j], s.load, int(requests[j, 0]), *times, per_chip, binds))
    return result


def _beside(tried: Array, best: Rows) -> tuple[Array, Array]:
    """The batches next below and above the best of each row; itself at an end. Batches of a row may be equal."""
    here = np.take_along_axis(tried, best[:, None], axis=1)
    below, above = np.where(tried < here, tried, -np.inf), np.where(tried > here, tried, np.inf)
    low, high = below.max(axis=1), above.min(axis=1)
    return np.where(np.isfinite(low), low, here[:, 0]), np.where(np.isfinite(high), high, here[:, 0])


def _coarse(s: Survey, slo: Slo, row: int, i: int) -> Operation:
    """The best of the survey's own batches of a candidate that is far from the best."""
    at, requests = s.at, s.at.requests[row, i]
    if requests >= s.candidates.most[row]:
        binds = "memory" if s.candidates.by_memory[row] else "sequences"
    else:
        after = int(np.searchsorted(at.requests[row], requests, side="right"))
        binds = _binding(slo, at.ttft_s[row, after], at.tpot_s[row, after])
    return s.operation(row, i, binds)


def _binding(slo: Slo, ttft_s: float, tpot_s: float) -> str:
    """What a larger batch would break."""
    if tpot_s > slo.tpot_s:
        return "TPOT"
    return "TTFT" if ttft_s > slo.ttft_s else "nothing"


def _unreachable(s: Survey, slo: Slo) -> list[Mistake]:
    """Which of the times nothing reaches, alone or together, and what can be had."""
    where = f"{s.model.name} on {s.chip.name}"
    found = []
    for word, asked, times in (("TTFT", slo.ttft_s, s.at.ttft_s), ("TPOT", slo.tpot_s, s.at.tpot_s)):
        least = float(times.min())
        if least > asked:
            row, i = np.unravel_index(int(times.argmin()), times.shape)
            how = _named(operation(s.candidates.steps[row], s.load, int(s.at.requests[row, i])))
            found.append(Mistake(where, 0, word, ms(asked), f"the fastest that can be had is {ms(least)}: {how}"))
    if not found:
        row, i = np.unravel_index(
            int(np.maximum(s.at.ttft_s / slo.ttft_s, s.at.tpot_s / slo.tpot_s).argmin()), s.at.ttft_s.shape
        )
        near = operation(s.candidates.steps[row], s.load, int(s.at.requests[row, i]))
        both = f"each can be had, but not both: nearest are TTFT {ms(near.ttft_s)} with TPOT {ms(near.tpot_s)}"
        found.append(
            Mistake(where, 0, "TTFT and TPOT", f"{ms(slo.ttft_s)} and {ms(slo.tpot_s)}", f"{both}: {_named(near)}")
        )
    return found


def _words(s: Survey, c: Choice) -> list[str]:
    """The choice in sentences."""
    said = [_most(c)]
    said += _made(c.best)
    said.append(_why(c.best, c.slo))
    best = _served(c.best, c.chips)
    if c.others:
        less = 1 - _served(c.others[0], c.chips) / best
        held = "" if c.others[0].binds == "nothing" else f", held by {c.others[0].binds}"
        said.append(f"Next comes {_named(c.others[0])}, {100 * less:.1f} % less{held}.")
    apart = "Prefill and decoding on chips of their own"
    if (d := c.disaggregated) is not None:
        more = d.tokens_per_s_per_chip * (1.0 if c.chips is None else d.chips) / best - 1
        word = "more" if more > 0 else "less"
        said.append(f"{apart} ({d.chips} chips) would serve {100 * abs(more):.0f} % {word}: {d.words}.")
    elif c.chips is not None and disaggregated(s, c.slo.ttft_s, c.slo.tpot_s) is not None:
        said.append(f"{apart} would take more than {_chips(c.chips)}.")
    gone = [f"{x.count} at {x.precision} ({x.reason})" for x in s.candidates.ruled_out]
    if c.too_slow:
        gone.append(f"{c.too_slow} too slow at any batch")
    if gone:
        tried = len(s.candidates.steps) + sum(x.count for x in s.candidates.ruled_out)
        said.append(f"Ruled out of {tried} layouts tried: {'; '.join(gone)}.")
    return said


def _most(c: Choice) -> str:
    """What serves most: per chip, or of the chips that there are."""
    rate = f"{_rate(c.best.tokens_per_s_per_chip)} per chip"
    if c.chips is None:
        return f"{_named(c.best)} serves most: {rate}."
    times = "one replica" if c.replicas == 1 else f"{c.replicas} replicas"
    left = f", {_chips(c.left_over)} left over" if c.left_over else ""
    return (
        f"Of {_chips(c.chips)}, {times} of {_named(c.best)} {'serves' if c.replicas == 1 else 'serve'} most: "
        f"{_rate(_served(c.best, c.chips))}, {rate} in use{left}."
    )


def _served(o: Operation, chips: int | None) -> float:
    """Output tokens per second of a chip or, where there are so many chips, of all whole replicas on them."""
    size = o.replica.accelerators
    return o.tokens_per_s_per_chip * (1 if chips is None else chips // size * size)


def _chips(n: int) -> str:
    return "1 chip" if n == 1 else f"{n:,} chips"


def _why(o: Operation, slo: Slo) -> str:
    r = o.replica
    if o.binds == "memory":
        held = f"{r.kv_blocks:,} blocks of KV cache hold {o.requests:,} requests of {o.load.most_context:,} tokens"
        return f"Memory binds: {held}."
    if o.binds == "sequences":
        return f"The engine's bound on sequences binds: {o.requests:,} on the replica; memory would hold more."
    if o.binds == "TPOT":
        return f"TPOT binds: {ms(o.tpot_s)} of {ms(slo.tpot_s)}; one more request in flight would pass it."
    if o.binds == "TTFT":
        return f"TTFT binds: {ms(o.ttft_s)} of {ms(slo.ttft_s)}; one more request in flight would pass it."
    return "Nothing binds: one more request in flight would bring fewer tokens."


def _named(o: Operation) -> str:
    chips = "" if o.replica.accelerators == 1 else f" ({o.replica.accelerators} chips)"
    return f"{o.replica.layout}{chips} at {o.replica.precision} with {o.requests:,} in flight"


def _made(o: Operation) -> list[str]:
    """A sentence where the weights are not as published."""
    published, used = o.replica.model.published_precision, o.replica.precision
    if used == published:
        return []
    how = "quantized" if BYTES_PER_NUMBER[used] < BYTES_PER_NUMBER[published] else "converted"
    return [f"The weights are {used}, {how} from {published}, in which the model is published."]


def _rate(tokens_per_s: float) -> str:
    return f"{tokens_per_s:,.0f} output tokens/s" if tokens_per_s >= 10 else f"{tokens_per_s:.2f} output tokens/s"


def ms(seconds: float) -> str:
    """A time as people say it: "38 ms", "1.9 s"."""
    if seconds == float("inf"):
        return "any"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
