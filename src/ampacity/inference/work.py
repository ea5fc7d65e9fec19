"""What one iteration of an engine computes, moves and launches, as the time it would take at full efficiency.

An iteration is described by four numbers: `b` sequences that decode one token each, `k` tokens of context that they
read in total, `p` tokens of prefill, and `a`, the sum over prefill chunks of chunk x (context before it + half the
chunk). The fit and every prediction go through the one function here; efficiencies are in `coefficients.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampacity.inference.replica import INDEX_KEY_BYTES, STATE_BYTES, Replica
from ampacity.scenario.model import Model

Array = NDArray[np.float64]

EFFICIENCIES = (
    "dense_memory",
    "dense_compute",
    "expert_memory",
    "expert_compute",
    "decode_memory",
    "decode_compute",
    "prefill_attention",
    "link",
)
"""Paths whose time is an ideal one over an efficiency in (0, 1]."""
OVERHEADS = ("kernel_us", "collective_us", "sequence_us", "activation", "iteration_ms")
"""Paths whose time is a count times a cost: of a kernel, of a layer's collectives, of a sequence
of a data group and 60 layers, of
moving a hidden number so many times, and of an iteration."""
PATHS = EFFICIENCIES + OVERHEADS
PAIRS = ((0, 1), (2, 3), (4, 5))
"""Kernel groups that take the longer of memory and compute: dense and expert products, decode attention."""
MEMORY, COMPUTE = (0, 2, 4), (1, 3, 5, 6)
DENSE_COMPUTE = PATHS.index("dense_compute")


def ideal(r: Replica, b: ArrayLike, k: ArrayLike, p: ArrayLike, a: ArrayLike) -> Array:
    """Ideal time [s] or count of each path of an iteration; shape (13, ...), arguments broadcast.

    Stages of a pipeline work on parts of the batch, so a pass is that of one part through all layers.
    """
    b, k, p, a = (np.asarray(x, dtype=np.float64) / r.layout.pipeline for x in (b, k, p, a))
    b, k, p, a = np.broadcast_arrays(b, k, p, a)
    memory, compute = decode_attention_s(r, b, k)
    some = np.ones_like(b)
    return np.stack(
        (
            *_dense_s(r, b, p),
            *_experts_s(r, b + p),
            memory,
            compute,
            _prefill_attention_s(r, a),
            _link_s(r, b + p),
            some * kernels(r.model) * 1e-6,
            some * r.model.layers * 1e-6 * (r.layout.tensor * r.layout.data > 1),
            b / r.layout.data * r.model.layers / 60.0 * 1e-6,
            (b + p) * r.model.layers * r.model.hidden / r.bytes_per_s,
            some * 1e-3,
        )
    )


def prompt_products_s(r: Replica, p: ArrayLike) -> Array:
    """What of the ideal time of dense products is that of `p` prompt tokens; the output head takes none of them. [s]"""
    tokens = np.asarray(p, dtype=np.float64) / r.layout.pipeline
    return np.asarray(_dense_s(r, np.zeros_like(tokens), tokens)[1])


def kernels(m: Model) -> int:
    """Kernels that one pass launches, counted from the layers' operations with the usual fusions.

    An attending layer: norm, projection, rotation, cache write, attention in two parts, output: 6; normalized queries
    and keys 2 more; latent attention 12; an indexer 8 more; linear attention 8. Feed-forward: 4; experts: 9 with
    routing and permutation, 3 more for shared ones.
    """
    attend = (12 if m.attention == "mla" else 6 + 2 * m.qk_norm) + (8 if m.sparse_tokens else 0)
    if m.state_numbers:
        attending = m.whole_layers * (attend - 1) + (m.layers - m.whole_layers) * 8
    else:
        attending = m.layers * attend
    return attending + (m.layers - m.moe_layers) * 4 + m.moe_layers * (9 + 3 * bool(m.shared_experts))


def decode_attention_s(r: Replica, b: Array, k: Array) -> tuple[Array, Array]:
    """Ideal time to read the cache of decoding sequences, and to compute their attention. [s]"""
    m = r.model
    read = np.minimum(k, b * m.sparse_tokens) if m.sparse_tokens else k
    shards = r.layout.data if m.attention == "mla" else np.minimum(r.layout.tensor, m.kv_heads) * r.layout.data
    moved = m.kv_numbers_per_token() * r.kv_bytes * read
    if m.sparse_tokens:
        moved = moved + m.layers * INDEX_KEY_BYTES * k
    others = m.layers - m.whole_layers
    if m.window_tokens:
        moved = moved + others * m.kv_numbers_per_layer() * r.kv_bytes * np.minimum(k, b * m.window_tokens)
    # each data group reads and writes the states of its own sequences
    state = 2.0 * others * m.state_numbers * STATE_BYTES * b / (r.layout.tensor * r.layout.data)
    dimensions = 2 * m.kv_latent_dim - 64 if m.attention == "mla" else 2 * m.head_dim
    flops = 2.0 * m.heads * dimensions * m.whole_layers * read
    chips = r.layout.tensor * r.layout.data
    return (moved / shards + state) / r.bytes_per_s, flops / chips / r.attention_flops_per_s


def _dense_s(r: Replica, b: Array, p: Array) -> tuple[Array, Array]:
    m, chips = r.model, r.layout.tensor * r.layout.data
    dense, head = m.dense_parameters * m.scale.value, m.head_parameters * m.scale.value
    read = dense * r.dense_bytes / r.layout.tensor + head * r.head_bytes / chips
    products = 2.0 * dense * (b + p) / r.dense_flops_per_s + 2.0 * head * b / r.attention_flops_per_s
    return np.where(b + p > 0, read / r.bytes_per_s, 0.0), products / chips


def _experts_s(r: Replica, tokens: Array) -> tuple[Array, Array]:
    m, chips = r.model, r.layout.tensor * r.layout.data
    if not m.experts:
        return np.zeros_like(tokens), np.zeros_like(tokens)
    share = m.experts_per_token / m.experts
    touched = 1.0 - (1.0 - share) ** tokens
    parameters = m.expert_parameters * m.scale.value
    read = parameters * r.expert_bytes * touched / chips / r.bytes_per_s
    return read, 2.0 * parameters * share * tokens / chips / r.expert_flops_per_s


def _prefill_attention_s(r: Replica, a: Array) -> Array:
    m = r.model
    dimensions = 2 * m.head_dim + 64 if m.attention == "mla" else 2 * m.head_dim
    chips = r.layout.tensor * r.layout.data
    return 2.0 * m.heads * dimensions * m.whole_layers * a / chips / r.attention_flops_per_s


def _link_s(r: Replica, tokens: Array) -> Array:
    """Two all-reduces of a layer among tensor-parallel chips; dispatch and return of tokens to spread experts."""
    m, t = r.model, r.layout.tensor
    moved = tokens / r.layout.data * m.hidden * 2.0 * 2 * m.layers
    reduced = moved * 2.0 * (t - 1) / t / r.link_bytes_per_s
    exchanged = moved * (r.layout.data > 1)
    stages = tokens * m.hidden * 2.0 * (r.layout.pipeline - 1)
    return reduced + (exchanged + stages) / r.exchange_bytes_per_s
