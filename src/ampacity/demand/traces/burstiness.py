"""How uneven arrivals are: dispersion of counts, peak over mean, spread of the time between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def index_of_dispersion(arrivals_s: ArrayLike, bin_s: float) -> float:
    """Variance over mean of the number of arrivals per bin: 1 for Poisson, more for bursts; nan if below two bins."""
    counts, bins = _counts(arrivals_s, bin_s)
    if bins < 2 or not counts.size:
        return float("nan")
    mean = counts.sum() / bins
    return float(((counts**2).sum() / bins - mean**2) / mean)


def peak_to_mean(arrivals_s: ArrayLike, bin_s: float) -> float:
    """Arrivals of the fullest bin over those of the mean bin; nan if below two bins."""
    counts, bins = _counts(arrivals_s, bin_s)
    return float(counts.max() / (counts.sum() / bins)) if bins >= 2 and counts.size else float("nan")


def interarrival_cv(arrivals_s: ArrayLike) -> float:
    """Standard deviation over mean of the time between arrivals: 1 for Poisson; nan if all come at once."""
    between = np.diff(np.sort(np.asarray(arrivals_s, dtype=np.float64)))
    return float(between.std() / between.mean()) if between.size and between.mean() > 0 else float("nan")


def _counts(arrivals_s: ArrayLike, bin_s: float) -> tuple[Array, int]:
    """Arrivals in each bin that has any, and the number of whole bins from the first arrival to the last.

    A last bin that is cut short does not count. Empty bins are not laid out: a wrong clock may span decades.
    """
    t = np.asarray(arrivals_s, dtype=np.float64)
    if not t.size:
        return t, 0
    at = ((t - t.min()) // bin_s).astype(np.int64)
    bins = int((t.max() - t.min()) // bin_s)
    _, counts = np.unique(at[at < bins], return_counts=True)
    return counts.astype(np.float64), bins
