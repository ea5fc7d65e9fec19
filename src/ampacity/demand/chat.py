"""The chat tier: single requests with measured lengths, and arrivals that are nearly Poisson.

Lengths are quantile tables of a public trace [1]_, input and output independent (rank correlation 0.07). What of the
input a cache holds is that of another service [2]_ and therefore a parameter.

References
----------
.. [1] Microsoft Azure Public Dataset, AzureLLMInferenceTrace_conv, CC BY 4.0; Patel et al., Splitwise, ISCA 2024.
.. [2] Qin et al., Mooncake, FAST 2025: 37.4 % of input tokens reusable with an unlimited cache.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ampacity.demand import draws
from ampacity.demand.clients import WINDOW_S, ClientWindows, arrivals
from ampacity.demand.open_loop import TABLE, RowLaw
from ampacity.scenario import lookup

Floats = NDArray[np.float64]

REUSE_SHARE = 0.374
ARRIVAL_SHAPE = 0.92
"""Weibull shape of the gaps between requests of the chat service: a little burstier than Poisson."""
LAWS_KEPT = 8
"""Laws of chat that stay in memory, half a megabyte each: every cell of a fleet draws from the same one."""
_PAIRING = 1
"""Seed of the one fixed pairing of inputs with outputs; it is part of the law, not of a run."""


@cache
def chat_lengths(field: str) -> NDArray[np.int32]:
    """65,536 lengths at equal shares of probability: `input_tokens` or `output_tokens`. Raises KeyError."""
    rows = [(float(r["level"]), float(r["tokens"])) for r in lookup.table("demand/chat_lengths") if r["field"] == field]
    if not rows:
        raise KeyError(field)
    level, tokens = np.array(rows).T
    table: NDArray[np.int32] = np.rint(np.interp((np.arange(TABLE) + 0.5) / TABLE, level, tokens)).astype(np.int32)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=LAWS_KEPT)
def chat_law(reuse_share: float = REUSE_SHARE) -> RowLaw:
    """The law of chat requests; of each input the same share is cached. [0 to 1]"""
    if not 0.0 <= reuse_share <= 1.0:
        raise ValueError(f"reuse_share is {reuse_share:.4g}; expected 0 to 1")
    inputs, outputs = chat_lengths("input_tokens"), chat_lengths("output_tokens")
    pairing = np.argsort(draws.bits(_PAIRING, "chat pairing", np.arange(TABLE)), kind="stable")
    law = RowLaw(inputs, np.floor(inputs * reuse_share).astype(np.int32), outputs[pairing])
    for table in (law.cached_tokens, law.output_tokens):
        table.flags.writeable = False
    return law


def chat_arrivals(seed: int, rates_per_s: Floats, length_s: float = WINDOW_S, first: int = 0) -> Floats:
    """Times of chat requests in consecutive windows of given rates, from the start of window 0, rising. [s]"""
    n = len(rates_per_s)
    windows = ClientWindows(
        client=np.zeros(n, dtype=np.int64),
        window=np.arange(first, first + n, dtype=np.int64),
        rate_per_s=np.asarray(rates_per_s, dtype=np.float64),
        weibull=np.ones(n, dtype=np.bool_),
        shape=np.full(n, ARRIVAL_SHAPE),
    )
    return arrivals(windows, seed, length_s)[1]
