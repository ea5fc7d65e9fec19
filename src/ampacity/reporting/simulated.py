"""`simulate`: what every request meets, as a result with frames; of a scenario's own people, or of a trace.

Of a fleet that is too large to look at every request, a sample of cells and hours is; the frames have the same columns,
and the ends of intervals beside what is estimated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

import polars as pl

from ampacity.base.cores import cores
from ampacity.base.record import Record
from ampacity.demand.people import HOURS
from ampacity.demand.traces.trace import Trace
from ampacity.planner.answer import Answer, answer
from ampacity.planner.curves import capped
from ampacity.planner.plan import Plan
from ampacity.reporting import fleet_frames
from ampacity.scenario.announced import after
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import draw
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import GOOD_TTFT_S
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.fleet import Workers
from ampacity.simulator.fleet_run import FleetRun, fleet_run
from ampacity.simulator.limits_in_time import TokensFound
from ampacity.simulator.measured import Measured, measured
from ampacity.simulator.model_cell import serving
from ampacity.simulator.ran import Ran, ran
from ampacity.simulator.sampled import WINDOWS
from ampacity.simulator.strata import CELLS
from ampacity.simulator.trace_replay import Replay, replay
from ampacity.simulator.twin import HOUR_PS, NOTHING_SERVED, model_cells, why_not
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.options import exercised
from ampacity.supply.waterfall import STAGES

QUANTILES = (0.5, 0.9, 0.99)
METRICS = {"ttft_s": at.TTFT, "tpot_s": at.TPOT, "latency_s": at.LATENCY, "held_back_s": at.HELD_BACK}
REACTIONS = {
    "waited": at.WAITED,
    "came_later": at.CAME_LATER,
    "switched": at.SWITCHED_AWAY,
    "bought": at.BOUGHT,
    "left": at.LEFT,
}


class TooLarge(ValueError):
    """A fleet on which a trace cannot be replayed as one cell, or that serves nothing."""


@dataclass(frozen=True)
class Simulated:
    """What every request met. runs: one a model. central: what a plan expects at the stated values; None for a trace.

    trace, replayed: of a replay. fleet: of a sampled fleet, which has no runs. Frames have units in their column names;
    shares are between 0 and 1.
    """

    scenario: Scenario
    record: Record
    runs: tuple[Ran, ...]
    central: Answer | None = None
    trace: Trace | None = None
    replayed: Replay | None = None
    speed: float = 1.0
    fleet: FleetRun | None = None

    @cached_property
    def measured(self) -> Measured:
        """Waterfall, energy, air and fees of the run."""
        if self.fleet is not None:
            return self.fleet.measured.value
        return measured(exercised(self.scenario), self.runs)

    def slo(self) -> pl.DataFrame:
        """One row a tier: requests, and quantiles of the time to the first token, per token, to the last, and held
        back by a window. Of answered requests; within 0.4 %. good_share: of them, those that came within both bounds
        of `cell_hour.good`."""
        if self.fleet is not None:
            return fleet_frames.slo(self.fleet)
        rows = []
        for r in self.runs:
            for tier in r.result.tiers:
                row: dict[str, Any] = {
                    "model": r.setup.model,
                    "tier": tier,
                    "asked": r.result.count(at.ASKED, tier),
                    "answered": r.result.count(at.ANSWERED, tier),
                }
                for name, metric in METRICS.items():
                    for q in QUANTILES:
                        x = r.result.quantile_s(metric, q, tier)
                        row[f"{name.removesuffix('_s')}_p{100 * q:g}_s"] = None if x != x else x
                rows.append({**row, "good_share": _good_share(self.scenario, r, tier), **_memory(r, tier)})
        return pl.DataFrame(rows, infer_schema_length=None)

    def refusals(self, by: str = "tier") -> pl.DataFrame:
        """Refused attempts, one row a tier, or a tier and window. Raises ValueError for another word than those two."""
        if by not in ("tier", "window"):
            raise ValueError(f'refusals by "{by}": by "tier" or "window"')
        if self.fleet is not None:
            return fleet_frames.refusals(self.fleet, by)
        rows = [row for r in self.runs for row in (_by_tier(r) if by == "tier" else _by_window(r))]
        return pl.DataFrame(rows, infer_schema_length=None)

    def requests(self) -> pl.DataFrame:
        """One row a request that was asked, in the order in which they were; instants in ps from the beginning.

        Raises ValueError for a sampled fleet: rows of its requests are not kept.
        """
        if self.fleet is not None:
            raise ValueError(f"{self.scenario.name}: rows of requests are not kept of a fleet that is sampled")
        frames = [r.requests.with_columns(model=pl.lit(r.setup.model)) for r in self.runs]
        every = pl.concat(frames).sort("asked_ps", "model", "step", maintain_order=True)
        if self.replayed is None or self.trace is None:
            return every.drop("step")
        row = pl.Series("trace_row", self.replayed.row).gather(every["step"])
        own = self.trace.frame.select("session", measured_ttft_s="ttft_s", measured_latency_s="server_s")
        return pl.concat([every.drop("step").with_columns(row), own[row]], how="horizontal")

    def waterfall(self) -> pl.DataFrame:
        """One row a pool: whole accelerator-milliseconds of each stage, `busy` and `useful` measured, and their ratios.

        useful_error is the standard error of the useful share of the busy time; mfu and mbu are its two faces.
        """
        if self.fleet is not None:
            return fleet_frames.waterfall(self.fleet)
        rows = []
        found = [(busy, x) for r in self.runs for busy, x in zip(r.pool_busy(), r.pool_shares(), strict=True)]
        for booking, (busy, x) in zip(self.measured.bookings, found, strict=True):
            totals = booking.totals
            rows.append(
                {
                    "pool": booking.pool,
                    **{f"{stage}_accelerator_ms": totals[stage] for stage in STAGES},
                    "idle_accelerator_ms": totals["running"] - totals["busy"],
                    "busy_share": busy,
                    "useful_share": x.useful if x else None,
                    "useful_error": x.useful_error if x else None,
                    "mfu": x.mfu if x else None,
                    "mbu": x.mbu if x else None,
                    "useful_over_contracted": totals["useful"] / totals["contracted"] if totals["contracted"] else None,
                }
            )
        return pl.DataFrame(rows, infer_schema_length=None)

    def cost(self) -> pl.DataFrame:
        """One row a kind of token: how many were served, what was paid for them, and per million. [USD]"""
        if self.fleet is not None:
            return fleet_frames.cost(self.fleet)
        m = self.measured
        per = m.cost_usd_per_mtok()
        counts = {**m.tokens, "all": sum(m.tokens.values())}
        rows = []
        for kind, many in counts.items():
            each = per.get(kind)
            paid = None if each is None else each * many / 1e6
            rows.append({"kind": kind, "tokens": many, "usd": paid, "usd_per_mtok": each})
        return pl.DataFrame(rows, infer_schema_length=None)

    def emissions(self) -> pl.DataFrame:
        """One row a site: energy on three bases, CO2 by method, water, and what turbines emit; all modelled."""
        if self.fleet is not None:
            return fleet_frames.emissions(self.fleet)
        rows = []
        site_of = {p.pool.name: p.pool.site.name for r in self.runs for p in r.setup.supply}
        for site, found in self.measured.air.items():
            own = [e for pool, e in self.measured.energy.items() if site_of[pool] == site]
            row: dict[str, Any] = {"site": site}
            row |= {f"{b}_kwh": sum(getattr(e, f"{b}_j") for e in own) / 3.6e6 for b in ("server", "it", "facility")}
            row |= {f"co2_{method}_kg": x.value / 1e3 if x else None for method, x in found.co2_g.items()}
            row["water_m3"] = found.water_m3.value if found.water_m3 else None
            row |= {f"turbines_{name}_kg": x.value / 1e3 for name, x in found.turbines_g.items()}
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def data(self) -> dict[str, Any]:
        """All of it but the requests, for programs; units are in the keys."""
        from ampacity.reporting.simulate_view import simulate_data  # which imports this file

        found: dict[str, Any] = simulate_data(self)
        return found


def simulate(
    s: Scenario,
    plan: Plan | None = None,
    seed: int = 1,
    *,
    hours: int | None = None,
    trace: Trace | None = None,
    model: str | None = None,
    speed: float = 1.0,
    windows: int = WINDOWS,
    cells: int | Literal["all"] | None = None,
    processes: Workers = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Simulated:
    """Let every request of a scenario's people, or of a trace, happen on its replicas, at the stated values.

    plan: of this scenario, for windows without stated tokens; found anew at the stated values if it is None. hours:
    from the scenario's start; None: its first four weeks. trace: to replay instead, on the replicas of `model` (needed
    if there are several), `speed` times as fast. windows: short spans that are looked at iteration by iteration.

    A fleet of which not every request can be looked at is sampled. cells: of each pool, 5 if it is None; "all": every
    cell, in the busiest `hours` or in all. processes: that share the looks, None: as many as there are processors;
    "ray": those of a cluster, which RAY_ADDRESS names (extra `ray`). More than one begin afresh, so a script of one's
    own that asks for them must be guarded by `if __name__ == "__main__"`. progress: called with (looks done, looks in
    all).

    Raises TooLarge with the reason, ValueError for a model, hours or cells that there are not, Mistakes for a trace
    that cannot be replayed.
    """
    began = time.process_time()
    own = draw(s, seed, 0)
    stated = after(own)
    central: Answer | None = None
    replayed: Replay | None = None
    sampled: FleetRun | None = None
    runs: tuple[Ran, ...] = ()
    if trace is not None:
        replayed = replay(trace, *replicas_of(stated, model), speed=speed, seed=seed)
        runs = (ran(replayed.cell, None, seed, windows),)
    else:
        reason = why_not(stated)
        if reason == NOTHING_SERVED:
            raise TooLarge(reason)
        if cells is not None and not reason:
            raise ValueError(f"cells of {s.name}: every request of it is looked at, so nothing is sampled")
        if processes == "ray" and not reason:
            raise ValueError(f"a cluster for {s.name}: every request of it is looked at, in one process")
        span = _hours(stated, hours)
        central = plan.central if plan is not None else answer(stated, guarantee=False, seed=seed)
        found, caps = limits_of(central), capped(central, own)
        if reason:
            many = None if cells == "all" else cells or CELLS
            sampled = fleet_run(
                own, found, seed, hours=hours, cells=many, processes=processes, progress=progress, curves=caps
            )
        else:
            runs = tuple(ran(m, span * HOUR_PS, seed, windows) for m in model_cells(own, found, seed, curves=caps))
    cpu_s = time.process_time() - began
    alone = processes != "ray" and min(processes or cores(), sampled.sample.looks if sampled else 1) <= 1
    if sampled is not None and not alone:
        cpu_s += sampled.sample.cpu_s  # of other processes
    record = Record(s.name, s.digest(), seed, 1, version("ampacity"), s.as_of, cpu_s)
    return Simulated(stated, record, runs, central, trace, replayed, speed, sampled)


def limits_of(a: Answer) -> TokensFound:
    """The tokens of an answer's windows, by tier and window."""
    found: dict[str, dict[str, float]] = {}
    for w in (w for load in a.models for w in load.limits):
        found.setdefault(w.tier, {})[w.window] = w.tokens
    return found


def replicas_of(s: Scenario, model: str | None) -> tuple[tuple[PoolCapacity, ...], str]:
    """The pools that hold replicas of a model, and its name. Raises ValueError if it is not there, or not the only
    one and not named; TooLarge if it has more replicas than a cell."""
    from ampacity.simulator.twin import REPLICAS_MOST

    supply = capacities(exercised(s), hours_of(s))
    names = sorted({p.replica.model.name for p in supply if p.replica is not None and p.replicas.max() >= 1})
    if not names:
        raise ValueError("no replica of any model is there")
    if model is None and len(names) > 1:
        raise ValueError(f"several models have replicas: {', '.join(names)}; name one")
    name = model or names[0]
    if name not in names:
        raise ValueError(f'no replica of "{name}"; there are replicas of {", ".join(names)}')
    own = serving(supply, name)
    if (many := sum(int(p.replicas.max()) for p in own)) > REPLICAS_MOST:
        raise TooLarge(f"{many:,} replicas of {name}, more than {REPLICAS_MOST}")
    return own, name


def _hours(s: Scenario, hours: int | None) -> int:
    most = min(HOURS, hours_of(s).count)
    if hours is not None and not 1 <= hours <= most:
        raise ValueError(f"{hours} hours: from 1 to {most}")
    return hours or most


def _good_share(s: Scenario, r: Ran, tier: str) -> float | None:
    """Share of a tier's answers whose first token came soon and the others at the pace of the service level."""
    done = r.requests.filter((pl.col("tier") == tier) & (pl.col("outcome") == "answered"))
    if not done.height:
        return None
    soon = pl.col("first_token_ps") - pl.col("asked_ps") <= GOOD_TTFT_S * PS_PER_S
    after_first = pl.max_horizontal(pl.col("output_tokens") - 1, 1)
    pace_ps = (pl.col("finished_ps") - pl.col("first_token_ps")) // after_first
    return done.filter(soon & (pace_ps <= round(s.service_level.tpot_s * PS_PER_S))).height / done.height


def _memory(r: Ran, tier: str) -> dict[str, Any]:
    kinds = r.tokens(tier)
    whole = kinds["uncached_input"] + kinds["cached_input"]
    return {
        **{f"{kind}_tokens": n for kind, n in kinds.items()},
        "found_in_memory_share": kinds["cached_input"] / whole if whole else None,
        "moved_to_another_replica": r.result.count(at.MOVES, tier),
        "gave_way": r.result.count(at.TIMES_PREEMPTED, tier),
    }


def _by_tier(r: Ran) -> list[dict[str, Any]]:
    rows = []
    for tier in r.result.tiers:
        asked, refused = r.result.count(at.ASKED, tier), r.result.count(at.REFUSALS, tier)
        rows.append(
            {
                "model": r.setup.model,
                "tier": tier,
                "asked": asked,
                "refused_attempts": refused,
                "overloaded_attempts": r.result.overloaded(tier),
                "retries_of_clients": r.result.count(at.RETRIES_MADE, tier),
                **{name: r.result.count(what, tier) for name, what in REACTIONS.items()},
                "lost": r.result.count(at.STEPS_LOST, tier),
            }
        )
    return rows


def _by_window(r: Ran) -> list[dict[str, Any]]:
    return [
        {
            "model": r.setup.model,
            "tier": tier,
            "window": r.setup.window(number, place),
            "refused_attempts": r.result.count(at.BY_WINDOW + place, tier),
        }
        for number, tier in enumerate(r.result.tiers)
        for place in range(r.setup.windows(number))
    ]
