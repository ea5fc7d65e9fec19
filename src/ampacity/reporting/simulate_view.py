"""What every request met, on the screen and as data: sentences first, then tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from ampacity.reporting.catalog_views import View
from ampacity.reporting.columns import aligned
from ampacity.reporting.fleet_view import fleet_data, fleet_text
from ampacity.reporting.fleet_words import fleet_sentences
from ampacity.reporting.simulated import QUANTILES, Simulated
from ampacity.reporting.twin_view import mix_sentences
from ampacity.reporting.words import count, digits, share, tokens, usd
from ampacity.scenario.announced import changes
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import NOT_SCALED
from ampacity.simulator.of_scenario import other_mixes
from ampacity.simulator.ran import Ran

Row = dict[str, Any]
SLOW_S = {"p90": 10.0, "p99": 60.0}
"""First tokens are slow if one in ten, or one in a hundred, takes longer. [s]"""
ONE_IN = {"p90": "a tenth", "p99": "a hundredth"}
TIMES = {"ttft": "first token", "tpot": "each token", "latency": "last token"}
HEADS = {"ttft": "TTFT", "tpot": "TPOT", "latency": "latency"}


def simulate_view(r: Simulated) -> View:
    """The answer on one screen."""
    if r.fleet is not None:
        return View(fleet_text(r.fleet), simulate_data(r))
    lines = [f"  {said}" for said in simulate_sentences(r)]
    for table in (_times(r), _found(r), _refused(r), _work(r)):
        if table:
            lines += ["", *aligned(table)]
    return View("\n".join(lines), simulate_data(r))


def simulate_sentences(r: Simulated) -> list[str]:
    """How many requests met what; what is slow and why; what was left out; what a trace had measured itself."""
    if r.fleet is not None:
        return fleet_sentences(r.fleet)
    said = []
    for run in r.runs:
        said.append(_whole(r, run))
        said += _left_out(run)
    if r.replayed is not None:
        said += [f"{note[:1].upper()}{note[1:]}." for note in r.replayed.notes]
        said.append(_as_measured(r) or "The trace does not say how long its own answers took.")
    else:
        said += [
            f"The limit of {e.tier} changes to {e.limit} on {e.date}."
            for e in changes(r.scenario)
            if e.date > r.scenario.start
        ]
        said += mix_sentences(other_mixes(r.scenario))
    return said + _slow(r) + _stopped(r) + _overloaded(r)


def simulate_data(r: Simulated) -> dict[str, Any]:
    """All of it for programs, but the requests themselves. Units are in the keys, shares of 1."""
    return {
        "scenario": r.scenario.name,
        "record": r.record.as_dict(),
        "answer": simulate_sentences(r),
        "replayed": _replay_data(r),
        "models": {
            run.setup.model: {
                "hours": run.span_ps / (3600 * 10**12),
                "replicas": run.replicas,
                "replicas_there": run.replicas_there,
                "replicas_started": run.result.scaled.starts,
                "iteration_running_share": run.busy_share,
                "iterations": {"composed": run.result.stepped, "solved_for": run.result.jumped},
                "preemptions": run.result.preemptions,
                "in_flight_at_the_end": run.result.in_flight,
                "left_out": {reason: n for reason, n in run.setup.left_out.items() if n},
            }
            for run in r.runs
        },
        "slo": r.slo().to_dicts(),
        "refusals": {by: r.refusals(by).to_dicts() for by in ("tier", "window")},
        "waterfall": r.waterfall().to_dicts(),
        "cost": r.cost().to_dicts(),
        "emissions": {"modelled": True, "sites": r.emissions().to_dicts()},
        "fleet": fleet_data(r.fleet) if r.fleet is not None else None,
    }


def measured_beside(r: Simulated) -> dict[str, dict[str, float]] | None:
    """Quantiles of the trace's own times and of the same requests here, where the trace has them. [s]"""
    if r.replayed is None:
        return None
    rows = r.requests().filter(pl.col("finished_ps").is_not_null())
    first_s, last_s = ((rows[name] - rows["asked_ps"]) / 1e12 for name in ("first_token_ps", "finished_ps"))
    after_first = pl.Series(np.where(rows["output_tokens"] > 1, rows["output_tokens"] - 1, np.nan)).fill_nan(None)
    then_first, then_last = rows["measured_ttft_s"], rows["measured_latency_s"]
    pairs = {
        "ttft": (then_first, first_s),
        "tpot": ((then_last - then_first) / after_first, (last_s - first_s) / after_first),
        "latency": (then_last, last_s),
    }
    found: dict[str, dict[str, float]] = {}
    for name, (then, here) in pairs.items():
        known = then.is_not_null()
        if known.any():
            for whose, times in (("measured", then.filter(known)), ("simulated", here.filter(known))):
                found[f"{name}_s_{whose}"] = {
                    "mean": float(times.mean()),  # type: ignore[arg-type]
                    **{f"p{100 * q:g}": float(times.quantile(q, "linear") or 0.0) for q in QUANTILES},
                }
    return found or None


def _replay_data(r: Simulated) -> dict[str, Any] | None:
    if r.replayed is None or r.trace is None:
        return None
    return {
        "source": r.trace.source,
        "format": r.trace.format,
        "closed_loop": r.replayed.closed,
        "speed": r.speed,
        "notes": list(r.replayed.notes),
        "times": measured_beside(r),
    }


def _whole(r: Simulated, run: Ran) -> str:
    asked, answered = run.result.count(at.ASKED), run.result.count(at.ANSWERED)
    copies = "1 replica" if run.replicas == 1 else f"{count(run.replicas)} replicas"
    if run.result.scaled != NOT_SCALED and run.replicas > 1:
        copies += f" of which {digits(run.replicas_there, 2)} are there on the mean ({run.result.scaled.starts} starts)"
    span = _length(run.span_ps / 1e12)
    if r.replayed is not None and r.trace is not None:
        way = "each session's next request a pause after the answer" if r.replayed.closed else "each at its instant"
        fast = "" if r.speed == 1 else f", {digits(r.speed)} times as fast"
        lead = f"{count(asked)} requests of {r.trace.source}, {way}{fast}, take {span} on {copies} of {run.setup.model}"
    else:
        lead = f"{count(asked)} requests to {run.setup.model} in {span} on {copies}"
    under_way = f"; {count(run.result.in_flight)} are under way at the end" if run.result.in_flight else ""
    return (
        f"{lead}: {count(answered)} are answered{under_way}. An iteration runs in {share(run.busy_share)} of the time."
    )


def _left_out(run: Ran) -> list[str]:
    parts = [f"{count(n)} {reason}" for reason, n in run.setup.left_out.items() if n]
    return [f"Left out: {'; '.join(parts)}."] if parts else []


def _slow(r: Simulated) -> list[str]:
    said = []
    for row in r.slo().to_dicts():
        slow = [q for q, bound in SLOW_S.items() if (row[f"ttft_{q}_s"] or 0.0) > bound]
        if slow:
            found = row["found_in_memory_share"] or 0.0
            said.append(
                f"{ONE_IN[slow[0]].capitalize()} of the first tokens of {row['tier']} take more than "
                f"{_seconds(row[f'ttft_{slow[0]}_s'])}; {share(found)} of their input is found in memory, the rest is "
                "computed."
            )
    return said


def _stopped(r: Simulated) -> list[str]:
    said = []
    for row in r.refusals().to_dicts():
        if row["refused_attempts"]:
            windows = [w for w in r.refusals("window").to_dicts() if w["tier"] == row["tier"] and w["refused_attempts"]]
            first = max(windows, key=lambda w: w["refused_attempts"])["window"]
            said.append(
                f"Windows refuse {count(row['refused_attempts'])} attempts of {row['tier']}, the {first} one most of "
                f"them; {count(row['lost'])} requests are never asked."
            )
    return said


def _overloaded(r: Simulated) -> list[str]:
    return [
        f"{count(row['overloaded_attempts'])} attempts of {row['tier']} are refused because capacity is short (529)."
        for row in r.refusals().to_dicts()
        if row["overloaded_attempts"]
    ]


def _as_measured(r: Simulated) -> str:
    found = measured_beside(r)
    if found is None:
        return ""
    parts = []
    for name in ("ttft", "latency"):
        if f"{name}_s_measured" in found:
            then, here = found[f"{name}_s_measured"], found[f"{name}_s_simulated"]
            pairs = ", ".join(f"{_seconds(here[q])} here and {_seconds(then[q])} there for {q}" for q in ("p50", "p99"))
            parts.append(f"the {TIMES[name]} takes {pairs}")
    return f"Beside what the trace measured on its own hardware: {'; '.join(parts)}."


def _times(r: Simulated) -> list[list[str]]:
    names = [f"p{100 * q:g}" for q in QUANTILES]
    table = [["tier", "requests", *(f"{HEADS[t]} {q}" for t in HEADS for q in names), "good"]]
    for row in r.slo().to_dicts():
        cells = [_seconds(row[f"{t}_{q}_s"]) for t in TIMES for q in names]
        good = share(row["good_share"]) if row["good_share"] is not None else ""
        table.append([row["tier"], count(row["answered"]), *cells, good])
    beside = measured_beside(r)
    if beside and len(r.slo()) == 1:
        cells = [_seconds(beside.get(f"{t}_s_measured", {}).get(q)) for t in TIMES for q in names]
        table.append(["as measured", "", *cells, ""])
    return table


def _found(r: Simulated) -> list[list[str]]:
    table = [["tier", "input", "found in memory", "output", "moved to another replica", "gave way"]]
    for row in r.slo().to_dicts():
        whole = row["uncached_input_tokens"] + row["cached_input_tokens"]
        found = "" if row["found_in_memory_share"] is None else share(row["found_in_memory_share"])
        moved, gone = (count(row[k]) for k in ("moved_to_another_replica", "gave_way"))
        table.append([row["tier"], tokens(whole), found, tokens(row["output_tokens"]), moved, gone])
    return table


def _refused(r: Simulated) -> list[list[str]]:
    rows = r.refusals("window").to_dicts()
    if not rows:
        return []
    table = [["tier", "window", "refused attempts"]]
    return table + [[row["tier"], row["window"], count(row["refused_attempts"])] for row in rows]


def _work(r: Simulated) -> list[list[str]]:
    table = [["pool", "busy", "useful of it", "MFU", "MBU", "useful of contracted"]]
    for row in r.waterfall().to_dicts():
        useful = [share(row[k]) if row[k] is not None else "" for k in ("useful_share", "mfu", "mbu")]
        table.append([row["pool"], share(row["busy_share"]), *useful, share(row["useful_over_contracted"] or 0.0)])
    if r.replayed is not None:
        return table
    costs = {row["kind"]: row["usd_per_mtok"] for row in r.cost().to_dicts()}
    if costs["all"] is not None:
        words = {"all": "all kinds", "uncached_input": "uncached input", "output": "output"}
        each = [f"{word} {digits(costs[k])}" for k, word in words.items() if costs[k] is not None]
        table.append([f"{usd(r.measured.cost_usd)}; USD per million tokens: {', '.join(each)}"])
    return table


def _seconds(x: float | None) -> str:
    if x is None or math.isnan(x):
        return ""
    return f"{digits(1000 * x, 2)} ms" if x < 1 else f"{digits(x, 2)} s"


def _length(seconds: float) -> str:
    for size, noun in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{digits(seconds / size)} {noun}"
    return f"{digits(seconds)} seconds"
