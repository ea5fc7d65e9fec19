"""A sampled fleet as frames: the columns of any simulation, and beside each estimate where 90 % of samples lie.

`X_low` and `X_high` are the ends for column X; null where the whole fleet was looked at, or nothing can be told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from ampacity.scenario.tier import Tier
from ampacity.simulator import cell_rows as at
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.fleet_run import FleetRun
from ampacity.simulator.measured import KINDS, Measured
from ampacity.simulator.measured_fleet import pool_shares
from ampacity.supply.waterfall import STAGES, Booking

QUANTILES = (0.5, 0.9, 0.99)
METRICS = {"ttft": at.TTFT, "tpot": at.TPOT, "latency": at.LATENCY, "held_back": at.HELD_BACK}
ATTEMPTS = (at.SENT, at.REFUSALS, at.SHUT_OUT, at.NO_CAPACITY, at.QUEUE_FULL, at.PAST_CAP)
"""Every time that a request was tried, whatever became of it."""
OVERLOADED = {
    "door_closed": at.SHUT_OUT,
    "no_replica": at.NO_CAPACITY,
    "queue_full": at.QUEUE_FULL,
    "waited_too_long": at.OVERDUE,
    "past_the_cap": at.PAST_CAP,
}
"""Why attempts are refused for want of capacity (529)."""
REACTIONS = {
    "waited": at.WAITED,
    "came_later": at.CAME_LATER,
    "switched": at.SWITCHED_AWAY,
    "bought": at.BOUGHT,
    "left": at.LEFT,
}


def slo(r: FleetRun) -> pl.DataFrame:
    """One row a tier, as `Simulated.slo`, and `good_share`: answered requests that came within both bounds."""
    rows = []
    for tier in served(r):
        name = tier.name
        row: dict[str, Any] = {"model": tier.model, "tier": name}
        row |= ends("asked", r.sample.total(at.ASKED, name)) | ends("answered", r.sample.total(at.ANSWERED, name))
        for word, metric in METRICS.items():
            for q in QUANTILES:
                row |= ends(f"{word}_p{100 * q:g}_s", r.sample.quantile_s(metric, q, name))
        row |= ends("good_share", r.sample.good_share(name))
        read, found, came = (r.sample.total(what, name) for what in (at.INPUT_TOKENS, at.HIT, at.OUTPUT_TOKENS))
        row["uncached_input_tokens"] = round(max(read.value - found.value, 0.0))
        row["cached_input_tokens"] = round(min(found.value, read.value))
        row["output_tokens"] = round(came.value)
        row |= ends("found_in_memory_share", found_share(r, name) if read.value else None)
        row |= ends("moved_to_another_replica", r.sample.total(at.MOVES, name))
        row |= ends("gave_way", r.sample.total(at.TIMES_PREEMPTED, name))
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def refusals(r: FleetRun, by: str) -> pl.DataFrame:
    """Refused attempts, one row a tier, or a tier and window; shares are of all attempts."""
    return pl.DataFrame((_by_tier if by == "tier" else _by_window)(r), infer_schema_length=None)


def waterfall(r: FleetRun) -> pl.DataFrame:
    """One row a pool, as `Simulated.waterfall`; `busy_share` is of the replicas that supply expects to be up. What is
    useful is null where no window of the sample saw an iteration."""
    rows = []
    for number, booking in enumerate(r.measured.value.bookings):
        totals = booking.totals
        row: dict[str, Any] = {"pool": booking.pool}
        row |= {f"{stage}_accelerator_ms": totals[stage] for stage in STAGES}
        row["idle_accelerator_ms"] = totals["running"] - totals["busy"]
        row |= ends("busy_share", r.measured.of(lambda m, n=number: ratio(m.bookings[n], "busy", "running")))  # type: ignore[misc]
        found = pool_shares(r.sample, number, list(range(r.sample.replicates)))
        useful = r.measured.of(lambda m, n=number: ratio(m.bookings[n], "useful", "busy"))  # type: ignore[misc]
        row |= ends("useful_share", useful if found else None)
        row |= {"mfu": found.mfu if found else None, "mbu": found.mbu if found else None}
        whole = r.measured.of(lambda m, n=number: ratio(m.bookings[n], "useful", "contracted"))  # type: ignore[misc]
        rows.append(row | ends("useful_over_contracted", whole if found else None))
    return pl.DataFrame(rows, infer_schema_length=None)


def cost(r: FleetRun) -> pl.DataFrame:
    """One row a kind of token, as `Simulated.cost`."""
    rows = []
    for kind in (*KINDS, "all"):
        each = r.measured.of(lambda m, k=kind: m.cost_usd_per_mtok().get(k))  # type: ignore[misc]
        many = r.measured.of(lambda m, k=kind: float(_tokens(m, k)))  # type: ignore[misc]
        paid = None if each is None or many is None else each.value * many.value / 1e6
        rows.append({"kind": kind, **ends("tokens", many), "usd": paid, **ends("usd_per_mtok", each)})
    return pl.DataFrame(rows, infer_schema_length=None)


def emissions(r: FleetRun) -> pl.DataFrame:
    """One row a site, as `Simulated.emissions`; all modelled."""
    rows = []
    site_of = {p.pool.name: p.pool.site.name for p in r.fleet.pools}
    for site, found in r.measured.value.air.items():
        row: dict[str, Any] = {"site": site}
        for basis in ("server", "it", "facility"):
            row |= ends(f"{basis}_kwh", r.measured.of(_energy_kwh(site_of, site, basis)))
        for method in found.co2_g:
            row |= ends(f"co2_{method}_kg", r.measured.of(_co2_kg(site, method)))
        row["water_m3"] = found.water_m3.value if found.water_m3 else None
        row |= {f"turbines_{name}_kg": x.value / 1e3 for name, x in found.turbines_g.items()}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def served(r: FleetRun) -> list[Tier]:
    """The tiers that some pool serves, in the order of the scenario."""
    own = {t.name for tiers in r.fleet.tiers for t in tiers}
    return [t for t in r.fleet.setting.s.tiers if t.name in own]


def found_share(r: FleetRun, tier: str) -> Estimate:
    """Share of the input of answered requests that was found in memory. [0 to 1]"""
    return r.sample.ratio([at.HIT], [at.INPUT_TOKENS], tier)


def share_of_attempts(r: FleetRun, what: Sequence[int], tier: str | None = None) -> Estimate:
    """Some refusals over all attempts, of one tier or of all. [0 to 1]"""
    return r.sample.ratio(what, ATTEMPTS, tier)


def ends(name: str, e: Estimate | None) -> dict[str, float | None]:
    """A column with its two ends."""
    found = (None, None, None) if e is None else (e.value, e.low, e.high)
    names = (name, f"{name}_low", f"{name}_high")
    return {n: None if x is None or math.isnan(x) else x for n, x in zip(names, found, strict=True)}


def ratio(booking: Booking, part: str, whole: str) -> float | None:
    """One stage of a waterfall over another; None of nothing."""
    totals = booking.totals
    return totals[part] / totals[whole] if totals[whole] else None


def _by_tier(r: FleetRun) -> list[dict[str, Any]]:
    rows = []
    for tier in served(r):
        name = tier.name
        row: dict[str, Any] = {"model": tier.model, "tier": name, **ends("asked", r.sample.total(at.ASKED, name))}
        row |= ends("refused_attempts", r.sample.total(at.REFUSALS, name))
        row |= ends("refused_share", share_of_attempts(r, [at.REFUSALS], name))
        row |= ends("overloaded_share", share_of_attempts(r, list(OVERLOADED.values()), name))
        row |= {f"{why}_attempts": r.sample.total(what, name).value for why, what in OVERLOADED.items()}
        row["retries_of_clients"] = r.sample.total(at.RETRIES_MADE, name).value
        row |= {word: r.sample.total(what, name).value for word, what in REACTIONS.items()}
        rows.append(row | ends("lost", r.sample.total(at.STEPS_LOST, name)))
    return rows


def _by_window(r: FleetRun) -> list[dict[str, Any]]:
    rows = []
    for tier in served(r):
        for place, window in enumerate(r.windows(tier.name)):
            row: dict[str, Any] = {"model": tier.model, "tier": tier.name, "window": window.name}
            row |= ends("refused_attempts", r.sample.total(at.BY_WINDOW + place, tier.name))
            rows.append(row | ends("refused_share", share_of_attempts(r, [at.BY_WINDOW + place], tier.name)))
    return rows


def _tokens(m: Measured, kind: str) -> int:
    return sum(m.tokens.values()) if kind == "all" else m.tokens[kind]


def _energy_kwh(site_of: dict[str, str], site: str, basis: str) -> Callable[[Measured], float]:
    return lambda m: sum(getattr(e, f"{basis}_j") for pool, e in m.energy.items() if site_of[pool] == site) / 3.6e6


def _co2_kg(site: str, method: str) -> Callable[[Measured], float | None]:
    def kg(m: Measured) -> float | None:
        found = m.air[site].co2_g.get(method)
        return found.value / 1e3 if found else None

    return kg
