"""How uneven arrivals are: dispersion of counts, peak over mean, spread of the time between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def index_of_dispersion(arrivals_s: ArrayLike, bin_s: float) -> float:
    """Variance over mean of the number of arrivals per bin: 1 for Poisson, more for bursts; nan if below two bins."""
    counts = _counts(arrivals_s, bin_s)
    return float(counts.var() / counts.mean()) if counts.size > 1 else float("nan")


def peak_to_mean(arrivals_s: ArrayLike, bin_s: float) -> float:
    """Arrivals of the fullest bin over those of the mean bin; nan if below two bins."""
    counts = _counts(arrivals_s, bin_s)
    return float(counts.max() / counts.mean()) if counts.size > 1 else float("nan")


def interarrival_cv(arrivals_s: ArrayLike) -> float:
    """Standard deviation over mean of the time between arrivals: 1 for Poisson; nan if all come at once."""
    between = np.diff(np.sort(np.asarray(arrivals_s, dtype=np.float64)))
    return float(between.std() / between.mean()) if between.size and between.mean() > 0 else float("nan")


def _counts(arrivals_s: ArrayLike, bin_s: float) -> Array:
    """Arrivals in each whole bin from the first of them; a last bin that is cut short does not count."""
    t = np.asarray(arrivals_s, dtype=np.float64)
    t = t - t.min() if t.size else t
    bins = int((t.max() if t.size else 0.0) // bin_s)
    return np.bincount((t // bin_s).astype(np.int64), minlength=bins)[:bins].astype(np.float64)
