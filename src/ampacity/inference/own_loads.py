"""One's own measured loads, laid out as sums over the paths of an iteration, ready to be fitted.

Every load is run once through the small engine of `loop.py`. Its mean TPOT, its mean TTFT and the time that all of it
takes are then sums of iteration times, whatever the coefficients turn out to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.coefficients import ALL_PATHS, FIRST_UNITS_S, Coefficients, first_at
from ampacity.inference.compositions import condensed
from ampacity.inference.engines import mixes, token_budget
from ampacity.inference.fit import TTFT_WEIGHT
from ampacity.inference.loop import Protocol, schedule
from ampacity.inference.replica import Replica
from ampacity.inference.results.measurement import Measurement
from ampacity.inference.work import EFFICIENCIES, PAIRS, PATHS, Array, ideal
from ampacity.scenario.mistakes import Mistake

TPOT, TTFT, TOGETHER = 0, 1, 2
"""What a number is: a mean TPOT, a mean TTFT, or the time that all requests together took."""
MOST_REQUESTS = 20_000
TOLERANCE = 0.02
"""A load may be so much faster than the chip's peak before it counts as impossible: datasheets round."""
MOST_TIMES = 20.0
"""A time that is so many times the least or less, read as seconds, was probably meant so."""
DOES = {
    "dense_memory": "reading the weights",
    "dense_compute": "multiplying the weights",
    "expert_memory": "reading the experts",
    "expert_compute": "multiplying the experts",
    "decode_memory": "reading the cache",
    "decode_compute": "the attention of decoding",
    "prefill_attention": "the attention of prefill",
    "link": "the links",
}


@dataclass(frozen=True)
class Loads:
    """Loads as sums over typical iterations.

    at: ideal time or count of each of ALL_PATHS [s], weighted, a row an iteration. row: of which number. measured:
    the numbers [s]. kind: TPOT, TTFT or TOGETHER. weight: of each number. load: of which measurement each is.
    """

    measurements: tuple[Measurement, ...]
    at: Array
    row: NDArray[np.int64]
    measured: Array
    kind: NDArray[np.int64]
    weight: Array
    load: NDArray[np.int64]


def loads(measurements: Sequence[Measurement], r: Replica) -> Loads:
    """Run every load on the replica and lay out what its numbers are sums of."""
    at: list[Array] = []
    measured: list[float] = []
    row: list[int] = []
    kind: list[int] = []
    load: list[int] = []
    for i, m in enumerate(measurements):
        q = protocol(m, r)
        ran = schedule(q)
        per_token, until_first, together = condensed(ran)
        first = np.array(first_at(m.input_tokens, q.concurrency))
        for what, value, typical, firsts in (
            (TPOT, m.tpot_s, per_token, 0.0),
            (TTFT, m.ttft_s, until_first, 1.0),
            (TOGETHER, _together_s(m, float(ran.output.sum())), together, float(q.per_slot)),
        ):
            if value is None:
                continue
            block = np.zeros((len(typical) + 1, len(ALL_PATHS)))
            block[:-1, : len(PATHS)] = (ideal(r, *typical[:, :4].T) * typical[:, 4]).T
            block[-1, len(PATHS) :] = first * firsts
            at.append(block)
            row += [len(measured)] * len(block)
            measured.append(value)
            kind.append(what)
            load.append(i)
    kinds = np.array(kind, dtype=np.int64)
    return Loads(
        measurements=tuple(measurements),
        at=np.concatenate(at) if at else np.zeros((0, len(ALL_PATHS))),
        row=np.array(row, dtype=np.int64),
        measured=np.array(measured),
        kind=kinds,
        weight=np.where(kinds == TTFT, TTFT_WEIGHT, 1.0),
        load=np.array(load, dtype=np.int64),
    )


def protocol(m: Measurement, r: Replica) -> Protocol:
    """How a measurement asked: its requests in flight, as many after each other as it had, its mean lengths."""
    concurrency = min(m.concurrency, m.requests)
    most = max(min(10, MOST_REQUESTS // concurrency), 1)
    longest = 2.0 / (1.0 + m.shortest)
    return Protocol(
        concurrency=concurrency,
        input_tokens=max(round(m.input_tokens * longest), 1),
        output_tokens=max(round(m.output_tokens * longest), 2),
        shortest=m.shortest,
        per_slot=min(max(math.ceil(m.requests / concurrency), 1), most),
        cached_tokens=round(m.cached_tokens),
        token_budget=token_budget(r.engine),
        mixed=mixes(r.engine),
        kv_tokens=r.kv_tokens,
    )


def spent(t: Loads, cost: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Time of each path in each row [s], and whether it counts: of memory and compute only the longer does."""
    at = t.at * cost
    counts = np.ones(at.shape, dtype=bool)
    for memory, compute in PAIRS:
        counts[:, memory] = at[:, memory] >= at[:, compute]
        counts[:, compute] = ~counts[:, memory]
    return at, counts


def predicted(t: Loads, cost: Array) -> Array:
    """Every number at the given costs of ALL_PATHS. [s]"""
    at, counts = spent(t, cost)
    return np.asarray(np.bincount(t.row, (at * counts).sum(axis=1), len(t.measured)), dtype=np.float64)


def costs(c: Coefficients) -> Array:
    """The costs of ALL_PATHS, in the units of `Loads.at`."""
    return np.concatenate([np.array(c.cost), np.array(c.first) / np.array(FIRST_UNITS_S)])


def impossible(t: Loads, r: Replica) -> list[Mistake]:
    """Loads that were faster than perfect chips without any overhead, each with what binds."""
    perfect = np.array([1.0 if path in EFFICIENCIES else 0.0 for path in ALL_PATHS])
    at, counts = spent(t, perfect)
    found = []
    for i in np.flatnonzero(t.measured < predicted(t, perfect) * (1 - TOLERANCE)):
        parts = (at * counts)[t.row == i].sum(axis=0)
        worst = DOES[ALL_PATHS[int(parts.argmax())]]
        least, m = float(parts.sum()), t.measurements[t.load[i]]
        key, stated, needed = _in_words(int(t.kind[i]), m, float(t.measured[i]), least)
        in_seconds = t.kind[i] != TOGETHER and least <= 1e3 * t.measured[i] <= MOST_TIMES * least
        why = (
            "seconds where ms belong?"
            if in_seconds
            else "another model, precision, layout or load was measured, or tokens were speculated or cached"
        )
        message = (
            f"faster than the chips can be: {r.model.name} {r.precision} on {r.accelerators} x {r.chip} ({r.layout}) "
            f"at full speed needs {needed}, most of it for {worst}; {why}"
        )
        found.append(Mistake(m.file, m.line, key, stated, message))
    return found


def _in_words(kind: int, m: Measurement, measured_s: float, least_s: float) -> tuple[str, str, str]:
    if kind == TOGETHER:
        rate = m.tokens_per_s or 0.0
        return "throughput", f"{rate:,.0f} token/s", f"at most {rate * measured_s / least_s:,.0f} token/s"
    key = "tpot" if kind == TPOT else "ttft"
    return key, _ms(measured_s), _ms(least_s)


def _ms(seconds: float) -> str:
    """A time as files have it; small ones with all digits that tell, so that a wrong unit shows."""
    ms = seconds * 1e3
    return f"{ms:,.2f} ms" if ms >= 0.1 else f"{ms:.3g} ms"


def _together_s(m: Measurement, tokens: float) -> float | None:
    """How long the load took; None where TTFT and TPOT say it already, or nothing does."""
    if m.tokens_per_s is None or (m.ttft_s is not None and m.tpot_s is not None):
        return None
    return tokens / m.tokens_per_s
