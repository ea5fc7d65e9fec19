"""Public traces against what has been measured and published of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ampacity.demand.traces import mooncake, servegen, weka
from ampacity.demand.traces.burstiness import index_of_dispersion, interarrival_cv, peak_to_mean
from ampacity.demand.traces.read import read
from ampacity.demand.traces.reuse import Cache, blocks_held, hit_share, with_cache

Shared = Callable[[str], Path]
# rate /s, CV between arrivals, dispersion at 1, 10 and 60 s, fullest minute over mean, mean input and output
ARRIVALS = {
    "demand/azure2023/AzureLLMInferenceTrace_conv.csv": (5.53, 1.09, (1.39, 3.86, 16.1), 1.52, 1155, 211),
    "demand/azure2023/AzureLLMInferenceTrace_code.csv": (2.57, 13.2, (13.2, 71.6, 164), 4.18, 2048, 27.9),
    "demand/mooncake/synthetic_trace.jsonl": (3.91, 1.01, (1.09, 1.18, 1.19), 1.17, 15325, 149),
}


@pytest.mark.published(
    "Azure public dataset 2023 (Patel et al., Splitwise) and Mooncake (Qin et al., FAST 2025), measured"
)
@pytest.mark.parametrize("name", ARRIVALS)
def test_public_traces_are_as_bursty_and_as_long_as_measured(name: str, shared: Shared) -> None:
    rate, cv, dispersion, peak, mean_input, mean_output = ARRIVALS[name]
    frame = read(shared(name), strict=True).frame
    t = frame["t_s"].to_numpy()
    assert len(t) / t[-1] == pytest.approx(rate, rel=0.005)
    assert interarrival_cv(t) == pytest.approx(cv, rel=0.005)
    assert [index_of_dispersion(t, b) for b in (1, 10, 60)] == pytest.approx(list(dispersion), rel=0.005)
    assert peak_to_mean(t, 60) == pytest.approx(peak, rel=0.005)
    assert frame["input_tokens"].mean() == pytest.approx(mean_input, rel=0.001)
    assert frame["output_tokens"].mean() == pytest.approx(mean_output, rel=0.005)


@pytest.mark.published("Mooncake synthetic trace (Qin et al., FAST 2025): .651 of tokens reusable without limit")
def test_the_synthetic_mooncake_trace_reuses_65_per_cent_without_limit(shared: Shared) -> None:
    trace = mooncake.read(shared("demand/mooncake/synthetic_trace.jsonl"))
    assert hit_share(with_cache(trace, Cache()).frame) == pytest.approx(0.651, abs=0.0005)


@pytest.mark.published("Mooncake synthetic trace: share of blocks hit by an LRU of 1,000, 10,000 and 30,000 blocks")
@pytest.mark.parametrize(("blocks", "published"), [(1000, 0.083), (10_000, 0.424), (30_000, 0.624)])
def test_an_lru_of_that_many_blocks_hits_as_published(blocks: int, published: float, shared: Shared) -> None:
    frame = mooncake.read(shared("demand/mooncake/synthetic_trace.jsonl")).frame
    found = blocks_held(frame["blocks"], frame["t_s"], 512, Cache(tokens=512 * blocks))
    # the published one evicts a request's first blocks before its last, which costs a small cache 0.0016
    assert found.sum() / frame["blocks"].list.len().sum() == pytest.approx(published, abs=0.002)


@pytest.mark.published(
    "kv-cache-tester, 710 Claude Code sessions: .963 cached; .918 after 300 s of idling, .960 after 3600 s"
)
def test_claude_code_sessions_lose_as_much_cache_to_idling_as_measured(shared: Shared) -> None:
    trace = read(shared("demand/claude_code/claude_code_requests.parquet"), strict=True)
    assert trace.frame["input_tokens"].sum() == 4_573_052_040
    for lifetime_s, share in ((None, 0.963), (300.0, 0.918), (3600.0, 0.960)):
        assert hit_share(with_cache(trace, Cache(lifetime_s=lifetime_s)).frame) == pytest.approx(share, abs=0.002)


@pytest.mark.published(
    "kv-cache-tester, 12 sessions as captured, against the cached tokens counted from them elsewhere"
)
def test_blocks_of_raw_sessions_give_the_cached_tokens_of_the_flat_table(shared: Shared) -> None:
    folder = shared("demand/claude_code/raw_weka_samples")
    ours = weka.read(folder).frame.sort("session", "agent", "step")
    numbers = [int(p.stem.removeprefix("trace_")) for p in sorted(folder.glob("*.json"))]
    flat = pl.read_parquet(shared("demand/claude_code/claude_code_requests.parquet"))
    theirs = flat.filter(pl.col("session").is_in(numbers)).sort("session", "agent", "turn")
    for column, other in (("input_tokens", "in_tokens"), ("output_tokens", "out_tokens"), ("agent", "agent")):
        assert ours[column].to_list() == theirs[other].to_list()
    assert ours["cached_tokens"].sum() == theirs["cached_session"].cast(pl.Int64).sum() == 4_826_624


@pytest.mark.published("TraceLab, example rounds: input is prefix plus appended tokens")
def test_tracelab_examples_read_whole(shared: Shared) -> None:
    trace = read(shared("demand/tracelab/example_round_trace.jsonl"), strict=True)
    assert (trace.frame.height, trace.frame["session"].n_unique()) == (19, 2)
    assert trace.frame["gap_s"].null_count() == 2
    assert trace.frame.filter(pl.col("cached_tokens") > pl.col("input_tokens")).height == 0


@pytest.mark.published(
    "ServeGen (arXiv 2505.09999): deepseek-r1 and mm-image, one day: rate, peak over mean, top clients"
)
@pytest.mark.parametrize(
    ("model", "clients", "rate", "peak", "top"),
    [("deepseek-r1", 73, 16.0, 2.66, (0.29, 0.52, 0.68)), ("mm-image", 35, 9.5, 1.40, (0.14, 0.56, 0.83))],
)
def test_a_day_of_clients_is_as_uneven_as_published(
    model: str, clients: int, rate: float, peak: float, top: tuple[float, ...], shared: Shared
) -> None:
    from ampacity.reporting.trace_view import windows_view

    windows = servegen.read_windows(shared("demand/servegen/servegen_client_windows_week1.parquet"))
    found = windows_view(windows).data["models"][model]
    assert found["clients"] == clients
    assert found["mean_per_s"] == pytest.approx(rate, rel=0.005)
    assert found["peak_to_mean"] == pytest.approx(peak, abs=0.005)
    assert [found[f"top_{n}_share"] for n in (1, 5, 10)] == pytest.approx(list(top), abs=0.006)


@pytest.mark.published("LLMServingSim, three vLLM logs of 300 requests")
@pytest.mark.parametrize("run", ["rtx4090_llama-3.1-8b", "rtxpro6000_llama-3.1-8b", "rtxpro6000_qwen3-32b"])
def test_vllm_logs_read_whole(run: str, shared: Shared) -> None:
    frame = read(shared(f"vllm_logs/{run}/requests.jsonl"), strict=True).frame
    assert frame.height == 300
    assert frame["server_s"].null_count() == 0
