"""How often intervals of a sampled fleet hold the truth, and how wide they are: all cell-hours of a small fleet once.

Two pools of 24 cells, 48 hours; people who work with agents under windows, chats, and a few clients who are the same in
every cell. Every cell-hour is looked at; then a thousand samples of five cells a pool, twelve hours each, are drawn
from these looks, each weighed by cell-hours alone, and so that known activity adds up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.special import stdtrit

import ampacity as amp
from ampacity.demand.hourly import hourly
from ampacity.demand.people import zone_of
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import Seen
from ampacity.simulator.estimate import Estimate, Sample
from ampacity.simulator.fleet import Fleet, Setting, fleet, known, seen_in
from ampacity.simulator.known_activity import Known
from ampacity.simulator.strata import Look, every_look, looks
from measure import arguments, publish

SCENARIO = """
scenario: two-pools
start: 2026-06-02
horizon: 1 week
worlds: 1
service_level: {hours: 99 %, tpot: 50 ms}
sites:
  here: {time_zone: America/New_York, pue: 1.3, carbon: egrid-us, electricity: 60 USD/MWh}
contracts:
  bought:
    start: 2026-06-02
    deliveries:
      - {site: here, accelerator: h200-sxm, quantity: 48}
      - {site: here, accelerator: a100-sxm, quantity: 48}
    fee: {monthly: 200000 USD/month}
placements:
  small: {model: llama-3.1-8b, contract: bought, precision: bf16}
limits:
  team: {windows: {five-hour: {length: 5 h, tokens: 10 Mtoken}, weekly: {length: 7 d, tokens: 100 Mtoken}}}
tiers:
  developers: {people: 5000, model: llama-3.1-8b, limit: team, behaviour: {like: coding-agent}}
  chat: {kind: api, people: 40000, model: llama-3.1-8b, behaviour: {like: chat}}
  tools: {kind: api, people: 200, model: llama-3.1-8b, behaviour: {like: api-client, shape: flat}}
"""
MOST, SMOKE_MOST = 2, 8
"""Replicas of a cell: 24 cells of 48."""
REPLICATES = 5
Figure = Callable[[Sample], Estimate]
FIGURES: dict[str, Figure] = {
    "requests asked": lambda s: s.total(at.ASKED),
    "of developers": lambda s: s.total(at.ASKED, "developers"),
    "of chat": lambda s: s.total(at.ASKED, "chat"),
    "of tools": lambda s: s.total(at.ASKED, "tools"),
    "output tokens": lambda s: s.total(at.OUTPUT_TOKENS),
    "refused share": lambda s: s.ratio([at.REFUSALS], [at.ASKED], "developers"),
    "input found": lambda s: s.ratio([at.HIT], [at.INPUT_TOKENS]),
    "good share": lambda s: s.good_share(),
    "TTFT p50": lambda s: s.quantile_s(at.TTFT, 0.5),
    "TTFT p90": lambda s: s.quantile_s(at.TTFT, 0.9),
    "TTFT p90 of developers": lambda s: s.quantile_s(at.TTFT, 0.9, "developers"),
    "busy": lambda s: next(iter(s.busy().values())),
}
Place = tuple[int, int, int]


def laid_out() -> Fleet:
    """The small fleet, in which nothing fails."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "two-pools.yaml"
        path.write_text(SCENARIO, encoding="utf-8")
        return fleet(Setting(amp.load(path), {}))


def shown(f: Fleet, wanted: Sequence[Look]) -> dict[Place, Seen]:
    """What every cell shows in each hour."""
    found = {}
    for one in wanted:
        seen = seen_in(f, one)
        if seen is not None:
            slim = replace(seen.result, histograms=seen.result.histograms.astype(np.uint16))
            found[one.pool, one.cell, one.hour] = replace(seen, result=slim)
    return found


def sample_of(f: Fleet, every: dict[Place, Seen], wanted: Sequence[Look], replicates: int, by: Known | None) -> Sample:
    """What these looks show."""
    names = tuple(t.name for t in f.setting.s.tiers)
    s = Sample.empty(names, tuple(p.pool.name for p in f.pools), wanted, replicates, by)
    for one in wanted:
        s.add(one, every[one.pool, one.cell, one.hour])
    return s


def covered(right: float, found: Sequence[Estimate], level: float) -> float:
    """Share of the intervals at a level that hold what is right: t quantiles widen those of 90 % alike. [0 to 1]"""
    wider = float(stdtrit(REPLICATES - 1, (1 + level) / 2) / stdtrit(REPLICATES - 1, 0.95))
    return float(np.mean([abs(np.log(right / e.value)) <= wider * np.log(e.value / e.low) for e in found]))


def measured(hours: int, samples: int, most: int) -> Iterator[tuple[str, Any]]:
    """Of every figure, weighed by cell-hours and with known activity: standard error over samples, how far their mean
    is off, how often intervals hold the truth. most: replicas of a cell."""
    f, began = laid_out(), time.process_time()
    all_of_it = every_look(f.replicas, list(range(hours)), most)
    every = shown(f, all_of_it)
    yield "looks at all cell-hours", len(every)
    yield "CPU s of all looks", time.process_time() - began
    everything = sample_of(f, every, all_of_it, 1, None)
    by, load = known(f, hours), f.load[:hours]
    yield from correlations(f, everything, by)
    drawn = [looks(load, f.replicas, seed, cells=REPLICATES, most=most) for seed in range(samples)]
    yield "samples", samples
    yield "looks in each", len(drawn[0])
    for how, activity in (("cell-hours", None), ("known activity", by)):
        found: dict[str, list[Estimate]] = {name: [] for name in FIGURES}
        for wanted in drawn:
            s = sample_of(f, every, wanted, REPLICATES, activity)
            for name, figure in FIGURES.items():
                found[name].append(figure(s))
        for name, figure in FIGURES.items():
            right, values = figure(everything).value, np.array([e.value for e in found[name]])
            told = {"error_pct": 100 * float(values.std()) / right, "off_pct": 100 * (float(values.mean()) / right - 1)}
            told |= {f"held_{level:.0%}": 100 * covered(right, found[name], level) for level in (0.9, 0.95)}
            yield f"{name}, {how}", {key: round(value, 3) for key, value in told.items()}


def correlations(f: Fleet, everything: Sample, by: Known) -> Iterator[tuple[str, float]]:
    """Of what all cells are asked in an hour with known activity, and with the plan's, which has no swing."""
    hours = by.active.shape[2]
    for i, t in enumerate(f.setting.s.tiers):
        asked, active = everything.by_hour[:, i, at.ASKED], by.active[:, i].sum(axis=0)
        yield f"{t.name}: known activity and requests by the hour", float(np.corrcoef(active, asked)[0, 1])
        planned = hourly(t, f.start_s, hours, zone_of(f.setting.s, t)).active_share
        if np.ptp(planned) > 0:
            yield f"{t.name}: the plan's activity and requests", float(np.corrcoef(planned, asked)[0, 1])


if __name__ == "__main__":
    options = arguments(__doc__ or "")
    figures = dict(measured(18, 10, SMOKE_MOST) if options.smoke else measured(48, 1000, MOST))
    publish("intervals of a sampled fleet against all of it", figures, options.json)
