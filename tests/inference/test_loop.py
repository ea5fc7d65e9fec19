"""The stepper against one that goes iteration by iteration and token by token."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.compositions import condensed
from ampacity.inference.loop import LAG, Protocol, Schedule, measure, schedule
from ampacity.inference.work import Array

protocols = st.builds(
    Protocol,
    concurrency=st.integers(1, 12),
    input_tokens=st.integers(1, 400),
    output_tokens=st.integers(2, 60),
    shortest=st.sampled_from((0.3, 0.8, 1.0)),
    per_slot=st.integers(1, 4),
    token_budget=st.sampled_from((64, 256, 8192)),
    mixed=st.booleans(),
    kv_tokens=st.sampled_from((700.0, 3000.0, float("inf"))),
    seed=st.integers(0, 9),
)


def seconds(b: Array, k: Array, p: Array, a: Array) -> Array:
    return np.asarray(5e-3 + 1e-5 * b + 1e-8 * k + 1e-6 * p + 1e-10 * a)


@dataclass
class Request:
    """A request as the naive stepper keeps it."""

    inputs: int
    outputs: int
    arrived: int
    prefilled: int = 0
    out: int = 0
    times: list[int] = field(default_factory=list)


def lengths(q: Protocol) -> list[tuple[int, int]]:
    random = np.random.Generator(np.random.Philox(key=q.seed)).random((3, q.requests))
    span = q.shortest + (1 - q.shortest) * random[:2]
    inputs = np.maximum(np.rint(q.input_tokens * span[0]), q.cached_tokens + 1)
    outputs = np.maximum(np.rint(q.output_tokens * span[1]), 2)
    return [(int(i), int(o)) for i, o in zip(inputs, outputs, strict=True)]


def naive(q: Protocol) -> tuple[list[tuple[float, ...]], list[Request]]:
    """Every iteration of the protocol as (b, k, p, a), and every request with the iterations of its tokens."""
    todo = [Request(i, o, 0) for i, o in lengths(q)]
    every, coming = list(todo), todo[q.concurrency :]
    waiting, decoding, due = todo[: q.concurrency], [], []
    rows: list[tuple[float, ...]] = []
    while waiting or decoding or due:
        while due and (due[0][0] <= len(rows) or not (waiting or decoding)):
            waiting.append(due.pop(0)[1])
        room = q.token_budget - (len(decoding) if q.mixed else 0)
        p, a, begun = 0, 0.0, []
        for r in list(waiting):
            if room <= 0:
                break
            held = sum(x.inputs + x.outputs for x in decoding + begun if x is not r)
            if r.prefilled == 0 and held + r.inputs + r.outputs > q.kv_tokens and (decoding or begun):
                break
            chunk = min(room, r.inputs - r.prefilled)
            a += sum(r.prefilled + i + 0.5 for i in range(chunk))
            r.prefilled += chunk
            p, room = p + chunk, room - chunk
            if r.prefilled == r.inputs:
                begun.append(r)
                waiting.remove(r)
        running = decoding if q.mixed or not p else []
        rows.append((len(running), sum(r.inputs + r.out for r in running), p, a))
        ended = []
        for r in running:
            r.out += 1
            r.times.append(len(rows))
            if r.out == r.outputs:
                ended.append(r)
        for r in ended:
            decoding.remove(r)
            if coming:
                follower = coming.pop(0)
                follower.arrived = len(rows)
                due.append((len(rows) + LAG, follower))
        for r in begun:
            r.out = 1
            r.times.append(len(rows))
            decoding.append(r)
    return rows, every


def unrolled(s: Schedule) -> list[tuple[float, ...]]:
    """A schedule's spans as single iterations."""
    rows: list[tuple[float, ...]] = []
    for b, k, p, a, count in zip(s.b, s.k, s.p, s.a, s.count, strict=True):
        first = k - b * (count - 1) / 2
        rows += [(b, first + b * i, p, a) for i in range(int(count))]
    return rows


@settings(max_examples=150, deadline=None)
@given(protocols)
def test_iterations_and_token_times_equal_those_of_a_naive_stepper(q: Protocol) -> None:
    rows, requests = naive(q)
    s = schedule(q)
    assert np.allclose(np.array(unrolled(s)), np.array(rows))
    now = np.concatenate([[0.0], np.cumsum([float(seconds(*map(np.float64, r))) for r in rows])])
    found = measure(s, seconds)
    ttft = [now[r.times[0]] - now[r.arrived] for r in requests]
    tpot = [(now[r.times[-1]] - now[r.times[0]]) / (r.outputs - 1) for r in requests]
    assert np.allclose(found.ttft_s, ttft, rtol=1e-9)
    assert np.allclose(found.tpot_s, tpot, rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(protocols)
def test_every_token_is_made_once_and_prefilled_once(q: Protocol) -> None:
    s = schedule(q)
    tokens = np.array(lengths(q))
    assert float((s.p * s.count).sum()) == tokens[:, 0].sum()
    assert float((s.b * s.count).sum()) == (tokens[:, 1] - 1).sum()
    assert (s.arrive <= s.first).all()
    assert (s.first < s.finish).all()


@settings(max_examples=100, deadline=None)
@given(protocols, st.booleans())
def test_typical_iterations_keep_the_means_exactly_where_time_is_linear(q: Protocol, steady: bool) -> None:
    s = schedule(q)
    found = measure(s, seconds)
    tpot, ttft, whole = condensed(s, q.concurrency if steady else 0)
    counted = found.ttft_s[min(q.concurrency, q.requests - 1) :] if steady else found.ttft_s
    assert seconds(*tpot[:, :4].T) @ tpot[:, 4] == pytest.approx(found.tpot_s.mean(), rel=1e-9)
    assert seconds(*ttft[:, :4].T) @ ttft[:, 4] == pytest.approx(counted.mean(), rel=1e-9)
    assert seconds(*whole[:, :4].T) @ whole[:, 4] == pytest.approx(s.output.sum() / found.output_tokens_per_s, rel=1e-9)


def test_cached_tokens_are_not_prefilled_but_are_attended_to() -> None:
    fresh = schedule(Protocol(1, 1000, 10, shortest=1.0, per_slot=1))
    cached = schedule(Protocol(1, 1000, 10, shortest=1.0, per_slot=1, cached_tokens=900))
    assert (fresh.p[0], fresh.a[0]) == (1000, 1000 * 500)
    assert (cached.p[0], cached.a[0]) == (100, 100 * 950)
    assert cached.k[1] == fresh.k[1]


def test_requests_at_a_rate_wait_for_nobody_when_they_are_rare_and_for_each_other_when_they_are_not() -> None:
    rare = measure(schedule(Protocol(30, 100, 20, rate_per_s=0.01), seconds), seconds)
    assert np.allclose(rare.ttft_s, rare.ttft_s.mean(), rtol=0.02)
    assert rare.output_tokens_per_s < 0.3
    dense = measure(schedule(Protocol(30, 100, 20, rate_per_s=1000.0), seconds), seconds)
    assert dense.ttft_s.max() > rare.ttft_s.max()
    assert (dense.ttft_s > 0).all()


def test_requests_at_a_rate_need_the_time_of_an_iteration() -> None:
    with pytest.raises(ValueError, match="time of an iteration"):
        schedule(Protocol(1, 10, 10, rate_per_s=1.0))
