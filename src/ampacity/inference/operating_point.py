"""Where a replica works: the largest batch that its memory holds and its time per token allows, for one mix of tokens.

From it follow the accelerator-seconds that an active person takes: all that planning needs to know of serving.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ampacity.inference.at_rest import AtRest, fullest
from ampacity.inference.drafts import NO_DRAFTS, Drafts
from ampacity.inference.replica import replica
from ampacity.inference.step_time import StepTime
from ampacity.inference.work import Array
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
from ampacity.scenario.tier import Behaviour

MAX_BATCH = 4096
MOST_ACCELERATORS = 1 << 17
EIGHT = 8


@dataclass(frozen=True)
class Mix:
    """Tokens of an active person by kind [token/s] and the mean context of a sequence being decoded [token]."""

    uncached_per_s: float
    cached_per_s: float
    output_per_s: float
    context_tokens: float

    def attended_tokens(self, lost_per_s: float | Array = 0.0) -> float | Array:
        """Context that a prefill token attends to, on average: what is cached and not lost, and half of the rest."""
        cached = (self.cached_per_s - lost_per_s) / max(self.cached_per_s + self.uncached_per_s, 1e-12)
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

    batch: sequences decoding at once. kv_tokens: context that memory holds [token]. step_s: time per
    output token (TPOT) [s]. meets_tpot: whether that keeps the service level.
    seconds_per_active_s: accelerator-seconds for one second of one active person.
    found_share: of input tokens, found in memory, with as many sessions as the replica carries [0 to 1]. keep_s: how
    long it then keeps a context at rest; None where contexts at rest are not looked at [s].
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
    found_share: float = 0.0
    keep_s: float | None = None


def operating_point(
    step: StepTime, mix: Mix, tpot_s: float, drafts: Drafts = NO_DRAFTS, rest: AtRest | None = None
) -> OperatingPoint | None:
    """The operating point of a replica for a mix, or None if not even one sequence of that context fits.

    A guessed token is computed like a prompt's, behind the context of its sequence. rest: what sessions leave in memory
    between their requests; None: whatever is cached is found, wherever it lies.
    """
    r = step.replica
    fits = min(r.sequences(mix.context_tokens), MAX_BATCH)
    if fits < 1:
        return None
    keep_s = None
    if rest is not None:
        full = fullest(step, mix, tpot_s, fits, drafts, rest, r.kv_tokens + rest.below_tokens)
        batch, mix, keep_s = full.batch if full.meets_tpot else 0, full.mix, full.keep_s
    else:
        batch = largest_batch(step, mix, tpot_s, fits, drafts)
    at = iteration(mix, float(max(batch, 1)), drafts)
    decoding = iteration(replace(mix, uncached_per_s=0.0), float(max(batch, 1)), drafts)
    iteration_s = float(step.seconds(*at))
    compute_s, memory_s = (float(x) for x in step.roofline(*at))
    step_s = iteration_s / drafts.per_iteration
    return OperatingPoint(
        batch=max(batch, 1),
        kv_tokens=r.kv_tokens,
        step_s=step_s,
        meets_tpot=batch > 0,
        seconds_per_active_s=r.accelerators * mix.output_per_s * step_s / max(batch, 1),
        prefill_share=1.0 - float(step.seconds(*decoding)) / iteration_s,
        useful=max(compute_s, memory_s) / iteration_s,
        mfu=compute_s / iteration_s,
        mbu=memory_s / iteration_s,
        found_share=float(mix.cached_per_s / max(mix.cached_per_s + mix.uncached_per_s, 1e-12)),
        keep_s=keep_s,
    )


def iteration(
    mix: Mix, b: float | Array, drafts: Drafts = NO_DRAFTS, lost_per_s: float | Array = 0.0
) -> tuple[float | Array, ...]:
    """The steady iteration of `b` sequences of a mix: b, k, p and a of `work.py`.

    lost_per_s: cached tokens that are computed again [token/s]. Arguments broadcast.
    """
    prompts = b * drafts.per_iteration * ((mix.uncached_per_s + lost_per_s) / mix.output_per_s)
    guessed = b * drafts.tokens
    a = prompts * mix.attended_tokens(lost_per_s) + guessed * mix.context_tokens
    return b, b * mix.context_tokens, prompts + guessed, a


def largest_batch(step: StepTime, mix: Mix, tpot_s: float, most: int, drafts: Drafts = NO_DRAFTS) -> int:
    """The largest batch up to `most` whose iterations keep the time per token; 0 if one sequence is too slow.

    Iterations grow with the batch, so two rounds of a grid find it.
    """
    low, high, allowed_s = 0, most, tpot_s * drafts.per_iteration
    while high > low:
        tried = np.unique(np.linspace(low + 1, high, 65).astype(np.int64))
        kept = int(np.count_nonzero(step.seconds(*iteration(mix, tried.astype(np.float64), drafts)) <= allowed_s))
        if kept == len(tried):
            return high
        low, high = (int(tried[kept - 1]) if kept else low), int(tried[kept]) - 1
    return low


def smallest_replica(model: Model, chip: Accelerator, precision: str, kv_precision: str, context_tokens: float) -> int:
    """The fewest accelerators, a power of two, that hold the weights and eight contexts."""
    count = 1
    while count < MOST_ACCELERATORS:
        if replica(model, chip, precision, kv_precision, count).sequences(context_tokens) >= EIGHT:
            break
        count *= 2
    return count
