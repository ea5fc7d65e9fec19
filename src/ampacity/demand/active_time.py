"""How long people are active in each hour, expected before any limit: what a sample of hours can be held against.

Stretches begin at a rate that is constant within an hour and last exponentially long (`stretches.py`), so how many are
under way goes exponentially to rate times mean length [1]_; its integral over each hour has a closed form.

References
----------
.. [1] S. G. Eick, W. A. Massey, W. Whitt, The physics of the Mt/G/infinity queue, Operations Research 41 (1993).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.stretches import HOUR_MS, Habits

Floats = NDArray[np.float64]


def active_hours(h: Habits) -> Floats:
    """Time that a person is active in each hour, sessions side by side counted each; nobody is before the first.
    [hours of activity, at the mean pace, mean over people]"""
    rate = h.active_share * h.hour_weights  # begun in an hour times their mean length
    lasts = h.stretch_ms / HOUR_MS
    stay = float(np.exp(-1.0 / lasts))
    found, under_way = np.zeros(len(rate)), 0.0
    for hour, new in enumerate(rate):
        found[hour] = new + (under_way - new) * lasts * (1.0 - stay)
        under_way = new + (under_way - new) * stay
    return found
