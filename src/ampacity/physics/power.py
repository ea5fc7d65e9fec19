"""Electric power of accelerators by phase, and the chain from server to IT to facility."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

IDLE_SHARE = 0.13
"""Idle power over TDP: 70 to 100 W of an H100's 700 W."""
DECODE_ACTIVITY = 0.23
"""Activity of a decoding accelerator: an H200 draws 137 to 300 of 700 W [1]_, the middle of it above idle."""
OVERHEAD_SHARE = 0.42
"""Share of a server's nameplate beyond its accelerators that it draws: 2,930 W a server at 191.6 W a GPU [2]_."""


def accelerator_power_w(tdp_w: ArrayLike, prefill: ArrayLike, decode: ArrayLike) -> Array:
    """Mean power of an accelerator that spends shares of its time in prefill and decode, and idles otherwise.

    Parameters
    ----------
    tdp_w : array_like
        Limit of the chip, >= 0. [W]
    prefill, decode : array_like
        Shares of time, each 0 to 1, together at most 1. Training counts as prefill. [-]

    Returns
    -------
    array
        Between idle and TDP. [W]

    Raises
    ------
    ValueError
        If a share is negative or the two exceed 1.

    References
    ----------
    .. [1] arXiv 2605.11999: power of an H200 in decode.
    .. [2] Hu et al., arXiv 2403.07648 (Acme): 8 x A100 servers, nameplate 6,500 W.
    """
    prefill, decode = np.asarray(prefill, dtype=np.float64), np.asarray(decode, dtype=np.float64)
    if np.any(prefill < 0) or np.any(decode < 0) or np.any(prefill + decode > 1 + 1e-9):
        raise ValueError("prefill and decode are shares of time: not negative, together at most 1")
    activity = prefill + DECODE_ACTIVITY * decode
    return np.asarray(tdp_w, dtype=np.float64) * (IDLE_SHARE + (1 - IDLE_SHARE) * activity)


def server_power_w(accelerator_w: ArrayLike, tdp_w: ArrayLike, nameplate_w: ArrayLike) -> Array:
    """Power of a server per accelerator: the accelerator's, and what processors, memory and fans draw in use. [W]"""
    overhead = np.asarray(nameplate_w, dtype=np.float64) - np.asarray(tdp_w, dtype=np.float64)
    return np.asarray(accelerator_w, dtype=np.float64) + OVERHEAD_SHARE * np.maximum(overhead, 0.0)


def on_basis(server_w: ArrayLike, basis: str, it_per_server: float, pue: float) -> Array:
    """Server power on another basis: `server`, `it` (x it_per_server) or `facility` (x it_per_server x pue). [W]

    Raises KeyError for another word.
    """
    factor = {"server": 1.0, "it": it_per_server, "facility": it_per_server * pue}[basis]
    return np.asarray(server_w, dtype=np.float64) * factor
