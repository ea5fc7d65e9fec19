"""Buckets, quantiles and the tournament of replicas, each against the obvious way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.demand.reactions import retry_delay_s
from ampacity.simulator.admission import BACKOFF_MOST_MS, BACKOFF_MS
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.histograms import BUCKETS, bucket_of, count, edges_s, quantile_s, share_within
from ampacity.simulator.visible import first_visible, first_visible_ps, fresh_visible, set_visible


@given(st.integers(0, 8 * 10**18))
def test_a_duration_lies_in_its_bucket(duration_ps: int) -> None:
    bucket = bucket_of(duration_ps)
    edges = edges_s()
    if bucket < BUCKETS - 1:
        assert edges[bucket] <= duration_ps // 10**6 / 1e6 < edges[bucket + 1]


def test_buckets_follow_each_other_and_are_at_most_a_hundredth_wide() -> None:
    edges = edges_s()
    assert (np.diff(edges) > 0).all()
    wide = edges[:-1] >= 127e-6
    assert (np.diff(edges)[wide] / edges[:-1][wide]).max() < 0.01


def test_quantiles_are_those_of_the_sample_and_parts_add_up() -> None:
    rng = np.random.default_rng(2)
    sample = (rng.lognormal(0, 2, 20_000) * 1e11).astype(np.int64)
    parts = np.zeros((2, BUCKETS), np.int64)
    for i, duration in enumerate(sample.tolist()):
        count(parts.reshape(-1), i % 2 * BUCKETS, duration)
    whole = np.zeros(BUCKETS, np.int64)
    for duration in sample.tolist():
        count(whole, 0, duration)
    assert (parts.sum(axis=0) == whole).all()
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        assert quantile_s(whole, share) == pytest.approx(
            float(np.quantile(sample, share, method="inverted_cdf")) / 1e12, rel=0.0045
        )
    assert share_within(whole, 0.1) == pytest.approx((sample < 1e11).mean(), abs=0.002)


@given(
    st.integers(1, 70), st.lists(st.tuples(st.integers(0, 69), st.integers(0, 5) | st.just(FOREVER_PS)), max_size=200)
)
def test_the_tournament_is_won_by_the_least_key_and_the_least_number(
    replicas: int, changes: list[tuple[int, int]]
) -> None:
    tree = fresh_visible(replicas).tolist()
    keys = [FOREVER_PS] * replicas
    for replica, key in changes:
        set_visible(tree, replica % replicas, key)
        keys[replica % replicas] = key
        assert first_visible_ps(tree) == min(keys)
        assert first_visible(tree) == keys.index(min(keys))


def test_clients_back_off_as_their_sdk_does() -> None:
    for tries in range(8):
        longest = min(BACKOFF_MS << min(tries, 4), BACKOFF_MOST_MS) / 1000
        assert longest == retry_delay_s(tries, 0.0)
        assert longest * 0.75 == pytest.approx(retry_delay_s(tries, 1.0))
