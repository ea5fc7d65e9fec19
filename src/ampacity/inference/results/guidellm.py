"""Reports of GuideLLM (0.2 to 0.8, `benchmarks.json`): one JSON object with a list of benchmarks.

What this field calls time per output token, GuideLLM calls `inter_token_latency_ms`; its `time_per_output_token_ms`
counts the wait for the first token as well, and is not read.
"""

from __future__ import annotations

from ampacity.inference.results.measurement import Cell, Raw


def is_guidellm(row: dict[str, object]) -> bool:
    """Whether a JSON object has this tool's keys."""
    return isinstance(row.get("benchmarks"), list)


def guidellm(row: dict[str, object]) -> Raw:
    """One of the benchmarks; requests that failed or were cut off do not count."""
    metrics = _at(row, "metrics")

    def mean(name: str) -> Cell:
        return f"metrics.{name}.successful.mean", _at(metrics, name, "successful").get("mean")

    strategy = _at(row, "config", "strategy") or _at(row, "args", "strategy")
    requests = _at(metrics, "request_totals").get("successful")
    raw = Raw(
        isl=mean("prompt_token_count"),
        osl=mean("output_token_count"),
        concurrency=mean("request_concurrency"),
        requests=None if requests is None else ("metrics.request_totals.successful", requests),
        ttft_ms=mean("time_to_first_token_ms"),
        tpot_ms=mean("inter_token_latency_ms"),
        tokens_per_s=mean("output_tokens_per_second"),
    )
    if strategy.get("type_") == "concurrent" and strategy.get("streams"):
        raw.concurrency = ("config.strategy.streams", strategy["streams"])
    elif strategy.get("type_") == "synchronous":
        raw.concurrency = ("config.strategy.type_", 1)
    lengths = _at(metrics, "output_token_count", "successful")
    least, most = lengths.get("min"), lengths.get("max")
    if isinstance(least, int | float) and isinstance(most, int | float) and 0 < least <= most:
        raw.shortest = ("metrics.output_token_count.successful.min", least / most)
    return raw


def _at(row: dict[str, object], *keys: str) -> dict[str, object]:
    """The mapping at a path of keys; empty if there is none."""
    found: object = row
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
