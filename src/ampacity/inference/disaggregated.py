"""Prefill and decoding on replicas of their own: layouts of each, the way of the KV cache, and the ratio of chips.

Prefill replicas take prompts alone, decoding replicas sequences alone, and the cache of a prompt crosses the network
in between. Rates of the two sides should agree; what is said of a pair is what whole replicas of it leave of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.layout import NODE
from ampacity.inference.replica import PCIE_BYTES_PER_S, Replica
from ampacity.inference.steady import Load
from ampacity.inference.step_time import StepTime
from ampacity.inference.survey import Operation, Survey
from ampacity.inference.work import Array
from ampacity.scenario.accelerator import Accelerator

Rows = NDArray[np.int64]

MOST_BUSY = 0.9
"""Share of time that a prefill replica may work: beyond it queues grow without use."""
MOST_REPLICAS = 8
"""Whole replicas of either side in one deployment."""
ENOUGH = 0.98
"""Share of the best rate per chip from which a smaller deployment is taken."""


@dataclass(frozen=True)
class Disaggregated:
    """Two kinds of replicas that serve together.

    prefill: what takes prompts; prompts: of one iteration; busy: share of its time [0 to 1]; prefill_s: of that
    iteration [s]. decode: at work without prompts. transfer_s: of one prompt's cache [s]. ttft_s, tpot_s: means, the
    transfer counted to the first token [s]. replicas: of prefill and decoding, whole. tokens_per_s_per_chip: output
    tokens of these over all their chips [token/s]. link: what the cache crosses.
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
    replicas: tuple[int, int]
    tokens_per_s_per_chip: float

    @property
    def chips(self) -> int:
        """Of both sides together."""
        one, other = self.replicas
        return one * self.prefill.replica.accelerators + other * self.decode.replica.accelerators

    @property
    def words(self) -> str:
        """Both sides in a phrase."""
        p, d = self.prefill.replica, self.decode.replica
        one, other = self.replicas
        return (
            f"{one} x {p.layout} at {p.precision} for prefill to {other} x {d.layout} at {d.precision} for decoding, "
            f"the cache crossing the {self.link} link in {1000 * self.transfer_s:.3g} ms"
        )


def disaggregated(
    s: Survey, ttft_s: float = float("inf"), tpot_s: float = float("inf"), chips: int | None = None
) -> Disaggregated | None:
    """The best pair of a survey's replicas under a service level, or None if there is none.

    Both sides are chosen by what a chip of each does alone, for every largest size of a decoding replica. Precisions
    are not mixed: one side reads the other's cache.
    chips: that both sides together may take; absent: MOST_REPLICAS of each.
    """
    kinds = [(step.replica.precision, step.replica.kv_bytes) for step in s.candidates.steps]
    decoding_s, prompts = _decoding_s(s), _prompts(s)
    size = s.chips[:, 0]
    found: list[Disaggregated] = []
    for kind in dict.fromkeys(kinds):
        own = np.array([i for i, k in enumerate(kinds) if k == kind])
        before = None
        for largest in np.unique(size[own]):  # whole replicas of smaller ones may fit better
            decode = _decode(s, own[size[own] <= largest], decoding_s, ttft_s, tpot_s)
            if decode is not None and before is not None and decode.replica is before.replica:
                continue  # larger ones do no better: the same pair again
            before = decode
            room = float("inf") if chips is None or decode is None else chips - decode.replica.accelerators
            rows = own[size[own] <= room]
            prefill = None if decode is None else _prefill(s, rows, prompts, decode, ttft_s)
            if decode is not None and prefill is not None:
                found.append(_together(s, prefill, decode, chips))
    if chips is not None:
        return max(found, key=lambda pair: pair.tokens_per_s_per_chip * pair.chips, default=None)
    return max(found, key=lambda pair: pair.tokens_per_s_per_chip, default=None)


def transfer_s(load: Load, source: Replica, target: Replica, chip: Accelerator) -> tuple[float, str]:
    """Time for one prompt's cache to cross, at the pace of the side with fewer links, and which link that is. [s]

    The fast link serves where both replicas fit its domain, the network otherwise.
    """
    size = load.input_tokens * source.kv_bytes_per_token / source.kv_copies
    world = chip.scaleup_world.value if chip.scaleup_world else NODE
    near = source.accelerators + target.accelerators <= world
    rate = chip.scaleup_bytes_per_s if near else chip.scaleout_bytes_per_s
    links = min(_links(source), _links(target))
    return size / links / (rate.value if rate is not None else PCIE_BYTES_PER_S), "scale-up" if near else "scale-out"


def _links(r: Replica) -> int:
    """Chips that send or take the cache of one prompt: those of one data parallel group."""
    return r.layout.tensor * r.layout.pipeline


@dataclass(frozen=True)
class _Prefill:
    """A prefill replica that is busy for a share of time; requests_per_s: of each chip of it. ttft_s: its requests'."""

    step: StepTime
    prompts: float
    iteration_s: float
    busy: float
    requests_per_s: float
    ttft_s: float
    transfer_s: float
    link: str


def _decoding_s(s: Survey) -> Array:
    """Time per output token of every candidate at every batch, where no prompt comes in between. [s]"""
    load, b = s.load, s.at.requests
    guessed = b * load.draft_tokens
    step_s = s.stack.seconds(b, b * load.mean_context, guessed, guessed * load.mean_context)
    return np.asarray(step_s / load.tokens_per_iteration)


def _prompts(s: Survey) -> tuple[Array, Array]:
    """Time of an iteration of prompts alone on every replica [s], and the prompts that it finishes."""
    many = max(s.load.token_budget // s.load.uncached_tokens, 1)
    passes = max(s.load.uncached_tokens / s.load.token_budget, 1.0)
    stages = s.stack.replica.layout.pipeline
    p = many * s.load.uncached_tokens / passes * stages
    a = many * s.load.attended / passes * stages
    times = s.stack.seconds(0.0, 0.0, p, a) * passes
    return times[:, 0], np.broadcast_to(many * stages, times.shape)[:, 0]


def _decode(s: Survey, rows: Rows, decoding_s: Array, ttft_s: float, tpot_s: float) -> Operation | None:
    """The decoding replica that serves most per chip; its TTFT is not known yet.

    What a first token waits for beside the engine grows with the requests in flight: it may take half of TTFT.
    """
    tpot, requests = decoding_s[rows], s.at.requests[rows]
    client_s = np.asarray(s.stack.coefficients.first)[2][rows] * requests
    rate = np.where((tpot <= tpot_s) & (client_s <= ttft_s / 2), requests / tpot / s.chips[rows], 0.0)
    if not rate.any():
        return None
    row, i = np.unravel_index(int(rate.argmax()), rate.shape)
    step, held = s.candidates.steps[rows[row]], int(s.at.requests[rows[row], i])
    # a replica to which prompts come ready has one token of each left to compute
    load = replace(s.load, cached_tokens=s.load.input_tokens - 1)
    return Operation(step, load, held, float("nan"), float(tpot[row, i]), float(rate[row, i]))


def _prefill(s: Survey, rows: Rows, prompts: tuple[Array, Array], decode: Operation, ttft_s: float) -> _Prefill | None:
    """The prefill replica that takes most requests per chip, as busy as the time to the first token lets it be."""
    found = []
    for i in rows:
        step, service_s = s.candidates.steps[i], float(prompts[0][i])
        moved_s, link = transfer_s(s.load, step.replica, decode.replica, s.chip)
        request, token, client = step.coefficients.first
        fixed_s = service_s + moved_s + request + token * s.load.input_tokens + client * decode.requests
        busy = _busy(service_s, ttft_s - fixed_s)
        if busy <= 0:
            continue
        first_s = fixed_s + service_s * busy / (2 * (1 - busy))
        rate = busy * float(prompts[1][i]) / service_s / step.replica.accelerators
        found.append(_Prefill(step, float(prompts[1][i]), service_s, busy, rate, first_s, moved_s, link))
    return max(found, key=lambda p: p.requests_per_s, default=None)


def _together(s: Survey, p: _Prefill, decode: Operation, chips: int | None) -> Disaggregated:
    tokens = s.load.output_tokens
    per_decode = decode.tokens_per_s_per_chip / tokens
    one, other = p.step.replica.accelerators, decode.replica.accelerators
    replicas, rate = _whole(p.requests_per_s * one, per_decode * other, one, other, chips)
    return Disaggregated(
        prefill=p.step,
        prompts=p.prompts,
        busy=p.busy,
        prefill_s=p.iteration_s,
        decode=replace(decode, ttft_s=p.ttft_s),
        transfer_s=p.transfer_s,
        link=p.link,
        ttft_s=p.ttft_s,
        tpot_s=decode.tpot_s,
        replicas=replicas,
        tokens_per_s_per_chip=rate * tokens,
    )


def _busy(service_s: float, slack_s: float) -> float:
    """The largest share of time at work whose mean wait, of a queue with fixed service, stays within the slack."""
    if slack_s < 0:
        return 0.0
    if slack_s == float("inf"):
        return MOST_BUSY
    x = 2 * slack_s / service_s
    return min(x / (1 + x), MOST_BUSY)


def _whole(prefill: float, decode: float, one: int, other: int, chips: int | None) -> tuple[tuple[int, int], float]:
    """Replicas of each side, whole, and the requests per second and chip of all. Arguments: of a replica.

    With so many chips to use, the most that they serve; else the smallest deployment that serves nearly most per chip.
    """
    counts = range(1, (MOST_REPLICAS if chips is None else chips) + 1)
    if chips is None:
        pairs = [(n, m) for n in counts for m in counts]
    else:  # of n prefill replicas, all decoding replicas that the other chips make
        pairs = [(n, (chips - n * one) // other) for n in counts if n * one + other <= chips]
    served = {(n, m): min(n * prefill, m * decode) for n, m in pairs}
    size = {(n, m): n * one + m * other for n, m in pairs}
    if chips is not None:
        best = max(pairs, key=lambda pair: (round(served[pair], 9), -size[pair]))
    else:
        most = max(served[pair] / size[pair] for pair in pairs)
        best = min((pair for pair in pairs if served[pair] >= ENOUGH * most * size[pair]), key=size.__getitem__)
    return best, served[best] / size[best]
