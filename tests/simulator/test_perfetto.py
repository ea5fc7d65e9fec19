"""A span of one replica as a trace: what the format asks for holds, and what it shows adds up to what the run says."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from ampacity.scenario.load import load
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.model_cell import busy_ps
from ampacity.simulator.perfetto import busiest, closely, perfetto
from ampacity.simulator.ran import Ran, ran
from ampacity.simulator.rows import JUMPED, PROMPT_TOKENS, STEPPED
from ampacity.simulator.twin import HOUR_PS, model_cells

SPAN_PS = 90 * PS_PER_S


@cache
def day(hours: int = 12, people: int = 20) -> Ran:
    """A Monday of two replicas and few people."""
    s = load("laptop", sets=["placements.code.accelerators_per_replica=4", f"tiers.developers.people={people}"])
    (m,) = model_cells(s, {"developers": {"five-hour": 300e6, "weekly": 3e9}}, seed=2)
    return ran(m, hours * HOUR_PS, seed=2, windows=0)


@cache
def busy_span() -> tuple[dict[str, Any], int, int]:
    """The trace of the busiest instant, which replica it is, and when it begins."""
    replica, begin_ps = busiest(day())
    return json.loads(json.dumps(perfetto(day(), closely(day(), replica, begin_ps, SPAN_PS)))), replica, begin_ps


def events(kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        e for e in busy_span()[0]["traceEvents"] if e["ph"] == kind and all(e.get(k) == v for k, v in fields.items())
    ]


def test_every_event_has_what_the_trace_event_format_asks_of_its_kind() -> None:
    """Required by kind in the format's description: names of metadata, durations of slices, numbers of counters."""
    trace = busy_span()[0]
    assert trace["displayTimeUnit"] in ("ms", "ns")
    for e in trace["traceEvents"]:
        assert {"ph", "pid", "name"} <= set(e)
        assert isinstance(e["pid"], int)
        assert isinstance(e["tid"], int)
        if e["ph"] == "M":
            assert e["name"] in ("process_name", "thread_name", "thread_sort_index")
            assert len(e["args"]) == 1
        elif e["ph"] == "X":
            assert e["ts"] >= 0
            assert e["dur"] >= 0
            assert isinstance(e["cat"], str)
        else:
            assert e["ph"] == "C"
            assert all(isinstance(v, int) and v >= 0 for v in e["args"].values())
    named = {(e["pid"], e["tid"]) for e in events("M", name="thread_name")}
    assert named == {(e["pid"], e["tid"]) for e in events("X")}


def test_slices_of_one_track_lie_inside_or_behind_each_other() -> None:
    tracks = defaultdict(list)
    for e in events("X"):
        begin = round(e["ts"] * 1000)
        tracks[e["pid"], e["tid"]].append((begin, -(begin + round(e["dur"] * 1000))))
    for slices in tracks.values():
        open_until: list[int] = []
        for begin, minus_end in sorted(slices):
            while open_until and open_until[-1] <= begin:
                open_until.pop()
            assert not open_until or -minus_end <= open_until[-1]
            open_until.append(-minus_end)


def test_phases_fill_their_request_and_end_with_its_tokens() -> None:
    _, replica, begin_ps = busy_span()
    rows = {row["step"]: row for row in day().requests.filter(pl.col("replica") == replica).iter_rows(named=True)}
    phases = defaultdict(list)
    for e in events("X", cat="phase"):
        phases[e["args"]["request"]].append(e)
    whole = 0
    for e in events("X", cat="request"):
        own = sorted(phases[e["args"]["request"]], key=lambda p: p["ts"])
        assert sum(round(p["dur"] * 1000) for p in own) == round(e["dur"] * 1000)
        assert all(round((a["ts"] + a["dur"] - b["ts"]) * 1000) == 0 for a, b in pairwise(own))
        row = rows[e["args"]["request"]]
        inside = row["asked_ps"] >= begin_ps and row["finished_ps"] < begin_ps + SPAN_PS
        if inside and [p["name"] for p in own] == ["queued", "prefill", "decode"]:
            whole += 1
            first_us = (row["first_token_ps"] - begin_ps) / 1e6
            assert own[2]["ts"] == pytest.approx(first_us, abs=0.002)
            assert e["ts"] + e["dur"] == pytest.approx((row["finished_ps"] - begin_ps) / 1e6, abs=0.002)
            assert e["args"]["ttft_s"] == pytest.approx((row["first_token_ps"] - row["asked_ps"]) / 1e12)
    assert whole > 0


def test_all_iterations_of_a_whole_run_take_the_busy_time_and_compute_what_it_computed() -> None:
    run = day(hours=6, people=1)
    seen = closely(run, 1, 0, run.span_ps)
    trace = perfetto(run, seen)
    slices = [e for e in trace["traceEvents"] if e.get("cat") == "iteration"]
    row = run.cell.engines.rows[1]
    assert len(slices) == row[STEPPED] + row[JUMPED] == trace["otherData"]["iterations"]
    assert sum(e["args"]["prompt_tokens"] for e in slices) == row[PROMPT_TOKENS]
    asked = run.requests.filter(pl.col("replica") == 1)
    decoded = sum(e["args"]["sequences_decoding"] for e in slices)
    assert run.result.preemptions == 0
    assert decoded == asked["output_tokens"].sum() - asked.height  # the first token comes with the prompt
    assert abs(sum(e["args"]["duration_ps"] for e in slices) - busy_ps(run.cell)[1]) <= len(slices)


def test_the_busiest_instant_has_more_requests_than_any_other() -> None:
    replica, begin_ps = busiest(day())
    rows = day().requests.filter(pl.col("replica") == replica)
    asked, finished = rows["asked_ps"].to_numpy(), rows["finished_ps"].to_numpy()
    there = [int(((asked <= t) & (finished > t)).sum()) for t in (begin_ps, *asked[:: max(len(asked) // 200, 1)])]
    assert there[0] == max(there) == len(np.flatnonzero((asked <= begin_ps) & (finished > begin_ps)))
    many = day().requests.group_by("replica").len().sort("len")["replica"].to_list()
    assert replica == many[-1]


def test_a_replica_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="replica 2: from 0 to 1"):
        busiest(day(), 2)
