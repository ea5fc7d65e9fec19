"""The chapters on money, energy and air."""

from __future__ import annotations

from ampacity.base.calendar import WEEK_H
from ampacity.planner.plan import Plan
from ampacity.reporting import plots
from ampacity.reporting.chapter import Chapter, Exhibit, Table, between, what_is_drawn
from ampacity.reporting.sources import human
from ampacity.reporting.words import digits, share, tokens, usd


def cost(p: Plan) -> Chapter:
    """Per million tokens by kind, and what it is made of."""
    title, a = "What it costs", p.central
    priced_fee = any(c.pool.contract.fee is not None for c in a.supply)
    priced_energy = any(e.cost_usd is not None for e in a.energy)
    unknown = _unknown(priced_fee, priced_energy)
    if not (priced_fee or priced_energy):
        return Chapter("cost", title, unknown)
    if not any(c is not None for c in p.cost_usd_per_mtok.values()):
        parts = [_sum(p)] if a.cost_usd else []
        return Chapter("cost", title, ["No token is served, so there is no cost per token.", *unknown], tables=parts)
    served = a.tokens()
    said = [
        f"{usd(a.cost_usd)} over the planned days, for {tokens(served['all'])} tokens served.",
        "Prefill's share of the busy time pays for uncached input, decode's for output; a cache read is inside both.",
        *unknown,
    ]
    rows = []
    for kind, c in p.cost_usd_per_mtok.items():
        if c is not None:
            interval = between(p, c, digits)
            rows.append((plots.KIND_WORDS[kind], digits(c.value), interval, tokens(served[kind])))
    table = Table("USD per million tokens served", ("Kind", "USD per million", "90 % of worlds", "Tokens served"), rows)
    says = "; ".join(f"{row[0]}: {row[1]} USD per million tokens" for row in rows) + "."
    caption = what_is_drawn(p)
    return Chapter("cost", title, said, [Exhibit("cost", says, caption, plots.cost(p), table)], [_sum(p)])


def energy(p: Plan) -> Chapter:
    """Power on three bases, energy per token, CO2 and water; all modelled."""
    title, a = "Energy and air", p.central
    watts = plots.mean_power_w(p)
    blind = sorted({c.pool.accelerator.name for c in a.supply if c.pool.accelerator.tdp_w is None})
    said = [f"The power of {', '.join(blind)} is not known and counts as nothing here."] if blind else []
    if not watts["facility"]:
        return Chapter("energy", title, ["Nothing draws power in these days.", *said])
    size, unit = plots.power_unit(watts["facility"])
    joules = sum(e.facility_j for e in a.energy)
    weekly = _human(joules * WEEK_H / a.hours.count, "energy")
    said.insert(
        0, f"The facility draws {digits(watts['facility'] / size)} {unit} on average, {weekly} a week, modelled."
    )
    said += [*_carbon(p), *_water(p)]
    table = _power_table(p, watts)
    says = "; ".join(f"{row[0]}: {row[2]}" for row in table.rows) + " on average, modelled."
    caption = "One fleet counted at three places; a figure for one is never compared with a figure for another."
    return Chapter("energy", title, said, [Exhibit("power", says, caption, plots.power(p), table)])


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
    (text,), unit = human((x,), dimension, figures=3)
    return f"{text} {unit}"
