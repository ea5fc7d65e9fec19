"""Logs of real vLLM servers: what the first part of a run says of the rest, and what every mechanism is worth.

Each run is 300 requests of ShareGPT at ten a second, far more than the server carries, so most first tokens wait for
others to end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ampacity.inference.layout_text import layout_from
from ampacity.inference.replica import Replica, replica
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.simulator.engine import Engine
from ampacity.simulator.logged_run import (
    LoggedRun,
    Times,
    errors,
    median_errors,
    read_logged_run,
    replayed,
)
from ampacity.simulator.logged_run_fit import RunFit, catalog_costs, fit_run, table_of
from ampacity.simulator.logged_server import read_logged_engine

CITED = "LLMServingSim bench/examples, logs of vLLM 0.19.0: Llama 3.1 8B on RTX PRO 6000 and RTX 4090, Qwen3 32B on two"
KNOWN = 0.4
"""Share of the run's time whose events the fit may know."""
RUNS = {
    "rtxpro6000_llama-3.1-8b": ("llama-3.1-8b", "rtx-pro-6000"),
    "rtxpro6000_qwen3-32b": ("qwen3-32b", "rtx-pro-6000"),
    "rtx4090_llama-3.1-8b": ("llama-3.1-8b", "rtx-4090"),
}


@dataclass(frozen=True)
class Case:
    run: LoggedRun
    replica: Replica
    engine: Engine
    beside: RunFit
    longer: RunFit

    @property
    def known_s(self) -> float:
        return KNOWN * self.run.end_s

    def met(self, f: RunFit, engine: Engine | None = None) -> Times:
        return replayed(self.run, engine or self.engine, f.table(self.engine.token_budget))[0]


@pytest.fixture(scope="module")
def case(shared: Callable[[str], Path]) -> Callable[[str], Case]:
    made: dict[str, Case] = {}

    def make(name: str) -> Case:
        if name not in made:
            model, card = RUNS[name]
            run = read_logged_run(shared(f"vllm_logs/{name}/requests.jsonl"))
            server = read_logged_engine(shared(f"vllm_logs/{name}/meta.json"))
            layout = layout_from(server.layout, catalog_model(model))
            r = replica(
                catalog_model(model), catalog_accelerator(card), "bf16", "bf16", layout, stated_blocks=server.blocks
            )
            e = server.engine(r)
            fits = [fit_run(run, r, e, KNOWN * run.end_s, beside) for beside in (True, False)]
            made[name] = Case(run, r, e, *fits)
        return made[name]

    return make


@pytest.mark.published(CITED)
@pytest.mark.parametrize("name", RUNS)
def test_the_rest_of_a_run_is_foretold_within_5_percent(name: str, case: Callable[[str], Case]) -> None:
    c = case(name)
    assert c.beside.known[1] < 110  # requests that had ended
    told = errors(c.run, c.met(c.beside), c.known_s)
    assert len(told) == 9
    assert max(map(abs, told.values())) < 0.05
    assert max(median_errors(c.run, c.met(c.beside), c.known_s)) < 0.05


@pytest.mark.published(CITED)
@pytest.mark.parametrize("name", RUNS)
def test_with_the_longer_of_reading_and_computing_it_is_within_7_percent(
    name: str, case: Callable[[str], Case]
) -> None:
    c = case(name)
    assert max(map(abs, errors(c.run, c.met(c.longer), c.known_s).values())) < 0.07


@pytest.mark.published(CITED)
@pytest.mark.parametrize(("name", "off"), [("rtxpro6000_llama-3.1-8b", 0.2), ("rtxpro6000_qwen3-32b", 0.2)])
def test_the_catalog_alone_does_not_foretell_a_card_it_has_never_seen(
    name: str, off: float, case: Callable[[str], Case]
) -> None:
    c = case(name)
    table = table_of(c.replica, catalog_costs(c.replica), c.engine.token_budget)
    assert errors(c.run, replayed(c.run, c.engine, table)[0])["ttft mean"] < -off


@pytest.mark.published(CITED)
def test_without_its_bound_of_memory_the_4090_would_be_another_server(case: Callable[[str], Case]) -> None:
    c = case("rtx4090_llama-3.1-8b")
    table = c.beside.table(c.engine.token_budget)
    assert replayed(c.run, c.engine, table)[1].preemptions > 100
    free, served = replayed(c.run, replace(c.engine, kv_blocks=1 << 20), table)
    assert served.preemptions == 0
    told = errors(c.run, free)
    assert told["ttft mean"] < -0.8 and told["tpot mean"] > 1.0


@pytest.mark.published(CITED)
def test_those_who_give_way_first_on_the_4090_are_those_who_did(case: Callable[[str], Case]) -> None:
    """Of the first hundred, those whose tokens took 1.4 times the usual while they waited for their place again."""
    c = case("rtx4090_llama-3.1-8b")
    theirs, ours = (c.run.tpot_s(t)[:100] for t in (c.run.met, c.met(c.beside)))
    slow = theirs[:60] > 1.4 * np.median(theirs)
    assert np.flatnonzero(slow).tolist() == list(range(32, 41))
    assert (ours[:60] > 1.4 * np.median(ours)).tolist() == slow.tolist()
    assert np.abs(ours[:60] / theirs[:60] - 1)[slow].max() < 0.03


@pytest.mark.published(CITED)
def test_what_the_4090_keeps_of_those_who_gave_way_shows_in_its_first_tokens(case: Callable[[str], Case]) -> None:
    c = case("rtx4090_llama-3.1-8b")
    whole = errors(c.run, c.met(c.beside))
    without = errors(c.run, c.met(c.beside, replace(c.engine, prefix_cache=False)))
    assert abs(whole["ttft p99"]) < 0.02 < 0.04 < without["ttft p99"]


@pytest.mark.published(CITED)
@pytest.mark.parametrize("name", ["rtxpro6000_llama-3.1-8b", "rtxpro6000_qwen3-32b"])
def test_without_its_bound_on_sequences_hardly_anybody_would_wait(name: str, case: Callable[[str], Case]) -> None:
    c = case(name)
    free = errors(c.run, c.met(c.beside, replace(c.engine, max_seqs=1024)))
    assert free["ttft mean"] < -0.6 and free["tpot mean"] > 0.4


@pytest.mark.published(CITED)
def test_prompts_of_their_own_iterations_are_not_what_vllm_does(case: Callable[[str], Case]) -> None:
    c = case("rtxpro6000_llama-3.1-8b")
    mixed, apart = (errors(c.run, c.met(c.beside, replace(c.engine, mixed=m))) for m in (True, False))
    assert abs(mixed["ttft p99"]) < 0.05 < 0.12 < apart["ttft p99"]


@pytest.mark.published(CITED)
def test_first_tokens_before_the_knee_show_that_scheduling_runs_an_iteration_ahead(case: Callable[[str], Case]) -> None:
    c = case("rtxpro6000_llama-3.1-8b")

    def early(lag: int) -> float:
        """Median error of the first tokens of those who came while there were places."""
        found = c.run.ttft_s(c.met(c.beside, replace(c.engine, lag=lag)))
        return float(np.median((found / c.run.ttft_s(c.run.met) - 1)[:100]))

    assert abs(early(lag=1)) < 0.03
    assert early(lag=0) < -0.15


@pytest.mark.published(CITED)
@pytest.mark.parametrize("name", RUNS)
def test_the_time_per_token_is_within_5_percent_from_an_empty_server_to_beyond_the_knee(
    name: str, case: Callable[[str], Case]
) -> None:
    c = case(name)
    there = np.array([(c.run.met.last_s[:i] > at).sum() for i, at in enumerate(c.run.arrival_s)])
    each = np.abs(c.run.tpot_s(c.met(c.beside)) / c.run.tpot_s(c.run.met) - 1)
    for low, high in ((0, 16), (16, 32), (32, 64), (64, 128), (128, 301)):
        rows = (there >= low) & (there < high)
        assert rows.sum() >= 10
        assert np.median(each[rows]) < 0.05
