"""The steady state of a replica with a fixed number of requests in flight, without stepping through iterations.

Iterations are of two kinds: those that only decode, and those that carry prompts too (or, in engines that keep them
apart, prompts alone). How often prompts come follows from how long a request decodes; what a request waits follows from
the iterations before its prompt is done. Everything broadcasts over batches, and over replicas that are `stacked`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ampacity.inference.drafts import Drafts
from ampacity.inference.engines import MIXED_BUDGET, mixes, token_budget
from ampacity.inference.loop import LAG
from ampacity.inference.step_time import StepTime
from ampacity.inference.work import Array


@dataclass(frozen=True)
class Load:
    """What every request asks, and how the engine takes it.

    input_tokens: of a prompt, of which cached_tokens lie in the prefix cache. output_tokens: at least 2.
    token_budget: tokens of one iteration; longer prompts are prefilled in chunks. mixed: prompts share iterations with
    decoding. draft_tokens: guessed ahead of every sequence in an iteration; acceptance: chance that a guess is right
    where those before it were [0 to 1).

    Raises ValueError that lists everything that is impossible.
    """

    input_tokens: int = 1024
    output_tokens: int = 1024
    cached_tokens: int = 0
    token_budget: int = MIXED_BUDGET
    mixed: bool = True
    draft_tokens: int = 0
    acceptance: float = 0.0

    def __post_init__(self) -> None:
        wrong = [
            (self.input_tokens < 1, f"{self.input_tokens} input tokens: a prompt has at least 1"),
            (self.output_tokens < 2, f"{self.output_tokens} output tokens: time per output token needs at least 2"),
            (
                not 0 <= self.cached_tokens < max(self.input_tokens, 1),
                f"{self.cached_tokens} cached tokens: from 0 to {self.input_tokens - 1}; the last is always computed",
            ),
            (self.token_budget < 1, f"a token budget of {self.token_budget}: at least 1"),
            (self.draft_tokens < 0, f"{self.draft_tokens} draft tokens: at least 0"),
            (not 0 <= self.acceptance < 1, f"an acceptance of {self.acceptance:g}: from 0 to under 1"),
        ]
        found = [words for is_wrong, words in wrong if is_wrong]
        if found:
            raise ValueError("; ".join(found))

    @property
    def uncached_tokens(self) -> int:
        """Tokens of a prompt that are computed."""
        return self.input_tokens - self.cached_tokens

    @property
    def attended(self) -> float:
        """Sum over a prompt's chunks of chunk x (context before it + half the chunk), however it is cut."""
        return self.uncached_tokens * (self.cached_tokens + self.uncached_tokens / 2)

    @property
    def mean_context(self) -> float:
        """Context of a decoding sequence, averaged over its output."""
        return self.input_tokens + self.output_tokens / 2

    @property
    def most_context(self) -> int:
        """Context that memory is kept free for."""
        return self.input_tokens + self.output_tokens

    @property
    def tokens_per_iteration(self) -> float:
        """Output tokens of a sequence in one iteration."""
        return Drafts(self.draft_tokens, self.acceptance).per_iteration


@dataclass(frozen=True)
class Steady:
    """A replica in steady state; every array has the shape of the requests that were asked for.

    requests: in flight. decode, prefill: iterations of the two kinds as b, k, p, a of the whole replica.
    decode_s, prefill_s: their times [s]. prompt_share: iterations that carry prompts, per
    decoding iteration [0 to 1]. iteration_s: mean time from one output token of a sequence to its next chance of
    one [s]. ttft_s, tpot_s: means of the requests [s]. requests_per_s: that end.
    """

    load: Load
    requests: Array
    decode: tuple[Array, Array, Array, Array]
    prefill: tuple[Array, Array, Array, Array]
    decode_s: Array
    prefill_s: Array
    prompt_share: Array
    iteration_s: Array
    ttft_s: Array
    tpot_s: Array
    requests_per_s: Array

    @property
    def output_tokens_per_s(self) -> Array:
        """Of the replica."""
        return self.requests_per_s * self.load.output_tokens


def usual_load(engine: str, input_tokens: int = 1024, output_tokens: int = 1024, cached_tokens: int = 0) -> Load:
    """Requests of one length under an engine's usual token budget and way with prompts."""
    return Load(input_tokens, output_tokens, cached_tokens, token_budget(engine), mixes(engine))


def steady(step: StepTime, load: Load, requests: ArrayLike, *, beside_engine: bool = True) -> Steady:
    """The steady state of a replica with so many requests in flight, each followed by the next when it ends.

    requests: >= 1, broadcast. beside_engine: count what a first token waits for outside iterations (`FIRST`).
    Throughput follows from both times by Little's law. An approximation: prompts meet at random, no request is
    preempted, parts of a batch in a pipeline are equal but for their prompts.
    """
    requests = np.asarray(requests, dtype=np.float64)
    stages = step.replica.layout.pipeline
    c = np.maximum(requests / stages, 1.0)
    others = (c - 1) / c
    rounds = (load.output_tokens - 1) / load.tokens_per_iteration
    prompts, room = _prompts_per_iteration(load, c, rounds)
    share = np.maximum(-np.expm1(-prompts), prompts * load.uncached_tokens / room)
    decoding = np.minimum(prompts * rounds / (1 - np.minimum(share / c, 0.5)), c)
    beside = decoding * others if load.mixed else np.zeros_like(decoding)
    own = np.minimum(1 + prompts * others, np.maximum(room / load.uncached_tokens, prompts / share))
    kinds = (np.zeros_like(decoding), prompts / share, own)
    decode, prefill, first = (_iteration(load, stages, beside if i else decoding, kind) for i, kind in enumerate(kinds))
    decode_s, prefill_s, first_s = (step.seconds(*each) for each in (decode, prefill, first))
    # parts of a batch cannot overtake each other in a pipeline: one with a prompt delays all of them
    prompted = np.maximum(
        share * others, 1 - (1 - np.minimum(share * others, 1)) * (1 - np.minimum(share, 1)) ** (stages - 1)
    )
    iteration_s = decode_s + prompted * (prefill_s - decode_s if load.mixed else prefill_s)
    passes = np.maximum(load.uncached_tokens / room, 1.0)
    queued = np.maximum(c / prompts - rounds - np.ceil(passes) - LAG * others, 0.0)
    ttft_s = (LAG * others + queued) * iteration_s + passes * first_s
    if beside_engine:
        request, token, client = step.coefficients.first
        ttft_s = ttft_s + request + token * load.input_tokens + client * requests
    tpot_s = iteration_s / load.tokens_per_iteration
    return Steady(
        load=load,
        requests=np.broadcast_to(requests, tpot_s.shape),
        decode=decode,
        prefill=prefill,
        decode_s=decode_s,
        prefill_s=prefill_s,
        prompt_share=np.broadcast_to(share, tpot_s.shape),
        iteration_s=iteration_s,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        requests_per_s=requests / (ttft_s + (load.output_tokens - 1) * tpot_s),
    )


def _prompts_per_iteration(load: Load, c: Array, rounds: float) -> tuple[Array, Array]:
    """Prompts that enter per decoding iteration with `c` requests in flight, and tokens that an iteration has for them.

    A request decodes for `rounds` iterations and waits for a few. Where prompts are mixed in, the budget bounds what
    can enter, and of prompts that fill several iterations the next waits as in a queue with fixed service.
    """
    each = load.uncached_tokens
    lag = LAG * (c - 1) / c
    if not load.mixed:
        room = np.full_like(c, float(load.token_budget))
        return c / (rounds + np.ceil(each / room) + lag), room
    decoded = rounds * (1 + load.draft_tokens)
    most = load.token_budget / (each + decoded)
    prompts = np.minimum(c / (rounds + np.ceil(each / load.token_budget) + lag), most)
    for _ in range(3):
        room = np.maximum(load.token_budget - prompts * decoded, prompts * each)
        chunks = np.ceil(each / room)
        busy = np.minimum(prompts * each / room, 0.98)
        queue = np.minimum(busy / (1 - busy), c - 1) * each / room / 2
        prompts = (prompts + np.minimum(c / (rounds + chunks + lag + queue), most)) / 2
    return prompts, np.maximum(load.token_budget - prompts * decoded, prompts * each)


def _iteration(load: Load, stages: float, decoding: Array, prompts: Array) -> tuple[Array, Array, Array, Array]:
    """An iteration as b, k, p, a of all stages. Guessed tokens are computed like a prompt's, behind their contexts."""
    guessed = decoding * load.draft_tokens
    return (
        decoding * stages,
        decoding * load.mean_context * stages,
        (prompts * load.uncached_tokens + guessed) * stages,
        (prompts * load.attended + guessed * load.mean_context) * stages,
    )
