"""Published serving points and the data sets behind them: cited, in our names, and possible."""

from __future__ import annotations

import pytest

from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.model import Model

POINTS = lookup.table("serving_points")
DATASETS = {row["benchmark"]: row for row in lookup.table("mlperf_datasets")}
LOADED = [r for r in POINTS if r["scenario"] != "batch"]


def said(row: dict[str, str]) -> str:
    keys = ("suite", "scenario", "model", "precision", "accelerator", "accelerators", "input_tokens", "output_tokens")
    return " ".join(row[k] for k in keys) + f" b{row['batch'] or '-'}"


def chip(row: dict[str, str]) -> Accelerator:
    name = row["accelerator"]
    return catalog_accelerator(name)


def model(row: dict[str, str]) -> Model:
    return catalog_model(row["model"])


def test_there_are_points_of_three_suites() -> None:
    counts = {s: sum(r["suite"] == s for r in POINTS) for s in ("mlperf-v5.1", "tensorrt-llm", "splitwise-sim")}
    assert counts == {"mlperf-v5.1": 18, "tensorrt-llm": 53, "splitwise-sim": 18}
    assert len(POINTS) == sum(counts.values()) == len({said(r) for r in POINTS})


@pytest.mark.parametrize("row", POINTS, ids=said)
def test_a_point_is_cited_and_speaks_of_things_that_the_catalog_knows(row: dict[str, str]) -> None:
    assert "/" in row["source"], "a repository and a file in it"
    assert row["model"] in lookup.model_names()
    assert chip(row).flops(row["precision"]) is not None
    assert int(row["accelerators"]) >= 1
    assert float(row["input_tokens"]) >= 1
    assert float(row["output_tokens"]) >= 1
    if row["scenario"] == "batch":
        assert int(row["batch"]) >= 1
        assert 1 < float(row["tpot_ms"]) < float(row["ttft_ms"]) < 60_000
        assert not row["output_tokens_per_s"]
    else:
        assert float(row["output_tokens_per_s"]) > 0
        assert not (row["batch"] or row["ttft_ms"] or row["tpot_ms"])


@pytest.mark.parametrize("row", LOADED, ids=said)
def test_no_point_computes_more_than_its_accelerators_can(row: dict[str, str]) -> None:
    """Prefill and decode together, 2 FLOPs per parameter and token: a wrong length, count or precision would show."""
    peak = chip(row).flops(row["precision"])
    assert peak is not None
    tokens = float(row["output_tokens_per_s"]) * (1 + float(row["input_tokens"]) / float(row["output_tokens"]))
    share = 2 * model(row).parameters_active * tokens / (int(row["accelerators"]) * peak.value)
    assert 0.003 < share < 0.75


@pytest.mark.parametrize("row", POINTS, ids=said)
def test_the_weights_of_a_point_fit_in_its_accelerators(row: dict[str, str]) -> None:
    memory = chip(row).hbm_bytes
    assert memory is not None
    # gpt-oss is published with four-bit experts, at whatever precision its products run
    bits = 4.25 if row["model"].startswith("gpt-oss") else {"bf16": 16.0, "fp8": 8.0, "fp4": 4.5}[row["precision"]]
    assert model(row).parameters_total * bits / 8 < int(row["accelerators"]) * memory.value


@pytest.mark.parametrize("row", [r for r in POINTS if r["benchmark"]], ids=said)
def test_a_benchmark_point_has_the_lengths_of_its_data_set(row: dict[str, str]) -> None:
    """MLPerf wants the mean output within a tenth of the reference's."""
    data = DATASETS[row["benchmark"]]
    assert float(row["input_tokens"]) == float(data["mean_input_tokens"])
    assert float(row["output_tokens"]) == pytest.approx(float(data["mean_output_tokens"]), rel=0.1)


def test_a_latency_limit_costs_throughput() -> None:
    same = ("model", "accelerator", "accelerators", "source")
    servers = [r for r in POINTS if r["scenario"] == "server"]
    assert len(servers) == 2
    for server in servers:
        offline = next(r for r in POINTS if r["scenario"] == "offline" and all(r[k] == server[k] for k in same))
        assert float(server["output_tokens_per_s"]) < float(offline["output_tokens_per_s"])
        assert float(server["system_power_w"]) < float(offline["system_power_w"])


def test_power_was_measured_for_five_whole_systems_of_eight_b200() -> None:
    powered = [r for r in POINTS if r["system_power_w"]]
    assert len(powered) == 5
    tdp = catalog_accelerator("b200-sxm").tdp_w
    assert tdp is not None
    for row in powered:
        assert (row["accelerator"], row["accelerators"]) == ("b200-sxm", "8")
        assert 1.0 < float(row["system_power_w"]) / (8 * tdp.value) < 1.6, "the wall sees fans, hosts and losses too"


@pytest.mark.parametrize("benchmark", DATASETS)
def test_a_data_set_has_a_source_and_a_range_that_holds_its_mean(benchmark: str) -> None:
    row = DATASETS[benchmark]
    low, mean, high = (float(row[k]) for k in ("mean_input_low", "mean_input_tokens", "mean_input_high"))
    assert 0 < low <= mean <= high < 1.25 * low
    assert int(row["samples"]) > 1000
    assert row["source"]
    assert row["note"]
    assert row["confidence"] in {"high", "medium", "low"}
