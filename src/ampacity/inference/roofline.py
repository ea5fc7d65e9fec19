"""The time of one engine iteration, from what it computes and what it moves: a roofline with one efficiency.

An iteration is described by four numbers: `b` sequences that decode one token each, `k` tokens of context that they
read in total, `p` tokens of prefill, and `a`, the sum over prefill chunks of chunk x (context before it + half the
chunk). Each kernel group takes the longer of its arithmetic and its memory traffic; groups follow each other.
Communication and host time are inside the efficiency here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
from ampacity.scenario.placement import BYTES_PER_NUMBER

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Replica:
    """One copy of a model on some accelerators that work as one.

    flops_per_s, bytes_per_s, hbm_bytes: of all its accelerators together. efficiency: share of the roofline [0 to 1].
    """

    model: Model
    accelerators: int
    weight_bytes_per_number: float
    kv_bytes_per_number: float
    flops_per_s: float
    bytes_per_s: float
    hbm_bytes: float
    efficiency: float

    @property
    def weight_bytes(self) -> float:
        """Memory that the weights take. [B]"""
        return self.model.parameters_total * self.model.scale.value * self.weight_bytes_per_number

    @property
    def kv_bytes_per_token(self) -> float:
        """Memory that one token of context takes. [B]"""
        return self.model.kv_numbers_per_token() * self.kv_bytes_per_number

    @property
    def attention_flops_per_token_pair(self) -> float:
        """Arithmetic for one token to attend to one token of context, all layers. [FLOP]

        Scores and weighted sum take 2 FLOPs each per head and dimension; latent attention works in its latent space.
        """
        m = self.model
        dimensions = m.kv_latent_dim if m.attention == "mla" else m.head_dim
        return 4.0 * m.layers * m.heads * dimensions


def replica(model: Model, chip: Accelerator, precision: str, kv_precision: str, accelerators: int) -> Replica:
    """A replica of `model` on `accelerators` chips. Raises ValueError if a figure of the chip is not known."""
    peak = chip.flops(precision)
    if peak is None or chip.hbm_bytes is None or chip.hbm_bytes_per_s is None or chip.efficiency is None:
        raise ValueError(f"{chip.name}: speed at {precision}, memory or efficiency is not known")
    return Replica(
        model=model,
        accelerators=accelerators,
        weight_bytes_per_number=BYTES_PER_NUMBER[precision],
        kv_bytes_per_number=BYTES_PER_NUMBER[kv_precision],
        flops_per_s=accelerators * peak.value,
        bytes_per_s=accelerators * chip.hbm_bytes_per_s.value,
        hbm_bytes=accelerators * chip.hbm_bytes.value,
        efficiency=chip.efficiency.value,
    )


@dataclass(frozen=True)
class Work:
    """Arithmetic and traffic of iterations by kernel group: matrix products, decode attention, prefill attention."""

    flops: tuple[Array, Array, Array]
    bytes: tuple[Array, Array, Array]


def work(r: Replica, b: ArrayLike, k: ArrayLike, p: ArrayLike, a: ArrayLike) -> Work:
    """What an iteration computes [FLOP] and moves [B]; arguments broadcast (see the head of this file)."""
    b, k, p, a = (np.asarray(x, dtype=np.float64) for x in (b, k, p, a))
    tokens = b + p
    pair = r.attention_flops_per_token_pair
    products = 2.0 * r.model.parameters_active * r.model.scale.value * tokens
    return Work(
        flops=(products, pair * k, pair * a),
        bytes=(_weight_traffic(r, tokens), r.kv_bytes_per_token * k, np.zeros_like(a * tokens)),
    )


def step_time_s(r: Replica, b: ArrayLike, k: ArrayLike, p: ArrayLike, a: ArrayLike) -> Array:
    """Time of one iteration: kernel groups in turn, each the longer of compute and memory, over the efficiency."""
    w = work(r, b, k, p, a)
    groups = (np.maximum(f / r.flops_per_s, m / r.bytes_per_s) for f, m in zip(w.flops, w.bytes, strict=True))
    return np.asarray(sum(groups) / r.efficiency)


def roofline_s(r: Replica, b: ArrayLike, k: ArrayLike, p: ArrayLike, a: ArrayLike) -> Array:
    """The least time that the same work could take: all arithmetic over peak or all bytes over bandwidth."""
    w = work(r, b, k, p, a)
    return np.asarray(np.maximum(sum(w.flops) / r.flops_per_s, sum(w.bytes) / r.bytes_per_s))


def _weight_traffic(r: Replica, tokens: Array) -> Array:
    """Weights read in an iteration: all dense ones, and those experts that at least one of the tokens is routed to."""
    m, bytes_per_number = r.model, r.model.scale.value * r.weight_bytes_per_number
    dense = m.parameters_total - m.expert_parameters
    if m.experts == 0:
        return np.where(tokens > 0, dense * bytes_per_number, 0.0)
    touched = 1.0 - (1.0 - m.experts_per_token / m.experts) ** tokens
    return np.where(tokens > 0, (dense + m.expert_parameters * touched) * bytes_per_number, 0.0)
