"""The cliff of a replica's memory: sessions at once below it and beyond it, request by request and in closed form."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.asked import Asked, since
from ampacity.demand.resting import resting
from ampacity.demand.service import Service
from ampacity.demand.session_hour import session_hour
from ampacity.demand.sessions import generate, served
from ampacity.inference.at_rest import with_lost
from ampacity.inference.operating_point import iteration, mix_of
from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_terms import CellTier, Routing
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.model_cell import pool_of
from ampacity.simulator.scripts import scripts_of_sessions
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.serving_point import serving_point

BLOCKS = 100_000
BEFORE_S = 12 * 3600.0
"""Sessions began up to so long before the clock starts."""


@cache
def laptop() -> Scenario:
    return load("laptop", sets=[f"placements.code.kv_blocks={BLOCKS}"])


@cache
def pool() -> PoolCapacity:
    (found,) = [p for p in capacities(laptop(), hours_of(laptop())) if p.step is not None]
    return found


@cache
def most() -> float:
    """Sessions at once that the closed form says a replica carries."""
    point = serving_point(laptop(), laptop().tier("developers").behaviour, pool())
    assert point is not None
    return 8.0 / point.seconds_per_active_s


def sessions_at(lost_share: float, batch: np.ndarray) -> np.ndarray:
    """Sessions that so many sequences decoding serve, if so much of what a cache without bound finds is lost."""
    mix = mix_of(laptop().tier("developers").behaviour)
    step = pool().step
    assert step is not None
    seconds = np.asarray(step.seconds(*iteration(with_lost(mix, mix.cached_per_s * lost_share), batch)))
    return batch / (seconds * mix.output_per_s)


def found_at(sessions: float) -> float:
    """Share of input that the closed form finds for so few sessions: of the longest time for which contexts fit."""
    behaviour = laptop().tier("developers").behaviour
    mix, left = mix_of(behaviour), resting(behaviour, laptop().model("llama-3.1-70b").context_tokens)
    assert left is not None
    batch = np.linspace(0.2, 24.0, 2000)
    for found, tokens in zip(left.found[::-1].tolist(), left.tokens[::-1].tolist(), strict=True):
        carried = sessions_at(1.0 - found, batch)
        if carried.max() >= sessions:
            decoding = float(batch[np.searchsorted(carried, sessions)])
            if decoding * mix.context_tokens + sessions * tokens <= BLOCKS * KV_BLOCK_TOKENS:
                return mix.cached_per_s * found / (mix.cached_per_s + mix.uncached_per_s)
    raise AssertionError(f"{sessions} sessions are not carried")


def under_way(sessions: float, seed: int, hours: float) -> Asked:
    """What so many sessions at once ask, their number Poisson, some of them in their middle when the clock starts."""
    window = laptop().model("llama-3.1-70b").context_tokens
    mean_s = session_hour(served(generate(packaged_model(), 1, np.arange(1500, dtype=np.int64), window), Service()))
    span_s = BEFORE_S + hours * 3600.0
    many = round(sessions * span_s / (mean_s.hours * 3600.0 / 1500))
    steps = generate(packaged_model(), seed, np.arange(many, dtype=np.int64), window)
    begin_s = np.random.default_rng(seed).random(many) * span_s - BEFORE_S
    at_s = begin_s[steps.session] + served(steps, Service()).t_s
    return since(Asked(steps, np.arange(many), begin_s, np.ones(many, np.int64), at_s), 0.0)


def second_hour(sessions: float, seed: int) -> CellResult:
    """The second hour of a replica whose memory was empty at the beginning of the first."""
    asked = under_way(sessions, seed, hours=2.0)
    scripts = scripts_of_sessions(asked.steps, asked.begin_s)
    cell = open_cell((pool_of(pool()),), scripts, Routing("least"), (CellTier("agents", writes=True),), None, 0, seed)
    cell.run(3600 * PS_PER_S)
    first = cell.result()
    cell.run(7200 * PS_PER_S)
    return cell.result() - first


@pytest.mark.parametrize("seed", [1, 2])
def test_well_below_the_cliff_as_much_is_found_as_the_closed_form_says_and_answers_begin_soon(seed: int) -> None:
    few = 0.6 * most()
    r = second_hour(few, seed)
    assert r.count(at.ANSWERED) > 1000
    assert r.hit_share == pytest.approx(found_at(few), abs=0.03)
    assert r.quantile_s(at.TTFT, 0.9) < 5.0


@pytest.mark.parametrize("seed", [1, 2])
def test_far_beyond_it_contexts_are_computed_again_and_again(seed: int) -> None:
    r = second_hour(1.5 * most(), seed)
    assert r.hit_share < 0.8
    assert r.quantile_s(at.TTFT, 0.9) > 60.0


def test_beyond_it_a_replica_serves_what_the_closed_form_says_of_one_that_finds_nothing() -> None:
    mix = mix_of(laptop().tier("developers").behaviour)
    full = np.array([BLOCKS * KV_BLOCK_TOKENS / mix.context_tokens])
    served_s = second_hour(1.5 * most(), 1).count(at.OUTPUT_TOKENS) / 3600.0
    assert served_s / mix.output_per_s == pytest.approx(float(sessions_at(1.0, full)[0]), rel=0.15)
