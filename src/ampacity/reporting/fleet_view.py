"""A sampled fleet on the screen and as data: sentences first, then tables, every estimate with its interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ampacity.reporting.columns import aligned
from ampacity.reporting.fleet_frames import (
    OVERLOADED,
    QUANTILES,
    ends,
    found_share,
    served,
    share_of_attempts,
    waterfall,
)
from ampacity.reporting.fleet_words import between_samples, big, fleet_sentences, goodput, rate, seconds, spread
from ampacity.reporting.words import count, digits, share
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import GOOD_TTFT_S
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.fleet_run import FleetRun

TIMES = (("TTFT", at.TTFT, 0.5), ("TTFT", at.TTFT, 0.9), ("TTFT", at.TTFT, 0.99), ("TPOT", at.TPOT, 0.5))
KEYS = {"ttft_s": at.TTFT, "tpot_s": at.TPOT, "latency_s": at.LATENCY}
Rows = list[list[str]]


def fleet_text(r: FleetRun) -> str:
    """Tables under the sentences: times, what was refused, pools, what fails."""
    lines = [f"  {said}" for said in fleet_sentences(r)]
    for table in (times(r), shares(r), by_window(r), pools(r), failing(r)):
        if len(table) > 1:
            lines += ["", *aligned(table)]
    lines += ["", *(f"  {said}" for said in between_samples(r))]
    if r.whole:
        lines += ["", f"  {rate(r)}"]
    return "\n".join(lines)


def fleet_data(r: FleetRun) -> dict[str, Any]:
    """The same for programs: seconds, shares of 1, minutes a month; low and high are null where nothing is sampled."""
    s = r.sample
    return {
        "requests_looked_at": s.requests,
        "requests_estimated": _told(s.total(at.ANSWERED)),
        "cells": {"looked_at": len({(w.pool, w.cell) for w in s.seen}), "all": r.cells},
        "hours": {"looked_at": len(s.hours), "all": len(r.hours)},
        "looks": s.looks,
        "whole": r.whole,
        "good": {"ttft_s": GOOD_TTFT_S, "tpot_s": r.fleet.setting.s.service_level.tpot_s},
        "rate": {
            "requests_with_warm_up": s.with_warm_up,
            "wall_s": r.wall_s,
            "cpu_s": s.cpu_s,
            "requests_per_cpu_s": s.with_warm_up / s.cpu_s if s.cpu_s else None,
        },
        "tiers": {tier.name: _tier(r, tier.name) for tier in served(r)},
        "scarce_pools": list(s.scarce),
        "pools": {name: {"busy_share": _told(busy)} for name, busy in s.busy().items()},
        "disruptions": [
            {
                "cause": d.cause,
                "does": d.does,
                "shared": d.shared,
                "minutes_per_month": d.replica_min,
                "somewhere_minutes_per_month": d.active_min,
            }
            for d in r.disruptions
        ],
        "between_seeds": {
            "seeds": r.shocks.seeds,
            "answered": _told(r.swings),
            "door_open_share": _told(r.shocks.door),
            "up_share": _told(r.shocks.up),
        },
    }


def fleet_rows(r: FleetRun) -> list[tuple[str, str]]:
    """A line of the screen for each tier, where a plan has been told before."""
    s, rows = r.sample, []
    for tier in served(r):
        name = tier.name
        if s.total(at.ANSWERED, name).value == 0:
            rows.append(("requests", f"{name}: none is answered in the hours that were looked at"))
            continue
        half, most = (spread(s.quantile_s(at.TTFT, q, name), seconds) for q in (0.5, 0.99))
        refused = share_of_attempts(r, [at.REFUSALS], name)
        stopped = f"   windows refuse {spread(refused, share)}" if refused.value else ""
        rows.append(
            (
                "requests",
                f"{name}: {big(s.total(at.ANSWERED, name).value)}, first token within {half} for half of them, {most} "
                f"for 99 in 100; {spread(s.quantile_s(at.TPOT, 0.5, name), seconds)} per token   "
                f"{spread(found_share(r, name), share)} of input found in memory{stopped}",
            )
        )
    return [*rows, ("requests", goodput(r))]


def times(r: FleetRun) -> Rows:
    """A row a tier: how long answers take."""
    table = [["tier", "requests", *(f"{word} p{100 * q:g}" for word, _, q in TIMES), "end to end p90"]]
    for tier in served(r):
        found = [r.sample.quantile_s(metric, q, tier.name) for _, metric, q in (*TIMES, ("", at.LATENCY, 0.9))]
        answered = spread(r.sample.total(at.ANSWERED, tier.name), big)
        table.append([tier.name, answered, *(spread(e, seconds) for e in found)])
    return table


def shares(r: FleetRun) -> Rows:
    """A row a tier: what is found, refused, good."""
    reasons = [why for why, what in OVERLOADED.items() if r.sample.total(what).value > 0]
    heads = [f"529, {why.replace('_', ' ')}" for why in reasons] or ["no capacity (529)"]
    table = [["tier", "found in memory", "refused by windows (429)", *heads, "good"]]
    for tier in served(r):
        lacking = [[OVERLOADED[why]] for why in reasons] or [list(OVERLOADED.values())]
        found = [found_share(r, tier.name)]
        found += [share_of_attempts(r, what, tier.name) for what in ([at.REFUSALS], *lacking)]
        table.append([tier.name, *(spread(e, share) for e in (*found, r.sample.good_share(tier.name)))])
    return table


def by_window(r: FleetRun) -> Rows:
    """A row a window that refuses."""
    table = [["tier", "window", "of attempts"]]
    for tier in served(r):
        for place, window in enumerate(r.windows(tier.name)):
            found = share_of_attempts(r, [at.BY_WINDOW + place], tier.name)
            if found.value > 0:
                table.append([tier.name, window.name, spread(found, share)])
    return table


def pools(r: FleetRun) -> Rows:
    """A row a pool: how much of its time iterations run, and how much of that is useful."""
    table = [["pool", "replicas", "busy", "useful of it", "MFU", "MBU", "useful of contracted"]]
    busy = r.sample.busy()
    for row, pool, replicas in zip(waterfall(r).to_dicts(), r.fleet.pools, r.fleet.replicas, strict=True):
        own = [_read(row, key) for key in ("useful_share", "useful_over_contracted")]
        faces = [share(row[key]) if row[key] is not None else "" for key in ("mfu", "mbu")]
        table.append([pool.pool.name, count(replicas), spread(busy[pool.pool.name], share), own[0], *faces, own[1]])
    return table


def failing(r: FleetRun) -> Rows:
    """A row a cause: minutes that it takes of a month, to be expected."""
    words = {"slow": "min slower", "misroute": "min, some requests", "close": "min, door closed"}
    table = [["cause", "", "mean replica, a month", "somewhere in the fleet"]]
    for d in r.disruptions:
        own = f"{digits(d.replica_min, 2)} {words.get(d.does, 'min down')}"
        table.append([d.cause, "shared" if d.shared else "own", own, f"{digits(d.active_min, 2)} min"])
    return table


def _tier(r: FleetRun, name: str) -> dict[str, Any]:
    s = r.sample
    return {
        "answered": _told(s.total(at.ANSWERED, name)),
        **{
            key: {f"p{100 * q:g}": _told(s.quantile_s(metric, q, name)) for q in QUANTILES}
            for key, metric in KEYS.items()
        },
        "found_share": _told(found_share(r, name)),
        "refused_share": _told(share_of_attempts(r, [at.REFUSALS], name)),
        "overloaded_share": _told(share_of_attempts(r, list(OVERLOADED.values()), name)),
        "overloaded": {why: _told(share_of_attempts(r, [what], name)) for why, what in OVERLOADED.items()},
        "by_window": {
            window.name: _told(share_of_attempts(r, [at.BY_WINDOW + place], name))
            for place, window in enumerate(r.windows(name))
        },
        "goodput": _told(s.good_share(name)),
    }


def _told(e: Estimate) -> dict[str, float | None]:
    return dict(zip(("value", "low", "high"), ends("", e).values(), strict=True))


def _read(row: dict[str, Any], key: str, write: Callable[[float], str] = share) -> str:
    value, low, high = (row[name] for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return ""
    return spread(Estimate(value, *(float("nan") if x is None else x for x in (low, high))), write)
