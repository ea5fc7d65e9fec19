"""How near drawn sessions come to real ones, beside how near real ones come to each other.

The measure is the Kolmogorov distance of nine statistics. Its floor is the distance between the parts of a random
75/25 partition of the real sessions: no model can be told from the truth below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.demand.agent_model import AgentModel
from ampacity.demand.fit import fit
from ampacity.demand.requests import session_split
from ampacity.demand.sessions import generate, served

Floats = NDArray[np.float64]

TARGETS = {
    "input per request": 0.10,
    "output per request": 0.05,
    "uncached per request": 0.05,
    "gap": 0.05,
    "requests per session": 0.15,
    "hit share per session": 0.15,
    "input per session": 0.15,
    "output per session": 0.15,
    "largest context": 0.15,
}
"""Kolmogorov distance that a fit should not exceed, by statistic."""
HIT_POINTS, MEANS_SHARE = 1.0, 0.15
DRAWN_SESSIONS = 4000


@dataclass(frozen=True)
class Goodness:
    """One statistic. distance: drawn against all real sessions. held_out: median over repetitions of the distance of
    a model fitted to 75 % of the sessions to the other 25 %. floor, floor_p95: median and 95 % quantile of the
    distance between those two parts; nothing without repetitions. target: what `distance` should not exceed."""

    statistic: str
    distance: float
    held_out: float | None
    floor: float | None
    floor_p95: float | None
    target: float


def statistics(frame: pl.DataFrame) -> dict[str, Floats]:
    """The nine statistics of the main agents in a frame of `requests.COLUMNS`; gaps without those before step 0."""
    main = frame.filter(pl.col("agent") == 0)
    uncached = pl.col("input_tokens") - pl.col("cached_tokens")
    sessions = main.group_by("session", maintain_order=True).agg(
        number=pl.len(),
        whole=pl.col("input_tokens").sum(),
        cached=pl.col("cached_tokens").sum(),
        output=pl.col("output_tokens").sum(),
        most=pl.col("input_tokens").max(),
    )
    found = {
        "input per request": main["input_tokens"],
        "output per request": main["output_tokens"],
        "uncached per request": main.select(uncached).to_series(),
        "gap": main.filter((pl.col("step") > 0) & pl.col("gap_s").is_not_null())["gap_s"],
        "requests per session": sessions["number"],
        "hit share per session": sessions["cached"] / sessions["whole"].clip(1),
        "input per session": sessions["whole"],
        "output per session": sessions["output"],
        "largest context": sessions["most"],
    }
    return {name: values.to_numpy().astype(np.float64) for name, values in found.items()}


def distance(x: Floats, y: Floats) -> float:
    """Kolmogorov distance of two samples: the largest difference of their shares up to any value. [0 to 1]"""
    x, y = np.sort(x), np.sort(y)
    both = np.concatenate([x, y])
    up_to = [np.searchsorted(sample, both, side="right") / len(sample) for sample in (x, y)]
    return float(np.max(np.abs(up_to[0] - up_to[1])))


def drawn(model: AgentModel, seed: int, sessions: int, like: pl.DataFrame) -> pl.DataFrame:
    """Requests of drawn sessions, gaps rounded as those of `like` are: a clock of whole seconds is no misfit."""
    return rounded(served(generate(model, seed, np.arange(sessions)), model.service).frame(), like)


def rounded(frame: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """A frame with gaps in whole seconds if those of `like` are."""
    gaps = like["gap_s"].drop_nulls()
    if bool((gaps == gaps.round()).all()):
        return frame.with_columns(pl.col("gap_s").round())
    return frame


def goodness(
    frame: pl.DataFrame,
    ours: pl.DataFrame,
    seed: int,
    repetitions: int = 30,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Goodness]:
    """Every statistic of `ours`, drawn by a model fitted to `frame`; of models fitted to a part; the floor of noise."""
    real, found = statistics(frame), statistics(ours)
    floor: dict[str, list[float]] = {name: [] for name in TARGETS}
    held_out: dict[str, list[float]] = {name: [] for name in TARGETS}
    for i in range(repetitions):
        most, rest = session_split(frame, 0.75, np.random.default_rng([seed, i]))
        seen, unseen = statistics(most), statistics(rest)
        fitted = statistics(drawn(fit(most), seed + 1 + i, DRAWN_SESSIONS // 2, frame))
        for name in TARGETS:
            floor[name].append(distance(seen[name], unseen[name]))
            held_out[name].append(distance(fitted[name], unseen[name]))
        progress(i + 1, repetitions)
    return [
        Goodness(
            name,
            distance(found[name], real[name]),
            _quantile(held_out[name], 0.5),
            _quantile(floor[name], 0.5),
            _quantile(floor[name], 0.95),
            target,
        )
        for name, target in TARGETS.items()
    ]


def _quantile(values: list[float], level: float) -> float | None:
    return float(np.quantile(values, level)) if values else None


def means(frame: pl.DataFrame) -> dict[str, float]:
    """Mean tokens per request by kind, and requests per session, of the main agents."""
    main = frame.filter(pl.col("agent") == 0)
    whole, cached = float(main["input_tokens"].mean()), float(main["cached_tokens"].mean())  # type: ignore[arg-type]
    return {
        "input_tokens": whole,
        "uncached_tokens": whole - cached,
        "output_tokens": float(main["output_tokens"].mean()),  # type: ignore[arg-type]
        "requests_per_session": len(main) / main["session"].n_unique(),
    }
