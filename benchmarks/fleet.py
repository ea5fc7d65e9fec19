"""Looking at a fleet through a sample: how often its intervals hold the truth, what it is biased by, what it costs.

(a) Coverage: two pools of 24 cells in 48 hours, every cell and hour looked at once; then samples of these results.
(b) Cells of 16, 64, 128 and 256 replicas: one pool of `colossus-1` in its busiest hours, all replicas each time.
(c) What is sent before an hour counts: nothing, a quarter of an hour, an hour.
(d) Memory of a process that looks at one cell after the other.
(e) `--cells all --hours N`: all cells of `colossus-1` in its N busiest hours, and the rate; only when asked for.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import ampacity as amp
from ampacity.reporting.twin_view import limits_found
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.estimate import Estimate, Sample
from ampacity.simulator.fleet import Fleet, Setting, fleet, gathered, known, one_look, setting_of, whole
from ampacity.simulator.of_scenario import TokensFound
from ampacity.simulator.strata import Look, every_look, looks
from measure import arguments, publish

FIGURES: dict[str, Callable[[Sample, float], Estimate]] = {
    "requests asked": lambda s, level: s.total(at.ASKED, level=level),
    "output tokens": lambda s, level: s.total(at.OUTPUT_TOKENS, level=level),
    "refused attempts": lambda s, level: s.total(at.REFUSALS, level=level),
    "refused share": lambda s, level: s.ratio([at.REFUSALS], [at.ASKED], level=level),
    "found share": lambda s, level: s.ratio([at.HIT], [at.INPUT_TOKENS], level=level),
    "lost share": lambda s, level: s.ratio([at.STEPS_LOST], [at.ASKED], level=level),
    "TTFT p50": lambda s, level: s.quantile_s(at.TTFT, 0.5, level=level),
    "TTFT p90": lambda s, level: s.quantile_s(at.TTFT, 0.9, level=level),
}
FIRST_HOUR = 200


def two_pools(people: int, replicas: int) -> Scenario:
    """H100 and H200, so many replicas of eight each, with the developers of `laptop`."""
    deliveries = [{"site": "here", "accelerator": a, "quantity": 8 * replicas} for a in ("h100-sxm", "h200-sxm")]
    code = {"model": "llama-3.1-70b", "precision": "fp8", "accelerators_per_replica": 8, "usable": 1.0}
    changes = {
        "sites.here.power": {"value": "50 MW", "basis": "server"},
        "contracts.server.deliveries": deliveries,
        "placements.code": code,
        "tiers.developers.people": people,
    }
    return amp.load("laptop").replace(changes)


def coverage(cells: int, hours: int, samples: int, hour_strata: int = 12) -> dict[str, Any]:
    """(a)"""
    s = two_pools(84 * 2 * cells, 2 * cells)
    f = fleet(Setting(s, {"developers": {"five-hour": 30e6, "weekly": 200e6}}, cell_replicas=2))
    span = list(range(FIRST_HOUR, FIRST_HOUR + hours))
    every = every_look(f.replicas, span, 2)
    results = {(w.pool, w.cell, w.hour): one_look(f, w) for w in every}
    truth = _sample(f, every, results, known_too=False)
    right = {name: of(truth, 0.95).value for name, of in FIGURES.items()}
    held = {(name, way): [] for name in FIGURES for way in ("known", "plain")}
    for seed in range(samples):
        chosen = looks(f.load[span], f.replicas, seed + 1000, hour_strata, most=2)
        wanted = [replace(w, hour=w.hour + FIRST_HOUR) for w in chosen]
        for way in ("known", "plain"):
            found = _sample(f, wanted, results, known_too=way == "known", span=span)
            for name, of in FIGURES.items():
                held[name, way].append(of(found, 0.95))
    out: dict[str, Any] = {"coverage: looks at all cells and hours": len(every), "coverage: samples": samples}
    for (name, way), each in held.items():
        there = right[name]
        off = np.array([e.value for e in each]) / there - 1
        out[f"95 % intervals that hold, {name}, {way}"] = float(np.mean([e.low <= there <= e.high for e in each]))
        out[f"bias and standard error, {name}, {way} [%]"] = f"{100 * off.mean():.2f}, {100 * off.std():.2f}"
    return out


def _sample(
    f: Fleet,
    wanted: list[Look],
    results: dict[tuple[int, int, int], CellResult | None],
    known_too: bool,
    span: list[int] | None = None,
) -> Sample:
    """A sample from results that are there."""
    about = known(f, span) if known_too and span is not None else None
    return gathered(f, wanted, engine=lambda _, chosen: (results[w.pool, w.cell, w.hour] for w in chosen), known=about)


def announced() -> tuple[Scenario, TokensFound]:
    """`colossus-1` after its announcement, and the tokens that its plan finds."""
    p = amp.plan(amp.load("colossus-1").replace({"worlds": 1}))
    return p.scenario, limits_found(p)


def _told(name: str, s: Sample) -> dict[str, Any]:
    out: dict[str, Any] = {f"{name}: requests": s.requests}
    for q in (0.5, 0.9, 0.99):
        out[f"{name}: TTFT p{100 * q:g} [s]"] = s.quantile_s(at.TTFT, q).value
    out[f"{name}: found share"] = s.ratio([at.HIT], [at.INPUT_TOKENS]).value
    out[f"{name}: refused attempts per request"] = s.ratio([at.REFUSALS], [at.ASKED]).value
    return out


def cell_sizes(pool: str, hours: int, seeds: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """(b)"""
    s, found = announced()
    out: dict[str, Any] = {}
    for size in sizes:
        each: list[dict[str, Any]] = []
        for seed in range(1, seeds + 1):
            f = fleet(Setting(s, found, seed, cell_replicas=size))
            number = [p.pool.name for p in f.pools].index(pool)
            busiest = [int(h) for h in np.argsort(f.load[:672])[-24:][::-1][: 8 * hours : 8]]
            wanted = [w for w in every_look(f.replicas, busiest, size) if w.pool == number]
            each.append(_told(f"cells of {size}", gathered(f, wanted, processes=2)))
        for key in each[0]:
            values = np.array([e[key] for e in each], dtype=float)
            spread = float(values.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else float("nan")
            out[key] = f"{values.mean():.5g} +- {spread:.2g}"
    return out


def warming(people: int, cells: int, hours: int) -> dict[str, Any]:
    """(c) The same people, cells and hours."""
    out: dict[str, Any] = {}
    for warm_s in (0, 300, 900, 1800, 3600):
        s = two_pools(people, 2 * cells)
        limits = {"developers": {"five-hour": 30e6, "weekly": 200e6}}
        f = fleet(Setting(s, limits, cell_replicas=2, warm_s=warm_s))
        span = list(range(FIRST_HOUR, FIRST_HOUR + 5 * hours, 5))
        out |= _told(f"{warm_s} s before", whole(f, span, processes=2))
    return out


def memory(count: int) -> dict[str, Any]:
    """(d) Looks of `colossus-1` one after the other."""
    s, found = announced()
    f = fleet(setting_of(s, found))
    wanted = looks(f.load[:672], f.replicas, 1)[:: max(420 // count, 1)][:count]
    sample = Sample.empty(tuple(t.name for t in s.tiers), tuple(p.pool.name for p in f.pools), wanted, None)
    peaks = []
    for one in wanted:
        if (result := one_look(f, one)) is not None:
            sample.add(one, result)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "memory: looks": len(wanted),
        "memory: requests": sample.requests,
        "memory: peak after a quarter of the looks [MiB]": peaks[len(peaks) // 4],
        "memory: peak after all [MiB]": peaks[-1],
    }


def all_cells(hours: int) -> dict[str, Any]:
    """(e)"""
    s, found = announced()
    f = fleet(setting_of(s, found))
    busiest = [int(h) for h in np.argsort(f.load[:672])[::-1][:hours]]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    got = whole(f, busiest)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "requests_per_cpu_s, all cells": got.requests / cpu,
        "requests per wall s, all cells": got.requests / wall,
        "all cells: wall [s]": wall,
        "all cells: CPU [s]": cpu,
        "all cells: hours": hours,
        "all cells: cells": got.looks,
        "all cells: largest peak of a process [MiB]": after.ru_maxrss / 1024,
        **_told("all cells", got),
    }


if __name__ == "__main__":
    asked = arguments(
        __doc__ or "",
        lambda parser: (
            parser.add_argument("--cells", choices=["all"], help="all cells of colossus-1, nothing else"),
            parser.add_argument("--hours", type=int, default=1, help="of --cells all: how many, busiest first"),
            parser.add_argument("--only", choices=["coverage", "sizes", "warm", "memory"], help="one part"),
        ),
    )
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "coverage": lambda: coverage(6, 12, 20, 3) if asked.smoke else coverage(24, 48, 1000),
        "sizes": lambda: (
            cell_sizes("microsoft-azure/azure/gb200-nvl72", 1, 1, (64, 256))
            if asked.smoke
            else cell_sizes("microsoft-azure/azure/gb200-nvl72", 3, 3, (16, 64, 128, 256))
        ),
        "warm": lambda: warming(600, 3, 2) if asked.smoke else warming(4032, 24, 8),
        "memory": lambda: memory(12 if asked.smoke else 210),
    }
    figures: dict[str, Any] = {}
    if asked.cells:
        figures = all_cells(asked.hours)
    else:
        for name, part in parts.items():
            if asked.only in (None, name):
                figures |= part()
    publish("a fleet through a sample", figures, asked.json)
