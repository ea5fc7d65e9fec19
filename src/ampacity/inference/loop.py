"""A small stepper of one replica: which iterations an engine runs for a stream of requests, and when tokens come out.

It follows continuous batching: sequences decode together, prompts are prefilled first come first served within a
token budget, mixed into the same iterations (vLLM, TensorRT-LLM) or in iterations of their own (SGLang). Where the
next request comes when one ends, the iterations do not depend on their times, so one schedule serves every fit.
Preemption and prefix caches are left to the simulator.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.engines import MIXED_BUDGET
from ampacity.inference.work import Array

LAG = 1
"""Iterations that pass between the end of a request and the arrival of the next at the scheduler."""

Seconds = Callable[[Array, Array, Array, Array], Array]


@dataclass(frozen=True)
class Protocol:
    """How a measurement asks.

    concurrency: requests in flight, each followed by the next when it ends. per_slot: requests for each of them.
    input_tokens, output_tokens: longest lengths; lengths are uniform between `shortest` of that and that.
    cached_tokens: of every input, found in the prefix cache. token_budget: tokens of one iteration.
    mixed: prompts share iterations with decoding. kv_tokens: context that memory holds. rate_per_s: if
    given, requests come at random at this rate instead (Poisson), concurrency x per_slot of them.
    """

    concurrency: int
    input_tokens: int
    output_tokens: int
    shortest: float = 0.8
    per_slot: int = 10
    cached_tokens: int = 0
    token_budget: int = MIXED_BUDGET
    mixed: bool = True
    kv_tokens: float = float("inf")
    rate_per_s: float | None = None
    seed: int = 0

    @property
    def requests(self) -> int:
        """How many requests the measurement sends."""
        return self.concurrency * self.per_slot


@dataclass(frozen=True)
class Schedule:
    """Iterations in order, in spans of equal composition, and where each request is among them.

    b, k, p, a: of the spans, k at their middle. count: iterations of each. arrive, first, finish: number of spans that
    have ended when a request arrives, has its first token, has its last. output: its tokens. idle_s: time before each
    span in which nothing ran. arrive_s: times of arrival that do not follow from the spans; NaN where they do.
    """

    b: Array
    k: Array
    p: Array
    a: Array
    count: Array
    arrive: NDArray[np.int64]
    first: NDArray[np.int64]
    finish: NDArray[np.int64]
    output: NDArray[np.int64]
    idle_s: Array
    arrive_s: Array


@dataclass(frozen=True)
class Measured:
    """What the measurement sees of each request: time to first token, and per output token after it. [s]"""

    ttft_s: Array
    tpot_s: Array
    output_tokens_per_s: float


def schedule(q: Protocol, seconds: Seconds | None = None) -> Schedule:
    """Run the protocol. `seconds` (iteration time from b, k, p, a) is needed where requests come at a rate."""
    if q.rate_per_s is not None and seconds is None:
        raise ValueError("requests that come at a rate need the time of an iteration")
    return _Replica(q, seconds).run()


def measure(s: Schedule, seconds: Seconds, request_s: float = 0.0) -> Measured:
    """Times of the requests of a schedule; request_s is what each waits beside the engine before its first token."""
    each = seconds(s.b, s.k, s.p, s.a) * s.count + s.idle_s
    now = np.concatenate([[0.0], np.cumsum(each)])
    arrived = np.where(np.isnan(s.arrive_s), now[s.arrive], s.arrive_s)
    return Measured(
        ttft_s=now[s.first] - arrived + request_s,
        tpot_s=(now[s.finish] - now[s.first]) / (s.output - 1),
        output_tokens_per_s=float(s.output.sum() / now[-1]),
    )


class _Replica:
    """The state of the stepper: who waits, who decodes, and the spans so far."""

    def __init__(self, q: Protocol, seconds: Seconds | None) -> None:
        self.q, self.seconds = q, seconds
        n = q.requests
        random = np.random.Generator(np.random.Philox(key=q.seed)).random((3, n))
        span = q.shortest + (1 - q.shortest) * random[:2]
        self.inputs = np.maximum(np.rint(q.input_tokens * span[0]), q.cached_tokens + 1).astype(np.int64).tolist()
        self.outputs = np.maximum(np.rint(q.output_tokens * span[1]), 2).astype(np.int64).tolist()
        self.arrive, self.first, self.finish = [0] * n, [0] * n, [0] * n
        self.rows: list[tuple[float, float, float, float, int]] = []
        self.waiting: deque[int] = deque()
        self.coming: deque[tuple[float, int]] = deque()  # (span or second of arrival, request)
        self.decoding: list[tuple[int, int]] = []  # (decode step at which it ends, request)
        self.steps = self.context = self.kv = self.sent = 0
        self.now_s = self.idle_s = 0.0
        self.idle: list[float] = []
        self.partial: tuple[int, int] | None = None  # request and tokens of it already in the cache
        if q.rate_per_s is None:
            self.waiting.extend(range(min(q.concurrency, n)))
            self.sent = len(self.waiting)
            self.arrive_s = np.full(n, np.nan)
        else:
            self.arrive_s = np.cumsum(-np.log1p(-random[2]) / q.rate_per_s)
            self.coming.extend(zip(self.arrive_s.tolist(), range(n), strict=True))

    def run(self) -> Schedule:
        while self.waiting or self.decoding or self.partial or self.coming:
            self._arrivals()
            p, a, ready = self._prefill()
            if p:
                self._prefill_span(p, a)
            else:
                self._decode_span()
            self._ends()
            self._first_tokens(ready)
        b, k, p, a, count = np.array(self.rows, dtype=np.float64).T
        arrive, first, finish, output = np.array([self.arrive, self.first, self.finish, self.outputs], dtype=np.int64)
        return Schedule(b, k, p, a, count, arrive, first, finish, output, np.array(self.idle), self.arrive_s)

    def _arrivals(self) -> None:
        """Let in what has come; an idle engine waits for the next request."""
        idle = not (self.waiting or self.decoding or self.partial)
        timed = self.q.rate_per_s is not None
        if idle and timed:
            self.idle_s = max(self.coming[0][0] - self.now_s, 0.0)
            self.now_s += self.idle_s
        while self.coming and (self.coming[0][0] <= (self.now_s if timed else len(self.rows)) or idle):
            self.waiting.append(self.coming.popleft()[1])
            idle = False

    def _prefill(self) -> tuple[int, float, list[int]]:
        """Prompt tokens of the next iteration, their `a`, and the requests whose prompt it completes."""
        room = self.q.token_budget - (len(self.decoding) if self.q.mixed else 0)
        tokens, a = 0, 0.0
        ready: list[int] = []
        while room > 0:
            if self.partial is None and not self._admit(bool(ready)):
                break
            assert self.partial is not None
            request, before = self.partial
            chunk = min(room, self.inputs[request] - before)
            a += chunk * (before + chunk / 2)
            tokens, room, before = tokens + chunk, room - chunk, before + chunk
            self.partial = (request, before)
            if before == self.inputs[request]:
                ready.append(request)
                self.partial = None
        return tokens, a, ready

    def _admit(self, others: bool) -> bool:
        """Take the next waiting request if its whole context fits, or if nothing else runs."""
        if not self.waiting:
            return False
        request = self.waiting[0]
        need = self.inputs[request] + self.outputs[request]
        if self.kv + need > self.q.kv_tokens and (self.decoding or others):
            return False
        self.waiting.popleft()
        self.kv += need
        self.partial = (request, self.q.cached_tokens)
        return True

    def _prefill_span(self, p: int, a: float) -> None:
        b = len(self.decoding)
        if self.q.mixed:
            self._add(b, self.context, p, a, 1)
            self.steps += b > 0
            self.context += b
        else:
            self._add(0, 0, p, a, 1)

    def _decode_span(self) -> None:
        b = len(self.decoding)
        run = self.decoding[0][0] - self.steps
        if self.coming:
            run = min(run, self._iterations_until_arrival(b))
        self._add(b, self.context + b * (run - 1) / 2, 0, 0.0, run)
        self.steps += run
        self.context += b * run

    def _iterations_until_arrival(self, b: int) -> int:
        if self.q.rate_per_s is None:
            return max(1, int(self.coming[0][0]) - len(self.rows))
        step = self._seconds(b, self.context, 0, 0.0)
        return max(1, int((self.coming[0][0] - self.now_s) / step))

    def _add(self, b: float, k: float, p: float, a: float, count: int) -> None:
        self.rows.append((b, k, p, a, count))
        self.idle.append(self.idle_s)
        self.idle_s = 0.0
        if self.q.rate_per_s is not None:
            self.now_s += count * self._seconds(b, k, p, a)

    def _seconds(self, b: float, k: float, p: float, a: float) -> float:
        assert self.seconds is not None
        return float(self.seconds(np.array(b), np.array(k), np.array(p), np.array(a)))

    def _ends(self) -> None:
        here = len(self.rows)
        while self.decoding and self.decoding[0][0] <= self.steps:
            _, request = heapq.heappop(self.decoding)
            self.finish[request] = here
            length = self.inputs[request] + self.outputs[request]
            self.context -= length
            self.kv -= length
            if self.q.rate_per_s is None and self.sent < self.q.requests:
                self.arrive[self.sent] = here
                self.coming.append((here + LAG, self.sent))
                self.sent += 1

    def _first_tokens(self, ready: list[int]) -> None:
        for request in ready:
            self.first[request] = len(self.rows)
            self.context += self.inputs[request] + 1
            heapq.heappush(self.decoding, (self.steps + self.outputs[request] - 1, request))
