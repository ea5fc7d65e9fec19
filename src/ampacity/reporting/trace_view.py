"""A trace on one screen: what it is, whose load, how much was cached, how bursty it is; then a table of quantiles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from ampacity.demand.traces.burstiness import index_of_dispersion, interarrival_cv, peak_to_mean
from ampacity.demand.traces.reuse import Cache, hit_share, with_cache
from ampacity.demand.traces.servegen import WINDOW_S, Windows
from ampacity.demand.traces.trace import Malformed, Trace
from ampacity.reporting.catalog_views import View
from ampacity.reporting.words import count, digits, share, tokens

NAMES = {
    "azure": "Azure LLM inference trace",
    "bailian": "Qwen-Bailian trace",
    "burstgpt": "BurstGPT trace",
    "claude-code": "Claude Code logs, read for counts and times only",
    "claude-requests": "Claude Code requests",
    "litellm": "LiteLLM spend logs",
    "mooncake": "Mooncake trace",
    "sglang": "SGLang request log",
    "sglang-text": "SGLang server log, read for counts and times only",
    "tracelab": "TraceLab rounds",
    "tracelab-replay": "TraceLab replay",
    "vllm": "vLLM request log",
    "vllm-text": "vLLM server log, read for counts and times only",
    "weka": "Weka coding-agent sessions",
}
QUANTILES = (0.1, 0.5, 0.9, 0.99)
BINS_S = (1.0, 10.0, 60.0)
LEAST_BINS = 10  # a dispersion over fewer says nothing
LEAST_PER_MINUTE = 0.5  # below it most minutes are empty, and the fullest over the mean only tells of gaps
LIFETIMES_S = (300.0, 3600.0)
SHOWN_FAULTS = 5


def trace_view(trace: Trace) -> View:
    """A trace in sentences and quantiles; the same as data, with units in the keys."""
    data = trace_data(trace)
    name = NAMES.get(trace.format, "trace")
    lines = [f"{name} · {trace.source} · {count(data['requests'])} requests", ""]
    lines += [f"  {sentence}" for sentence in _sentences(data)]
    lines += [f"  Note: {note}." for note in trace.notes]
    lines += ["", *_table(data["quantiles"])] if data["requests"] else []
    lines += _faults(trace.malformed)
    return View("\n".join(lines), data)


def trace_data(trace: Trace) -> dict[str, Any]:
    """Everything that `show trace` says, as plain data; None where the source does not say."""
    frame = trace.frame
    measured = {
        "input_tokens": pl.col("input_tokens"),
        "uncached_tokens": pl.col("input_tokens") - pl.col("cached_tokens"),
        "output_tokens": pl.col("output_tokens"),
        "gap_s": pl.col("gap_s"),
        "server_s": pl.col("server_s"),
    }
    sums = frame.select(pl.col("input_tokens", "cached_tokens", "output_tokens").sum()).row(0, named=True)
    known = bool(frame["cached_tokens"].is_not_null().any())
    return {
        "format": trace.format,
        "source": trace.source,
        "clock": trace.clock,
        "starts": _instant(trace),
        "requests": frame.height,
        "sessions": frame["session"].n_unique() - int(frame["session"].has_nulls()) if frame.height else 0,
        "users": frame["user"].n_unique() - int(frame["user"].has_nulls()) if frame.height else 0,
        "sub_agent_requests": int((frame["agent"] > 0).sum()),
        "models": _shares(frame, "model"),
        "period_s": _number(frame["t_s"].max()) if trace.shared_clock else None,
        "tokens": {
            "input": sums["input_tokens"],
            "cached": sums["cached_tokens"] if known else None,
            "output": sums["output_tokens"],
        },
        "hit_share": _hits(trace),
        "user_started_share": _number(frame["user_started"].cast(pl.Float64).mean()),
        "arrivals": _arrivals(trace),
        "quantiles": {name: _quantiles(frame.select(e).to_series()) for name, e in measured.items()},
        "rows_read": trace.rows_read,
        "set_aside": dict(trace.aside),
        "malformed": {
            "rows": trace.malformed.count,
            "first": [
                {"where": m.file, "line": m.line, "key": m.key, "expected": m.message} for m in trace.malformed.first
            ],
        },
        "notes": list(trace.notes),
    }


def _sentences(d: dict[str, Any]) -> list[str]:
    said = [_whose(d)]
    if not d["requests"]:
        return [*said, *_rest(d)]
    kinds = d["tokens"]
    said.append(
        f"They read {tokens(kinds['input'])} tokens and wrote {tokens(kinds['output'])}, "
        f"{digits(kinds['output'] / d['requests'])} an answer."
    )
    said += _cache_sentences(d["hit_share"])
    gap = d["quantiles"]["gap_s"]
    if gap:
        started = d["user_started_share"]
        by = f"; {share(started)} of requests were started by a person" if started is not None else ""
        said.append(f"After an answer the next request comes {digits(gap['p50'])} s later (median){by}.")
    if d["arrivals"]:
        said.append(_burst_sentence(d["arrivals"], d["period_s"]))
    return [*said, *_rest(d)]


def _whose(d: dict[str, Any]) -> str:
    parts = [_many(d["requests"], "request")]
    parts += [f"in {_many(d['sessions'], 'session')}"] if d["sessions"] else []
    parts += [f"by {_many(d['users'], 'user')}"] if d["users"] else []
    over = f" over {_length(d['period_s'])}" if d["period_s"] else ""
    start = f" from {d['starts']}" if d["starts"] else ""
    agents = d["sub_agent_requests"]
    sub = f"; of sub-agents: {count(agents)}" if agents else ""
    return f"{' '.join(parts)}{over}{start}{sub}."


def _cache_sentences(hits: dict[str, Any]) -> list[str]:
    said = []
    if hits["recorded"] is not None:
        said.append(f"Of the input {share(hits['recorded'])} was in a prefix cache, as the source has it.")
    if hits["unlimited"] is not None:
        said.append(f"An unlimited prefix cache would hold {share(hits['unlimited'])} of the input.")
    idle = [f"{share(hits[key])} after {words}" for key, words in _lifetimes() if hits[key] is not None]
    if idle:
        said.append(f"Were it to forget what idles, it would hold {' and '.join(idle)}.")
    return said or ["Nothing is known of what was cached."]


def _burst_sentence(a: dict[str, Any], period_s: float | None) -> str:
    idc = ", ".join(
        f"{digits(a[f'dispersion_{b:.0f}_s'], 2)} at {b:.0f} s" for b in BINS_S if a[f"dispersion_{b:.0f}_s"]
    )
    peak = ""
    if a["peak_to_mean_60_s"] and a["per_s"] * 60.0 >= LEAST_PER_MINUTE:
        over = f" over all {_length(period_s)}" if period_s else ""
        peak = f" The fullest minute has {digits(a['peak_to_mean_60_s'], 2)} x the requests of the mean minute{over}."
    elif a["peak_to_mean_60_s"]:
        peak = " Most minutes are empty, so a fullest minute says nothing of the mean one."
    return f"{digits(a['per_s'])} requests a second; dispersion of counts (Poisson: 1) {idc or 'not known'}.{peak}"


def _rest(d: dict[str, Any]) -> list[str]:
    said = [
        f"Set aside as no request of its own: {_many(n, 'row')} ({reason})." for reason, n in d["set_aside"].items()
    ]
    wrong = d["malformed"]["rows"]
    if wrong:
        said.append(f"Malformed, and not in these figures: {count(wrong)} of {_many(d['rows_read'], 'row')}.")
    return said


def _hits(trace: Trace) -> dict[str, float | None]:
    """Token-weighted hit shares: as recorded, and as caches would have it if blocks or times allow."""
    blocked = trace.block_tokens is not None
    found: dict[str, float | None] = {
        "recorded": None if blocked else hit_share(trace.frame),
        "unlimited": hit_share(with_cache(trace, Cache()).frame) if blocked else None,
    }
    timed = trace.clock != "none" and (blocked or found["recorded"] is not None)
    sessions = trace.frame["session"].is_not_null().any()
    for lifetime_s, (key, _) in zip(LIFETIMES_S, _lifetimes(), strict=True):
        told = timed and (sessions or blocked)
        found[key] = hit_share(with_cache(trace, Cache(lifetime_s=lifetime_s)).frame) if told else None
    return found


def _lifetimes() -> list[tuple[str, str]]:
    return [("idle_300_s", "5 minutes"), ("idle_3600_s", "an hour")]


def _arrivals(trace: Trace) -> dict[str, float | None] | None:
    times = trace.frame["t_s"].drop_nulls()
    if not trace.shared_clock or times.len() < 2 or times.len() < trace.frame.height or not times.max():
        return None
    t, period_s = times.to_numpy(), float(times.to_numpy().max())
    told = {b: period_s >= LEAST_BINS * b for b in BINS_S}
    dispersion = {f"dispersion_{b:.0f}_s": _number(index_of_dispersion(t, b)) if told[b] else None for b in BINS_S}
    return {
        "per_s": times.len() / period_s,
        "interarrival_cv": _number(interarrival_cv(t)),
        **dispersion,
        "peak_to_mean_60_s": _number(peak_to_mean(t, 60.0)) if told[60.0] else None,
    }


def _quantiles(values: pl.Series) -> dict[str, float] | None:
    known = values.drop_nulls()
    if not known.len():
        return None
    at = {f"p{100 * q:.0f}": _number(known.quantile(q, "linear")) or 0.0 for q in QUANTILES}
    return {"mean": _number(known.mean()) or 0.0, **at, "max": _number(known.max()) or 0.0}


def _table(quantiles: dict[str, dict[str, float] | None]) -> list[str]:
    known = {name: row for name, row in quantiles.items() if row}
    heads = next(iter(known.values()))
    lines = [f"  {'':<16} " + " ".join(f"{h:>10}" for h in heads)]
    for name, row in known.items():
        cells = [_cell(name, value) for value in row.values()]
        lines.append(f"  {name.replace('_', ' ').removesuffix(' s'):<16} " + " ".join(f"{c:>10}" for c in cells))
    return lines


def _cell(name: str, value: float) -> str:
    return f"{value:,.0f}" if name.endswith("tokens") else f"{digits(value)} s"


def _faults(malformed: Malformed) -> list[str]:
    if not malformed.count:
        return []
    shown = malformed.first[:SHOWN_FAULTS]
    return ["", f"  malformed, the first {len(shown)} of {count(malformed.count)}:", *(m.as_text() for m in shown)]


def _many(n: int, noun: str) -> str:
    return f"{count(n)} {noun}" + ("" if n == 1 else "s")


def _instant(trace: Trace) -> str | None:
    if trace.clock != "unix" or trace.start_s is None:
        return None
    return datetime.fromtimestamp(trace.start_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _length(seconds: float) -> str:
    for size, noun in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{digits(seconds / size, 2)} {noun}"
    return f"{digits(seconds)} seconds"


def _shares(frame: pl.DataFrame, column: str) -> dict[str, float]:
    named = (
        frame.filter(pl.col(column).is_not_null()).group_by(column).len().sort("len", column, descending=[True, False])
    )
    return {name: n / frame.height for name, n in named.head(10).iter_rows()}


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    return float(value) if isinstance(value, int | float) and value == value and abs(value) != float("inf") else None


def windows_view(windows: Windows) -> View:
    """ServeGen's client windows, model by model: how much, how uneven, how few clients."""
    lines = [f"ServeGen client windows · {windows.source} · {count(windows.frame.height)} windows", ""]
    lines.append("  Rates of clients, no requests: what needs requests cannot be read from them.")
    data: dict[str, Any] = {}
    totals = windows.totals()
    for (model,), own in windows.frame.group_by("model", maintain_order=True):
        rate = totals.filter(pl.col("model").eq_missing(pl.lit(model)))["rate_per_s"]
        mean, peak = _number(rate.mean()) or 0.0, _number(rate.max()) or 0.0
        by_client = own.group_by("client").agg(pl.col("rate_per_s").sum()).sort("rate_per_s", descending=True)
        whole = _number(by_client["rate_per_s"].sum()) or 0.0
        first = {n: _number(by_client["rate_per_s"].head(n).sum()) or 0.0 for n in (1, 5, 10)}
        top = {f"top_{n}_share": first[n] / whole if whole else None for n in first}
        data[str(model)] = {
            "clients": by_client.height,
            "windows": rate.len(),
            "window_s": WINDOW_S,
            "mean_per_s": mean,
            "peak_to_mean": peak / mean if mean else None,
            **top,
        }
        if mean:
            few = share(first[10] / whole)
            uneven = f"peak {digits(peak / mean)} x the mean; the first ten make {few} of them"
            lines.append(f"  {model}: {_many(by_client.height, 'client')}, {digits(mean)} requests a second, {uneven}.")
    lines += _faults(windows.malformed)
    return View(
        "\n".join(lines),
        {
            "source": windows.source,
            "rows_read": windows.rows_read,
            "models": data,
            "malformed": {"rows": windows.malformed.count},
        },
    )
