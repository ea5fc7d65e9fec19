"""Special cases with known answers: a single server, and a server for everybody."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.open_loop import serve_open_loop
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
STEP = StepTable(per_iteration=MS * TICKS)
BATCHES = 40


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean of a correlated series and four standard errors of it, from means of batches."""
    means = values[: len(values) // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
    return float(means.mean()), 4 * float(means.std(ddof=1)) / BATCHES**0.5


def poisson(rng: np.random.Generator, rate_per_s: float, count: int) -> np.ndarray:
    return np.cumsum(rng.exponential(PS_PER_S / rate_per_s, count)).astype(np.int64)


@pytest.mark.parametrize("law", ["equal", "geometric", "two lengths"])
def test_one_sequence_at_a_time_waits_as_pollaczek_and_khinchine_say(law: str) -> None:
    rng = np.random.default_rng(11)
    count = 400_000
    outputs = {
        "equal": np.full(count, 50),
        "geometric": rng.geometric(1 / 50, count),
        "two lengths": rng.choice([10, 200], count, p=[0.8, 0.2]),
    }[law]
    service_s = outputs / 1000
    rate = 0.7 / service_s.mean()
    at = poisson(rng, rate, count)
    e = Engine(kv_blocks=1000, max_seqs=1, lag=0, prefix_cache=False)
    found = serve_open_loop(e, STEP, at, 16, outputs)
    waited, error = interval((found.first_ps - at) / PS_PER_S - 0.001)
    expected = rate * np.mean(service_s**2) / (2 * (1 - rate * service_s.mean()))
    assert error < 0.08 * expected
    assert waited == pytest.approx(expected, abs=error)


def test_geometric_lengths_one_at_a_time_stay_exponentially_long() -> None:
    """M/M/1: the time from arrival to the last token is exponential with the rate that service has to spare."""
    rng = np.random.default_rng(17)
    count, length, load = 600_000, 200, 0.6
    outputs = rng.geometric(1 / length, count)
    rate = load / (length / 1000)
    at = poisson(rng, rate, count)
    e = Engine(kv_blocks=1000, max_seqs=1, lag=0, prefix_cache=False)
    found = serve_open_loop(e, STEP, at, 16, outputs)
    stayed_s = (found.finish_ps - at) / PS_PER_S
    mean_s = (length / 1000) / (1 - load)
    for beyond in (0.5, 1, 2, 4):
        share, error = interval((stayed_s > beyond * mean_s).astype(float))
        assert error < 0.1 * np.exp(-beyond) + 0.002
        assert share == pytest.approx(np.exp(-beyond), abs=error + 0.004)  # lengths are whole tokens


@pytest.mark.parametrize("law", ["geometric", "two lengths"])
def test_iterations_proportional_to_the_batch_share_the_processor(law: str) -> None:
    """M/G/1-PS: whoever needs x stays x / (1 - load) on average, whatever the law of the lengths."""
    rng = np.random.default_rng(13)
    count = 300_000
    outputs = rng.geometric(1 / 400, count) if law == "geometric" else rng.choice([100, 1000], count, p=[0.7, 0.3])
    each_s, load = 1e-5, 0.6
    at = poisson(rng, load / (outputs.mean() * each_s), count)
    step = StepTable(per_iteration=TICKS, per_token=PS_PER_S // 100_000 * TICKS)
    e = Engine(kv_blocks=1 << 24, token_budget=1 << 16, max_seqs=4096, lag=0, prefix_cache=False)
    found = serve_open_loop(e, step, at, 1, outputs)
    stayed_s = (found.finish_ps - at) / PS_PER_S
    mean, error = interval(stayed_s)
    whole = outputs.mean() * each_s / (1 - load)
    assert error < 0.06 * whole
    assert mean == pytest.approx(whole, abs=error + 2 * each_s / (1 - load))  # who comes waits for the round to end
    long = outputs > 500
    assert stayed_s[long].mean() / (outputs[long].mean() * each_s) == pytest.approx(1 / (1 - load), rel=0.06)


def test_equal_iterations_without_bound_are_a_server_for_everybody() -> None:
    """M/G/infinity: sequences that decode are Poisson, whatever the law of their lengths; each meets the grid first."""
    rng = np.random.default_rng(12)
    count = 200_000
    outputs = rng.geometric(1 / 80, count)
    at = poisson(rng, 300.0, count)
    e = Engine(kv_blocks=1 << 20, token_budget=1 << 16, max_seqs=4096, lag=0, prefix_cache=False)
    found = serve_open_loop(e, STEP, at, 1, outputs)
    assert ((found.finish_ps - found.first_ps) == (outputs - 1) * MS).all()
    waits = (found.first_ps - at) / MS
    assert waits.mean() == pytest.approx(1.5, abs=0.01)  # the rest of one iteration, and the own
    looks = np.arange(2 * PS_PER_S, at[-1] - 2 * PS_PER_S, PS_PER_S // 5) + 1
    present = np.searchsorted(np.sort(at), looks) - np.searchsorted(np.sort(found.finish_ps), looks)
    mean, error = interval(present.astype(float))
    assert mean == pytest.approx(0.3 * (outputs.mean() + 0.5), abs=error)
    assert present.var() == pytest.approx(mean, rel=0.12)
