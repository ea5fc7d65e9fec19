"""Seconds that an answer takes where no simulator says so: a linear law of tokens, and its fit to timed answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]

ENOUGH = 200
"""Timed answers below which the default law stands."""


@dataclass(frozen=True)
class Service:
    """Seconds of an answer. fixed_s: per request. per_output_s, per_uncached_s, per_input_s: per token of each kind.

    The default is what the public traces of coding agents show [1]_; accelerators and load are inside it.

    References
    ----------
    .. [1] callanjfox/kv-cache-tester (Apache-2.0), 710 sessions, server times, R2 0.87.
    """

    fixed_s: float = 1.29
    per_output_s: float = 1 / 68.2
    per_uncached_s: float = 15e-6
    per_input_s: float = 15e-6

    def answer_s(self, uncached: Floats, whole_input: Floats, output: Floats) -> Floats:
        """Seconds from a request to the end of its answer. Tokens >= 0."""
        per_input = self.per_uncached_s * uncached + self.per_input_s * whole_input
        return self.fixed_s + self.per_output_s * output + per_input


def fit_service(frame: pl.DataFrame) -> Service:
    """The law of a frame's `server_s`, by least squares with no negative part; the default where few were timed."""
    if "server_s" not in frame.columns:
        return Service()
    rows = frame.filter(pl.col("server_s").is_not_null() & pl.col("cached_tokens").is_not_null())
    if len(rows) < ENOUGH:
        return Service()
    whole, cached, output, taken = (
        rows[name].to_numpy().astype(np.float64)
        for name in ("input_tokens", "cached_tokens", "output_tokens", "server_s")
    )
    law, _ = nnls(np.column_stack([np.ones(len(rows)), output, whole - cached, whole]), taken)
    return Service(*(float(v) for v in law))
