"""What the report says, chapter by chapter: sentences, figures and tables. How they look is left to the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ampacity.base.calendar import WEEK_H, day_of
from ampacity.planner.limits import ModelLoad
from ampacity.planner.plan import Interval, Plan, PlannedWindow
from ampacity.reporting import plots
from ampacity.reporting.sources import Claim, claims, human
from ampacity.reporting.words import count, digits, duration, one_world, sentences, share, tokens, usd
from ampacity.scenario.limit import TokenWeights
from ampacity.scenario.worlds import ranges
from ampacity.supply.waterfall import MEANING, STAGES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Table:
    """A table of texts. text_columns: how many columns, from the left, are words; the others are numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text_columns: int = 1


@dataclass(frozen=True)
class Exhibit:
    """A figure with what it says in one sentence, for those who do not see it, and the same numbers as a table."""

    name: str
    says: str
    caption: str
    figure: Figure
    table: Table


@dataclass(frozen=True)
class Chapter:
    """A heading, sentences, then figures and tables. facts: pairs of a word and its value. claims: the sources."""

    key: str
    title: str
    said: Sequence[str]
    exhibits: Sequence[Exhibit] = ()
    tables: Sequence[Table] = ()
    facts: Sequence[tuple[str, str]] = ()
    claims: Sequence[Claim] = ()
    notes: Sequence[str] = field(default=())


def chapters(p: Plan, on: date) -> list[Chapter]:
    """All chapters in their order. on: the day the report is written."""
    return [
        _answer(p, on),
        _waterfall(p),
        _supply_and_demand(p),
        _limits(p),
        _cost(p),
        _energy(p),
        _movers(p),
        _sources(p),
    ]


def day_in_words(day: date) -> str:
    """A day as people write it: "6 May 2026"."""
    return f"{day.day} {day:%B %Y}"


def _answer(p: Plan, on: date) -> Chapter:
    s, r = p.scenario, p.record
    last = s.start + timedelta(days=s.horizon_days - 1)
    drawn = sum(1 for _ in ranges(s))
    worlds = "one: nothing in it is a range" if one_world(p) else f"{r.worlds}, drawn from {drawn} ranges"
    facts = [
        ("Scenario", r.scenario),
        ("Planned days", f"{day_in_words(s.start)} to {day_in_words(last)} ({s.horizon_days} days)"),
        ("Known as of", day_in_words(r.as_of) if r.as_of else "no cut: everything in the scenario and the catalog"),
        (
            "Service level",
            f"{share(s.service_level.hours.value)} of hours; "
            f"at most {digits(1000 * s.service_level.tpot_s, 2)} ms for an output token",
        ),
        ("Worlds", worlds),
        ("Seed", str(r.seed)),
        ("Scenario hash", r.scenario_hash),
        ("Ampacity version", r.version),
        ("Written on", day_in_words(on)),
    ]
    return Chapter("answer", "The answer", sentences(p), facts=facts)


def _waterfall(p: Plan) -> Chapter:
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
    whole = f"{digits(hours['useful'], 4)} of {digits(hours['contracted'], 4)}"
    said = [f"{whole} contracted accelerator-hours did useful work: {share(hours['useful'] / hours['contracted'])}."]
    if faces := _faces(p):
        mfu, mbu = faces
        said.append(
            f"While busy, the accelerators reach {share(mfu)} of their peak arithmetic (MFU) and {share(mbu)} of their "
            "peak memory bandwidth (MBU), averaged over the tiers' work. Both are of serving; the MFU of training is "
            "another yardstick."
        )
    says = f"A bar a stage, from {digits(hours['contracted'], 4)} contracted to {digits(hours['useful'], 4)} useful."
    caption = "Each bar is what is left of the one above; the pale part is what was lost in between."
    exhibit = Exhibit("waterfall", says, caption, plots.waterfall(p), table)
    return Chapter("waterfall", title, said, [exhibit], [*_pools(p), *_points(p)])


def _stages(hours: dict[str, float]) -> list[tuple[str, ...]]:
    rows = [(STAGES[0], MEANING[STAGES[0]], digits(hours[STAGES[0]], 4), "")]
    for before, stage in pairwise(STAGES):
        ratio = f"{share(hours[stage] / hours[before])} of {before}" if hours[before] else f"nothing {before}"
        rows.append((stage, MEANING[stage], digits(hours[stage], 4), ratio))
    return rows


def _pools(p: Plan) -> list[Table]:
    """The waterfall of every pool, where there are several."""
    if len(p.central.bookings) < 2:
        return []
    rows = [(b.pool, *(digits(b.totals[stage] / 3.6e6, 4) for stage in STAGES)) for b in p.central.bookings]
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
        for (tier, pool), o in load.points.items():
            shares = tuple(share(x) for x in (o.prefill_share, o.useful, o.mfu, o.mbu))
            rows.append((tier, load.model, pool, count(o.batch), f"{digits(1000 * o.step_s)} ms", *shares))
    columns = ("Tier", "Model", "Pool", "Sequences at once", "Time per output token", "Prefill, of busy time")
    columns = (*columns, "Useful, of busy time", "MFU, of serving", "MBU, of serving")
    caption = "At full load, for each tier's mix of tokens, on each replica of the pool"
    return [Table(caption, columns, rows, text_columns=3)] if rows else []


def _supply_and_demand(p: Plan) -> Chapter:
    title = "Supply against demand, hour by hour"
    loads = p.central.models
    if not loads:
        return Chapter("supply", title, ["No tier uses a model, so nothing is wanted."])
    said = [_busiest(p, load) for load in loads]
    said.append(
        "The lines are what is expected in each hour. Limits are sized for more than that: for hours in which more "
        "people than expected come, use more, or take all that their limit gives."
    )
    says = f"Lines by hour for {len(loads)} model{'s' * (len(loads) > 1)}: running, wanted, served. {said[0]}"
    unit = "Accelerators are counted in those of the model's first pool; another pool counts by its speed."
    hourly = Exhibit(
        "supply-and-demand", says, f"The first week is in view. {unit}", plots.supply_and_demand(p), _by_day(p)
    )
    caption = "Each hour of the local week, averaged over all planned weeks."
    weekly = Exhibit("mean-week", f"The same lines over a mean week. {said[0]}", caption, plots.mean_week(p), _week(p))
    return Chapter("supply", title, said, [hourly, weekly])


def _busiest(p: Plan, load: ModelLoad) -> str:
    running, wanted, _ = plots.series(p, load).values()
    if not running.any():
        return f"Nothing runs for {load.model} in these days; on average {digits(wanted.mean())} accelerators are wanted."
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
    columns = ("Model", "Day", "Running, mean", "Wanted, mean", "Served, mean", "Wanted, busiest hour")
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
    columns = ("Model", "Hour", "Running", "Wanted without limits", "Served under limits")
    return Table("Accelerators by hour of the local week, means", columns, rows, text_columns=2)


def _limits(p: Plan) -> Chapter:
    title = "The limits"
    free = [t.name for t in p.scenario.tiers if not any(w.tier == t.name for w in p.windows)]
    without = [f"Without a window, and served as they ask: {', '.join(free)}."] if free else []
    if not p.windows:
        return Chapter("limits", title, ["No tier has a window, so there is no limit to find.", *without])
    said = []
    if all(w.tokens.value == 0 for w in p.windows):
        said.append("No limit above zero is carried, so every window is empty and refuses everything.")
    else:
        for model, carried in p.carried_share.items():
            said.append(f"The limits on {model} are carried in {share(carried)} of hours at the stated values.")
    said += [*_weights(p), *without]
    columns = ("Tier", "Window", "Length", "Set by", "Holds, tokens", "90 % of worlds", "Guaranteed, tokens", "Binds")
    columns = (*columns, "People who run into it in a week", "Tokens refused, of those wanted")
    table = Table("Every tier and window", columns, [_window(p, w) for w in p.windows], text_columns=4)
    if all(w.tokens.value == 0 for w in p.windows):
        return Chapter("limits", title, said, tables=[table])
    says = "; ".join(f"{w.tier} {w.window}: {tokens(w.tokens.value)} tokens" for w in p.windows)
    caption = "Dot: at the stated values. Bar: 90 % of worlds. Diamond: what holds even if every active person used it up."
    exhibit = Exhibit("limits", says + ".", caption, plots.limits(p), table)
    return Chapter("limits", title, said, [exhibit])


def _window(p: Plan, w: PlannedWindow) -> tuple[str, ...]:
    people = p.scenario.tier(w.tier).people.value
    hit = f"{digits(people * w.people_hit_share, 2)} of {count(people)} ({share(w.people_hit_share)})"
    worlds = "" if one_world(p) else f", in {share(w.binding_share)} of worlds"
    return (
        w.tier,
        w.window,
        duration(w.length_s) if w.length_s else "once",
        "the scenario" if w.stated else "this plan",
        tokens(w.tokens.value),
        _between(p, w.tokens, tokens),
        tokens(w.guaranteed) if not w.stated else "",
        ("yes" if w.binding else "no") + worlds,
        hit,
        share(w.refused_share),
    )


def _weights(p: Plan) -> list[str]:
    """How tokens count, said once if all windows count each token once."""
    odd = []
    for limit in p.scenario.limits:
        for w in limit.windows:
            if w.weights != TokenWeights():
                parts = ", ".join(f"{k.replace('_', ' ')} × {digits(v, 3)}" for k, v in w.weights)
                odd.append(f"In {limit.name}, {w.name}, tokens count {parts}.")
    rest = "In all other windows every" if odd else "Every"
    return [*odd, f"{rest} token counts once, whether uncached input, cached input or output."]


def _between(p: Plan, i: Interval, write: object) -> str:
    """The 90 % interval, or why there is none."""
    assert callable(write)
    return "one world" if one_world(p) else f"{write(i.low)} to {write(i.high)}"


def _cost(p: Plan) -> Chapter:
    title, a = "What it costs", p.central
    contracts, sites = _used(p)
    priced_fee = any(c.fee is not None for c in p.scenario.contracts if c.name in contracts)
    priced_energy = any(e.cost_usd is not None for e in a.energy)
    unknown = _unknown(priced_fee, priced_energy)
    if not (priced_fee or priced_energy):
        return Chapter("cost", title, unknown)
    if not any(c is not None for c in p.cost_usd_per_mtok.values()):
        return Chapter("cost", title, ["No token is served, so there is no cost per token.", *unknown], tables=[_sum(p)])
    served = a.tokens()
    said = [
        f"{usd(a.cost_usd)} over the planned days, for {tokens(served['all'])} tokens served.",
        "Prefill's share of the busy time pays for uncached input, decode's for output; a cache read is inside both.",
        *unknown,
    ]
    rows = []
    for kind, c in p.cost_usd_per_mtok.items():
        if c is not None:
            interval = _between(p, c, usd)
            rows.append((plots.KIND_WORDS[kind], digits(c.value), interval, tokens(served[kind])))
    table = Table(
        "USD per million tokens served", ("Kind", "USD per million", "90 % of worlds", "Tokens served"), rows
    )
    says = "; ".join(f"{row[0]}: {row[1]} USD per million tokens" for row in rows) + "."
    caption = "Dot: at the stated values. Bar: 90 % of worlds."
    return Chapter("cost", title, said, [Exhibit("cost", says, caption, plots.cost(p), table)], [_sum(p)])


def _used(p: Plan) -> tuple[set[str], set[str]]:
    pools = [c.pool for c in p.central.supply]
    return {pool.contract.name for pool in pools}, {pool.site.name for pool in pools}


def _unknown(fee: bool, energy: bool) -> list[str]:
    if not fee and not energy:
        return ["The scenario states no fee and no price of electricity, so what it costs is not known."]
    if not fee:
        return ["The scenario states no fee: only electricity is in these figures."]
    return [] if energy else ["The scenario states no price of electricity: only fees are in these figures."]


def _sum(p: Plan) -> Table:
    a = p.central
    energy = a.cost_usd - a.fees_usd
    weeks = a.hours.count / WEEK_H
    parts = [("fees of contracts", a.fees_usd), ("electricity", energy), ("together", a.cost_usd)]
    rows = [(name, usd(x), usd(x / weeks), share(x / a.cost_usd) if a.cost_usd else "") for name, x in parts]
    return Table("What it is made of", ("Part", "Planned days", "A week", "Share"), rows)


def _energy(p: Plan) -> Chapter:
    title, a = "Energy and air", p.central
    watts = plots.mean_power_w(p)
    blind = sorted({c.pool.accelerator.name for c in a.supply if c.pool.accelerator.tdp_w is None})
    said = [f"The power of {', '.join(blind)} is not known and counts as nothing here."] if blind else []
    if not watts["facility"]:
        return Chapter("energy", title, ["Nothing draws power in these days.", *said])
    size, unit = plots.power_unit(watts["facility"])
    joules = sum(e.facility_j for e in a.energy)
    weekly = _human(joules * WEEK_H / a.hours.count, "energy")
    said.insert(0, f"The facility draws {digits(watts['facility'] / size)} {unit} on average, {weekly} a week, modelled.")
    said += [*_carbon(p), *_water(p)]
    table = _power_table(p, watts)
    says = "; ".join(f"{row[0]}: {row[2]}" for row in table.rows) + " on average, modelled."
    caption = "One fleet counted at three places; a figure for one is never compared with a figure for another."
    return Chapter("energy", title, said, [Exhibit("power", says, caption, plots.power(p), table)])


def _power_table(p: Plan, watts: dict[str, float]) -> Table:
    a = p.central
    served, seconds = a.tokens(), 3600.0 * a.hours.count
    size, unit = plots.power_unit(watts["facility"])
    meaning = {
        "server": "accelerators and the servers around them",
        "it": "servers, network and storage",
        "facility": "all of IT, cooling and losses",
    }
    rows = []
    for basis, w in watts.items():
        per = [digits(w * seconds / served[kind]) if served[kind] else "none served" for kind in ("all", "output")]
        week = _human(w * 3600 * WEEK_H, "energy")
        name = "IT" if basis == "it" else basis
        rows.append((name, meaning[basis], f"{digits(w / size)} {unit}", week, *per))
    columns = ("Counted at", "What it counts", "Mean power", "Energy a week", "J per token", "J per output token")
    return Table("Power and energy, modelled", columns, rows, text_columns=2)


def _carbon(p: Plan) -> list[str]:
    a = p.central
    grams = [e.carbon_g for e in a.energy]
    if any(g is None for g in grams):
        return ["A site states no carbon intensity of its power, so CO2 is not known."]
    total = sum(g for g in grams if g is not None)
    output = a.tokens()["output"]
    per = f", {_human(1e6 * total / output, 'mass')} per million output tokens" if output else ""
    weekly = _human(total * WEEK_H / a.hours.count, "mass")
    return [f"That is {weekly} of CO2 a week{per}: modelled from the carbon intensity of the grid, not measured."]


def _water(p: Plan) -> list[str]:
    water = [e.water_m3 for e in p.central.energy]
    if not water or any(w is None for w in water):
        return []
    weekly = sum(w for w in water if w is not None) * WEEK_H / p.central.hours.count
    return [f"Cooling takes {digits(weekly)} m³ of water a week, modelled."]


def _human(x: float, dimension: str) -> str:
    """An amount in a readable unit, three figures."""
    (text,), unit = human((float(f"{x:.3g}"),), dimension)
    return f"{text} {unit}"


def _movers(p: Plan) -> Chapter:
    title = "What moves the answer most"
    if one_world(p):
        return Chapter("movers", title, ["Nothing in the scenario is a range, so nothing moves the answer."])
    if not p.movers:
        return Chapter("movers", title, ["No range moves the limits by more than the noise of so few worlds."])
    said = [
        "The factor compares the limits in those worlds where a number lies in the upper half of its range "
        "with those where it lies in the lower half. Below 1, a larger number makes limits smaller."
    ]
    known = {c.path: c for c in claims(p.scenario)}
    rows = []
    for m in p.movers:
        c = known[m.path]
        rows.append((c.what, c.subject, c.shown, c.interval, f"× {digits(m.factor, 3)}"))
    columns = ("Number", "Of", "Stated", "Range", "Limits, upper over lower half")
    table = Table("Ranges by how much they move the limits", columns, rows, text_columns=2)
    says = "; ".join(f"{row[0]} ({row[1]}): {row[4]}" for row in rows) + "."
    caption = "To the right: limits grow with the number. To the left: they shrink."
    return Chapter("movers", title, said, [Exhibit("movers", says, caption, plots.movers(p), table)])


def _sources(p: Plan) -> Chapter:
    found = claims(p.scenario)
    drawn = sum(c.is_range for c in found)
    said = [f"{len(found)} numbers, of which {drawn} are ranges; the ranges come first."]
    return Chapter("sources", "Assumptions and sources", said, claims=found, notes=p.notes)
