"""Where a replica works: the largest batch that its memory holds and its time per token allows, for one mix of tokens.

From it follow the accelerator-seconds that an active person takes: all that planning needs to know of serving.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.inference.roofline import Replica, roofline_s, step_time_s, work
from ampacity.scenario.placement import MEMORY_SHARE
from ampacity.scenario.tier import Behaviour

MAX_BATCH = 4096


@dataclass(frozen=True)
class Mix:
    """Tokens of an active person by kind [token/s] and the mean context of a sequence being decoded [token]."""

    uncached_per_s: float
    cached_per_s: float
    output_per_s: float
    context_tokens: float

    @property
    def attended_tokens(self) -> float:
        """Context that a prefill token attends to, on average: what is cached, and half of what is not."""
        cached = self.cached_per_s / max(self.cached_per_s + self.uncached_per_s, 1e-12)
        return self.context_tokens * (cached + (1 - cached) / 2)


def mix_of(behaviour: Behaviour) -> Mix:
    """The mix of a tier's behaviour."""
    return Mix(
        behaviour.uncached_per_s.value,
        behaviour.cached_per_s.value,
        behaviour.output_per_s.value,
        behaviour.context_tokens.value,
    )


@dataclass(frozen=True)
class OperatingPoint:
    """A replica at work.

    batch: sequences decoding at once. kv_tokens: context that memory holds [token]. step_s: time of an iteration, which
    is also the time per output token (TPOT) [s]. meets_tpot: whether that keeps the service level.
    seconds_per_active_s: accelerator-seconds for one second of one active person.
    prefill_share: of the time, for prefill [0 to 1]. useful, mfu, mbu: shares of roofline, peak arithmetic and
    bandwidth [0 to 1].
    """

    batch: int
    kv_tokens: float
    step_s: float
    meets_tpot: bool
    seconds_per_active_s: float
    prefill_share: float
    useful: float
    mfu: float
    mbu: float


def operating_point(r: Replica, mix: Mix, tpot_s: float) -> OperatingPoint | None:
    """The operating point of a replica for a mix, or None if not even one sequence of that context fits."""
    kv_tokens = (MEMORY_SHARE * r.hbm_bytes - r.weight_bytes) / r.kv_bytes_per_token
    fits = int(min(kv_tokens / mix.context_tokens, MAX_BATCH))
    if fits < 1:
        return None
    b = np.arange(1, fits + 1, dtype=np.float64)
    p = b * mix.uncached_per_s / mix.output_per_s
    iteration = (b, b * mix.context_tokens, p, p * mix.attended_tokens)
    step = step_time_s(r, *iteration)
    allowed = int(np.count_nonzero(step <= tpot_s))
    i = max(allowed, 1) - 1
    at = tuple(x[i] for x in iteration)
    total = work(r, *at)
    decode_alone = float(step_time_s(r, at[0], at[1], 0.0, 0.0))
    step_s = float(step[i])
    return OperatingPoint(
        batch=i + 1,
        kv_tokens=kv_tokens,
        step_s=step_s,
        meets_tpot=allowed > 0,
        seconds_per_active_s=r.accelerators * mix.output_per_s * step_s / (i + 1),
        prefill_share=1.0 - decode_alone / step_s,
        useful=float(roofline_s(r, *at)) / step_s,
        mfu=float(sum(total.flops)) / r.flops_per_s / step_s,
        mbu=float(sum(total.bytes)) / r.bytes_per_s / step_s,
    )


def smallest_replica(weight_bytes: float, kv_bytes_per_context: float, hbm_bytes: float) -> int:
    """The fewest accelerators, a power of two, that hold the weights and eight contexts."""
    need = (weight_bytes + 8 * kv_bytes_per_context) / (MEMORY_SHARE * hbm_bytes)
    return 1 << max(0, int(np.ceil(np.log2(max(need, 1.0)))))
