"""Exports of AIPerf (`profile_export_aiperf.json`, 0.1 to 0.13) and of GenAI-Perf before it (0.0.16): a JSON object.

Both call the time per output token `inter_token_latency`: from the first token to the last, over the tokens after it.
"""

from __future__ import annotations

from ampacity.inference.results.measurement import Cell, Raw

_SECONDS = {"ms": 1.0, "us": 1e-3, "ns": 1e-6, "s": 1e3, "sec": 1e3}


def is_aiperf(row: dict[str, object]) -> bool:
    """Whether a JSON object has these tools' keys."""
    names = ("time_to_first_token", "inter_token_latency", "output_token_throughput")
    return any(isinstance(row.get(name), dict) for name in names)


def aiperf(row: dict[str, object]) -> Raw:
    """The run."""
    raw = Raw(
        isl=_average(row, "input_sequence_length"),
        osl=_average(row, "output_sequence_length"),
        concurrency=_concurrency(row),
        requests=_average(row, "request_count") if "request_count" in row else None,
        requests_per_s=_average(row, "request_throughput"),
        ttft_ms=_milliseconds(row, "time_to_first_token"),
        tpot_ms=_milliseconds(row, "inter_token_latency"),
        tokens_per_s=_average(row, "output_token_throughput"),
    )
    lengths = row.get("output_sequence_length")
    least, most = (lengths.get("min"), lengths.get("max")) if isinstance(lengths, dict) else (None, None)
    if isinstance(least, int | float) and isinstance(most, int | float) and 0 < least <= most:
        raw.shortest = ("output_sequence_length.min", least / most)
    if row.get("was_cancelled") is True or row.get("is_complete") is False:
        raw.unusable.append(("is_complete", "false", "the run was cut off; what it measured is no mean of it"))
    return raw


def _average(row: dict[str, object], name: str) -> Cell:
    found = row.get(name)
    return f"{name}.avg", found.get("avg") if isinstance(found, dict) else None


def _milliseconds(row: dict[str, object], name: str) -> Cell:
    key, value = _average(row, name)
    found = row.get(name)
    unit = _SECONDS.get(str(found.get("unit", "ms"))) if isinstance(found, dict) else None
    return key, value * unit if isinstance(value, int | float) and unit is not None else value


def _concurrency(row: dict[str, object]) -> Cell | None:
    """Where the versions keep it: the profiling phase, the load generator, GenAI-Perf's stimulus; None if at a rate."""
    config = row.get("input_config")
    if not isinstance(config, dict):
        return None
    phases = config.get("phases")
    own = [p for p in phases if isinstance(p, dict) and p.get("name") != "warmup"] if isinstance(phases, list) else []
    if own and own[-1].get("type") == "concurrency":
        return "input_config.phases.concurrency", own[-1].get("concurrency", 1)
    for part, inner in (("loadgen", "concurrency"), ("perf_analyzer", "stimulus")):
        settings = config.get(part)
        found = settings.get(inner) if isinstance(settings, dict) else None
        if isinstance(found, dict):
            found = found.get("concurrency")
        if found:
            return f"input_config.{part}.{inner}", found
    return None
