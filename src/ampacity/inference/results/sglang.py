"""Results of `python -m sglang.bench_serving` (SGLang 0.4 to 0.5.23): JSON lines, one a run."""

from __future__ import annotations

from ampacity.inference.results.measurement import Raw, narrowest, per


def is_sglang(row: dict[str, object]) -> bool:
    """Whether a JSON object has this tool's keys."""
    return "mean_ttft_ms" in row and ("random_range_ratio" in row or "total_output_tokens_retokenized" in row)


def sglang(row: dict[str, object]) -> Raw:
    """A run; random lengths are uniform from `random_range_ratio` of the longest."""
    raw = Raw(
        isl=per(row, "total_input_tokens", "completed"),
        osl=per(row, "total_output_tokens", "completed"),
        concurrency=("max_concurrency", row["max_concurrency"]) if row.get("max_concurrency") else None,
        requests=("completed", row.get("completed")),
        ttft_ms=("mean_ttft_ms", row.get("mean_ttft_ms")),
        tpot_ms=("mean_tpot_ms", row.get("mean_tpot_ms")),
        tokens_per_s=("output_throughput", row.get("output_throughput")),
    )
    if raw.concurrency is None or row.get("request_rate") != float("inf"):
        # the tool's own figure: all requests' durations over the duration of the run
        raw.concurrency = ("concurrency", row.get("concurrency"))
    if str(row.get("dataset_name", "")).startswith("random"):
        raw.shortest = ("random_range_ratio", row.get("random_range_ratio"))
    if (shortest := narrowest(row.get("output_lens"))) is not None:
        raw.shortest = ("output_lens", shortest)
    cache = row.get("cache_report")
    if isinstance(cache, dict):
        hit = per(cache, "total_cached_tokens", "total_prompt_tokens")[1]
        raw.cached = (
            "cache_report",
            hit * float(str(raw.isl[1])) if isinstance(hit, float) and raw.isl and raw.isl[1] else None,
        )
    accepted = row.get("accept_length")
    if isinstance(accepted, int | float) and accepted > 1:
        why = "tokens come several at a time; speculative decoding is an input of its own, measure without it"
        raw.unusable.append(("accept_length", str(accepted), why))
    return raw
