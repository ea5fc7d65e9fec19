"""The fitted coefficients of an iteration, from the catalog: what an engine on a chip reaches of the ideal.

The logarithm of every cost is a sum of what holds for all, for the engine, the accelerator, the engine's version and
the precision of the weights. What was never measured adds nothing, so an unknown chip gets what holds for all.
A calibration of one's own shifts what the catalog says (see `shifted`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from ampacity.inference.work import EFFICIENCIES, PATHS
from ampacity.scenario import lookup
from ampacity.scenario.calibration import Calibration

FACTORS = ("all", "engine", "accelerator", "version", "precision")
PRECISION_PATHS = ("dense_memory", "dense_compute", "expert_memory", "expert_compute")
FIRST = ("request_ms", "input_token_us", "client_ms")
"""What a first token waits for besides iterations: per request, per token of its input, per concurrent request."""
FIRST_UNITS_S = (1e-3, 1e-6, 1e-3)
"""What one unit of each of FIRST is. [s]"""
ALL_PATHS = PATHS + FIRST
"""Everything that has a cost."""
LEAST_SHIFT = 5e-5
"""Shifts below this are not written: they change a cost by less than 0.01 %."""
FEWEST_POINTS = 50
"""Points of an accelerator from which on its coefficients count as measured."""
MEASURED, FAMILY, DATASHEET = "measured fit", "scaled from family", "datasheet only"


@dataclass(frozen=True)
class Coefficients:
    """Costs of an engine on an accelerator.

    cost: of each of PATHS: one over the efficiency, or the cost of one count [s, in units of `ideal`].
    first: of each of FIRST [s]. label: how the accelerator was come by. version: of the engine. expected_error: of
    TPOT as a share, where a calibration states it; None: that of the label. prompts_beside_reading: the dense products
    of prompts come on top of reading the weights; else an iteration takes the longer of the two.
    """

    cost: tuple[float, ...]
    first: tuple[float, ...]
    label: str
    version: str
    expected_error: float | None = None
    prompts_beside_reading: bool = False

    @property
    def efficiencies(self) -> dict[str, float]:
        """Efficiency of each path that has one. (0 to 1]"""
        return {name: 1.0 / self.cost[i] for i, name in enumerate(EFFICIENCIES)}


def first_at(input_tokens: float, concurrency: float) -> tuple[float, ...]:
    """What each of FIRST counts for one request of so many tokens among so many at once, at a cost of 1. [s]"""
    return tuple(unit * count for unit, count in zip(FIRST_UNITS_S, (1, input_tokens, concurrency), strict=True))


def cost_of(path: str, logarithm: float) -> float:
    """A path's cost from the sum of its logarithms: an efficiency is 1 / (1 + e^u), so it cannot pass 1."""
    return 1.0 + math.exp(logarithm) if path in EFFICIENCIES else math.exp(logarithm)


@cache
def coefficients(
    engine: str,
    accelerator: str,
    vendor: str,
    precision: str,
    version: str | None = None,
    calibration: Calibration | None = None,
) -> Coefficients:
    """The coefficients of an engine, in its newest fitted version unless one is named, on an accelerator.

    A calibration, of that accelerator, names the version from which it counts.
    """
    if calibration is not None:
        own = coefficients(engine, accelerator, vendor, precision, calibration.version or version)
        return _calibrated(own, calibration)
    shifts = _shifts()
    version = version or newest_version(engine)
    levels = {
        "all": "all",
        "engine": engine,
        "accelerator": accelerator,
        "version": f"{engine} {version}",
        "precision": precision,
    }

    def total(path: str) -> float:
        return sum(shifts.get((path, factor, level), 0.0) for factor, level in levels.items())

    label = MEASURED if accelerator in _measured() else FAMILY if vendor == "NVIDIA" else DATASHEET
    first = tuple(math.exp(total(name)) * unit for name, unit in zip(FIRST, FIRST_UNITS_S, strict=True))
    return Coefficients(tuple(cost_of(path, total(path)) for path in PATHS), first, label, version)


def shifted(cost: float, shift: float, is_efficiency: bool) -> float:
    """A cost of the catalog with the shift of a calibration.

    It grows by e^shift. An efficiency that rises only nears 1: ln c becomes ln c · e^(shift / ln c).
    """
    if not is_efficiency or shift >= 0:
        return cost * math.exp(shift)
    logarithm = max(math.log(cost), 1e-9)
    return math.exp(logarithm * math.exp(shift / logarithm))


def _calibrated(c: Coefficients, by: Calibration) -> Coefficients:
    s = by.shifts
    own = [s.all + getattr(s, path) for path in PATHS]
    first = [s.first + getattr(s, name) for name in FIRST]
    stale = by.catalog not in ("", catalog_digest())
    return replace(
        c,
        cost=tuple(shifted(x, d, path in EFFICIENCIES) for x, d, path in zip(c.cost, own, PATHS, strict=True)),
        first=tuple(x * math.exp(d) for x, d in zip(c.first, first, strict=True)),
        label=by.label + (", from coefficients that have changed since: calibrate again" if stale else ""),
        expected_error=by.expected_error,
        prompts_beside_reading=by.prompts_beside_reading,
    )


@cache
def catalog_digest() -> str:
    """Hash of the catalog's coefficients: a calibration is made from them and says from which. 8 hexadecimal digits."""
    rows = lookup.table("serving_coefficients")
    return sha256(repr([tuple(row.values()) for row in rows]).encode()).hexdigest()[:8]


@cache
def newest_version(engine: str) -> str:
    """The newest numbered version of an engine that the fit has seen; empty if it has seen none."""
    found = [
        level.removeprefix(f"{engine} ") for _, f, level in _shifts() if f == "version" and level.startswith(engine)
    ]
    numbered = [v for v in set(found) if all(part.isdigit() for part in v.split("."))]
    return max(numbered, key=lambda v: tuple(int(part) for part in v.split(".")), default="")


@cache
def _measured() -> frozenset[str]:
    rows = lookup.table("serving_coefficients")
    return frozenset(
        row["level"] for row in rows if row["factor"] == "accelerator" and int(row["points"]) >= FEWEST_POINTS
    )


@cache
def _shifts() -> dict[tuple[str, str, str], float]:
    rows = lookup.table("serving_coefficients")
    return {(row["path"], row["factor"], row["level"]): float(row["log_shift"]) for row in rows}
