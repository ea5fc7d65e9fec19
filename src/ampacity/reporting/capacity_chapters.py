"""The chapters on compute: the waterfall from contract to useful work, and supply against demand by hour."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ampacity.base.calendar import WEEK_H, day_of
from ampacity.planner.limits import ModelLoad
from ampacity.planner.plan import Plan
from ampacity.reporting import plots
from ampacity.reporting.calibrated import calibrations
from ampacity.reporting.chapter import Chapter, Exhibit, Table
from ampacity.reporting.what_fits import none_fits
from ampacity.reporting.words import count, digits, share
from ampacity.supply.waterfall import MEANING, STAGES


def waterfall(p: Plan) -> Chapter:
    """What becomes of the accelerator-hours that contracts are for."""
    hours = plots.stage_hours(p)
    title = "From contract to useful work"
    table = Table(
        "Accelerator-hours over the planned days, stage by stage",
        ("Stage", "What it counts", "Accelerator-hours", "Share of the stage before"),
        _stages(hours),
        text_columns=2,
    )
    if not hours["contracted"]:
        return Chapter("waterfall", title, ["No contract is in force in these days: zero accelerator-hours."])
    whole = f"{count(hours['useful'])} of {count(hours['contracted'])}"
    said = [f"{whole} contracted accelerator-hours did useful work: {share(hours['useful'] / hours['contracted'])}."]
    if faces := _faces(p):
        mfu, mbu = faces
        said.append(
            f"While busy, the accelerators reach {share(mfu)} of their peak arithmetic (MFU) and {share(mbu)} of their "
            "peak memory bandwidth (MBU), averaged over the tiers' work. Both are of serving; the MFU of training is "
            "another yardstick."
        )
    says = f"A bar a stage, from {count(hours['contracted'])} contracted to {count(hours['useful'])} useful."
    caption = (
        "Each bar is what is left of the one above; the pale part is what was lost in between. "
        "The share beside a name is of the stage before."
    )
    exhibit = Exhibit("waterfall", says, caption, plots.waterfall(p), table)
    return Chapter("waterfall", title, said, [exhibit], [*_pools(p), *_points(p)])


def supply_and_demand(p: Plan) -> Chapter:
    """Running, wanted and served accelerators by hour, and in a mean week."""
    title = "Supply against demand, hour by hour"
    loads = p.central.models
    if not loads:
        return Chapter("supply", title, ["No tier uses a model, so nothing is wanted."])
    said = [_busiest(p, load) for load in loads]
    said.append(
        "The lines are what is expected in each hour. Limits are sized for more than that: for hours in which more "
        "people than expected come, use more, or take all that their limit gives."
    )
    said += [f"Its speed is calibrated to own measurements: {clause}." for clause in calibrations(p.central)]
    says = f"Lines by hour for {len(loads)} model{'s' * (len(loads) > 1)}: running, wanted, served. {said[0]}"
    unit = "Accelerators are counted in those of the model's first pool; another pool counts by its speed."
    hourly = Exhibit(
        "supply-and-demand", says, f"The first week is in view. {unit}", plots.supply_and_demand(p), _by_day(p)
    )
    caption = "Each hour of the local week, averaged over all planned weeks."
    weekly = Exhibit("mean-week", f"The same lines over a mean week. {said[0]}", caption, plots.mean_week(p), _week(p))
    return Chapter("supply", title, said, [hourly, weekly])


def _stages(hours: dict[str, float]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [(STAGES[0], MEANING[STAGES[0]], count(hours[STAGES[0]]), "")]
    for before, stage in pairwise(STAGES):
        ratio = f"{share(hours[stage] / hours[before])} of {before}" if hours[before] else f"nothing {before}"
        rows.append((stage, MEANING[stage], count(hours[stage]), ratio))
    return rows


def _pools(p: Plan) -> list[Table]:
    """The waterfall of every pool, where there are several."""
    if len(p.central.bookings) < 2:
        return []
    rows = [(b.pool, *(count(b.totals[stage] / 3.6e6) for stage in STAGES)) for b in p.central.bookings]
    return [Table("Accelerator-hours by pool", ("Pool", *STAGES), rows)]


def _faces(p: Plan) -> tuple[float, float] | None:
    """MFU and MBU of the busy time, weighted by each tier's served work, as `useful` is; None where nothing is busy."""
    served = {t.tier: float(t.served_s.sum()) for t in p.central.tiers}
    busy = {b.pool: b.totals["busy"] for b in p.central.bookings}
    found = []
    for load in p.central.models:
        work = sum(served[t.name] for t in load.tiers)
        for (tier, pool), point in load.points.items():
            if work > 0:
                found.append((busy[pool] * served[tier] / work, point.mfu, point.mbu))
    weight = sum(w for w, _, _ in found)
    if weight <= 0:
        return None
    return sum(w * mfu for w, mfu, _ in found) / weight, sum(w * mbu for w, _, mbu in found) / weight


def _points(p: Plan) -> list[Table]:
    rows = []
    for load in p.central.models:
        for (tier, pool), o in load.points.items() if not none_fits(load) else ():
            shares = tuple(share(x) for x in (o.prefill_share, o.useful, o.mfu, o.mbu))
            rows.append((tier, load.model, pool, count(o.batch), f"{digits(1000 * o.step_s)} ms", *shares))
    columns = (
        "Tier",
        "Model",
        "Pool",
        "Sequences at once",
        "Time per output token",
        "Prefill, of busy time",
        "Useful, of busy time",
        "MFU, of serving",
        "MBU, of serving",
    )
    caption = "At full load, for each tier's mix of tokens, on each replica of the pool"
    return [Table(caption, columns, rows, text_columns=3)] if rows else []


def _busiest(p: Plan, load: ModelLoad) -> str:
    lines = plots.series(p, load)
    running, wanted = lines["running"], lines["wanted without limits"]
    if not running.any():
        return (
            f"Nothing runs for {load.model} in these days; on average {digits(wanted.mean())} accelerators are wanted."
        )
    top = int(np.argmax(wanted))
    short = int(np.count_nonzero(wanted > running))
    verb = "is" if short == 1 else "are"
    over = f"in {short:,} of {len(wanted):,} hours more {verb} wanted than run" if short else "in no hour more than run"
    return (
        f"{load.model}: in the busiest hour {digits(wanted[top])} accelerators are wanted and {digits(running[top])} "
        f"run; on average {digits(wanted.mean())} of {digits(running.mean())}; {over}."
    )


def _by_day(p: Plan) -> Table:
    zone = p.scenario.sites[0].time_zone
    days = np.array([day_of(int(begin), zone).isoformat() for begin in p.central.hours.begins_s])
    rows = []
    for load in p.central.models:
        lines = plots.series(p, load)
        wanted = lines["wanted without limits"]
        for day in dict.fromkeys(days.tolist()):
            own = days == day
            means = tuple(digits(line[own].mean()) for line in lines.values())
            rows.append((load.model, day, *means, digits(wanted[own].max())))
    columns = ("Model", "Day", "Running, mean", "Served, mean", "Wanted, mean", "Wanted, busiest hour")
    return Table("Accelerators by local day", columns, rows, text_columns=2)


def _week(p: Plan) -> Table:
    which = plots.week_hours(p)
    rows = []
    for load in p.central.models:
        lines = plots.series(p, load)
        for hour in range(WEEK_H):
            own = which == hour
            if own.any():
                name = f"{plots.WEEKDAY_WORDS[hour // 24]} {hour % 24:02d}:00"
                rows.append((load.model, name, *(digits(line[own].mean()) for line in lines.values())))
    columns = ("Model", "Hour", "Running", "Served under limits", "Wanted without limits")
    return Table("Accelerators by hour of the local week, means", columns, rows, text_columns=2)
