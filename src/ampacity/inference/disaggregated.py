"""Prefill and decoding on replicas of their own: layouts of each, the way of the KV cache, and the ratio of chips.

Prefill replicas take prompts alone, decoding replicas sequences alone, and the cache of a prompt crosses the network
in between. Rates of the two sides must agree, so chips are divided inversely to what a chip of each side can do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ampacity.inference.candidates import NODE
from ampacity.inference.replica import PCIE_BYTES_PER_S, Replica
from ampacity.inference.steady import Load, steady
from ampacity.inference.step_time import StepTime
from ampacity.inference.survey import Operation, Survey
from ampacity.inference.work import Array
from ampacity.scenario.accelerator import Accelerator

MOST_BUSY = 0.9
"""Share of time that a prefill replica may work: beyond it queues grow without use."""
MOST_REPLICAS = 16
"""Whole replicas of either side in one deployment."""


@dataclass(frozen=True)
class Disaggregated:
    """Two kinds of replicas that serve together.

    prefill: what takes prompts; prompts: of one iteration; busy: share of its time [0 to 1]; prefill_s: of that
    iteration [s]. decode: at work without prompts. transfer_s: of one prompt's cache [s]. ttft_s, tpot_s: means, the
    transfer counted to the first token [s]. prefill_chips_per_decode_chip: where rates agree.
    replicas: whole ones, of prefill and decoding, nearest to that. tokens_per_s_per_chip: of all chips together, of
    which whole_tokens_per_s_per_chip are left with whole replicas. link: what the cache crosses.
    """

    prefill: StepTime
    prompts: float
    busy: float
    prefill_s: float
    decode: Operation
    transfer_s: float
    link: str
    ttft_s: float
    tpot_s: float
    prefill_chips_per_decode_chip: float
    replicas: tuple[int, int]
    tokens_per_s_per_chip: float
    whole_tokens_per_s_per_chip: float

    @property
    def words(self) -> str:
        """Both sides in a phrase."""
        p, d = self.prefill.replica, self.decode.replica
        one, other = self.replicas
        return (
            f"{one} x {p.layout} at {p.precision} for prefill to {other} x {d.layout} at {d.precision} for decoding, "
            f"the cache crossing the {self.link} link in {1000 * self.transfer_s:.3g} ms"
        )


def disaggregated(s: Survey, ttft_s: float = float("inf"), tpot_s: float = float("inf")) -> Disaggregated | None:
    """The best pair of a survey's replicas under a service level, or None if there is none.

    Precisions are not mixed: the cache of one side is read by the other.
    """
    found = []
    load, b = s.load, s.at.requests
    guess = load.draft_tokens * load.draft_cost
    checked = b * load.draft_tokens
    decoding_s = s.stack.seconds(b, b * load.mean_context, checked, checked * load.mean_context)
    decoding_s = (decoding_s + (guess * s.stack.seconds(b, b * load.mean_context) if guess else 0.0)) / load.tokens_per_iteration
    kinds = [(step.replica.precision, step.replica.kv_bytes) for step in s.candidates.steps]
    for kind in dict.fromkeys(kinds):
        rows = np.array([i for i, k in enumerate(kinds) if k == kind])
        pair = _pair(s, rows, decoding_s, ttft_s, tpot_s)
        if pair is not None:
            found.append(pair)
    return max(found, key=lambda pair: pair.tokens_per_s_per_chip, default=None)


def transfer_s(load: Load, source: Replica, target: Replica, chip: Accelerator) -> tuple[float, str]:
    """Time for one prompt's cache to cross, at the pace of the side with fewer links, and which link that is. [s]

    The fast link serves where both replicas fit its domain, the network otherwise.
    """
    one = replace(source, layout=replace(source.layout, tensor=1))
    size = load.input_tokens * one.kv_bytes_per_token
    world = chip.scaleup_world.value if chip.scaleup_world else NODE
    near = source.accelerators + target.accelerators <= world
    rate = chip.scaleup_bytes_per_s if near else chip.scaleout_bytes_per_s
    links = min(_links(source), _links(target))
    return size / links / (rate.value if rate is not None else PCIE_BYTES_PER_S), "scale-up" if near else "scale-out"


def _links(r: Replica) -> int:
    """Chips that send or take the cache of one prompt: those of one data parallel group."""
    return r.layout.tensor * r.layout.pipeline


def _pair(s: Survey, rows: Array, decoding_s: Array, ttft_s: float, tpot_s: float) -> Disaggregated | None:
    decode_load = _decode_only(s.load)
    requests = s.at.requests
    tpot = decoding_s[rows]
    served = np.where(tpot <= tpot_s, requests[rows] / (tpot * s.load.output_tokens) / s.chips[rows], 0.0)
    if not served.any():
        return None
    row, i = np.unravel_index(int(served.argmax()), served.shape)
    d = int(rows[row])
    target = s.candidates.steps[d]
    per_decode = float(served[row, i])
    best: tuple[float, int, float, float, float, float, float, str] | None = None
    prefill_s, prompts = _prefill(s)
    for p in rows:
        source = s.candidates.steps[p]
        moved, link = transfer_s(s.load, source.replica, target.replica, s.chip)
        request, token, _ = source.coefficients.first
        fixed = float(prefill_s[p]) + moved + request + token * s.load.input_tokens
        busy = _busy(float(prefill_s[p]), ttft_s - fixed)
        rate = busy * float(prompts[p]) / float(prefill_s[p]) / source.replica.accelerators
        if busy > 0 and (best is None or rate > best[0]):
            waits = fixed + float(prefill_s[p]) * busy / (2 * (1 - busy))
            best = (rate, int(p), busy, waits, float(prefill_s[p]), float(prompts[p]), moved, link)
    if best is None:
        return None
    per_prefill, p, busy, first_s, iteration_s, many, moved, link = best
    step_p = s.candidates.steps[p]
    at_tpot = float(tpot[row, i])
    rate = s.load.output_tokens / (1 / per_prefill + 1 / per_decode)
    one, other = step_p.replica.accelerators, target.replica.accelerators
    replicas, whole = _whole(per_prefill * one, per_decode * other, one, other)
    held = int(requests[d, i])
    own = Operation(target, decode_load, held, first_s, at_tpot, per_decode * s.load.output_tokens)
    return Disaggregated(
        prefill=step_p,
        prompts=many,
        busy=busy,
        prefill_s=iteration_s,
        decode=own,
        transfer_s=moved,
        link=link,
        ttft_s=first_s,
        tpot_s=at_tpot,
        prefill_chips_per_decode_chip=per_decode / per_prefill,
        replicas=replicas,
        tokens_per_s_per_chip=rate,
        whole_tokens_per_s_per_chip=whole * s.load.output_tokens,
    )


def _decode_only(load: Load) -> Load:
    """The load of a replica to which prompts come ready: one token of each is left to compute."""
    return replace(load, cached_tokens=load.input_tokens - 1)


def _prefill(s: Survey) -> tuple[Array, Array]:
    """Time of an iteration of prompts alone on every replica [s], and the prompts that it finishes."""
    many = max(s.load.token_budget // s.load.uncached_tokens, 1)
    passes = max(s.load.uncached_tokens / s.load.token_budget, 1.0)
    stages = s.stack.replica.layout.pipeline
    p = many * s.load.uncached_tokens / passes * stages
    a = many * s.load.attended / passes * stages
    times = s.stack.seconds(0.0, 0.0, p, a) * passes
    return np.asarray(times)[:, 0], np.broadcast_to(many * stages, times.shape)[:, 0]


def _busy(service_s: float, slack_s: float) -> float:
    """The largest share of time at work whose mean wait, of a queue with fixed service, stays within the slack."""
    if slack_s < 0:
        return 0.0
    if slack_s == float("inf"):
        return MOST_BUSY
    x = 2 * slack_s / service_s
    return min(x / (1 + x), MOST_BUSY)


def _whole(prefill: float, decode: float, one: int, other: int) -> tuple[tuple[int, int], float]:
    """Replicas of each side, whole, and the requests per second and chip that are left. Arguments: of a replica."""
    ratio = Fraction(decode / prefill).limit_denominator(MOST_REPLICAS)
    tries = {(max(ratio.numerator, 1), max(ratio.denominator, 1))}
    tries |= {(max(round(n * decode / prefill), 1), n) for n in range(1, MOST_REPLICAS + 1)}
    tries |= {(n, max(round(n * prefill / decode), 1)) for n in range(1, MOST_REPLICAS + 1)}

    def rate(pair: tuple[int, int]) -> float:
        return min(pair[0] * prefill, pair[1] * decode) / (pair[0] * one + pair[1] * other)

    few = [pair for pair in tries if max(pair) <= MOST_REPLICAS] or list(tries)
    best = max(few, key=lambda pair: (round(rate(pair), 9), -sum(pair)))
    return best, rate(best)
