"""A site in orbit as plain data and as one screen: what it would be, cost and do, if it were built.

Every number that rests on a range is the value at the stated inputs with its 90 % interval over the scenario's worlds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, get_args

import numpy as np

from ampacity.base.calendar import day_of
from ampacity.physics.eclipse import Geometry, fleet_floor
from ampacity.planner.interval import interval
from ampacity.planner.movers import movers
from ampacity.planner.plan import Plan
from ampacity.reporting.catalog_views import View
from ampacity.reporting.orbit_words import rows, sentences
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.pool import counted, own
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.site import Site
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import draws, ranges
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import Hours, hours_of
from ampacity.supply.orbital import interactive, light, powered_share
from ampacity.supply.orbital_air import Air, air
from ampacity.supply.orbital_cost import HOURS_PER_YEAR, Cost, cost
from ampacity.supply.orbital_sizing import Sizing, Upsets, contact, it_power_w, satellites_of, sizing, upsets

STRONGEST = 5
DISCLAIMER = "A model built on public statements and assumptions; not a finding, not affiliated, not advice."


@dataclass(frozen=True)
class Figures:
    """One world's figures of one site."""

    sizing: Sizing
    upsets: Upsets
    cost: Cost
    air: Air
    delivered_usd_per_mtok: float | None


def orbit_view(of: Plan | Scenario, seed: int = 1) -> View:
    """Every orbital site of a plan, or of a scenario that is not planned (then no cost per token): units are in keys.

    Raises Mistakes if nothing stands in orbit.
    """
    s = of.scenario if isinstance(of, Plan) else of
    seed = of.record.seed if isinstance(of, Plan) else seed
    sites = orbital_sites(s)
    if not sites:
        message = "no accelerator of known power is delivered to a site with an `orbit`"
        raise Mistakes([Mistake(s.name, 0, "sites", "", message)])
    data: dict[str, Any] = {
        "scenario": s.name,
        "as_of": str(s.as_of) if s.as_of else None,
        "worlds": of.record.worlds if isinstance(of, Plan) else s.worlds,
        "sites": {site.name: _site_view(s, site, of if isinstance(of, Plan) else None, seed) for site in sites},
        "disclaimer": DISCLAIMER,
    }
    data["sentences"] = [line for name, found in data["sites"].items() for line in sentences(name, found)]
    return View(_text(data), data)


def orbital_sites(s: Scenario) -> list[Site]:
    """The sites in orbit to which something of known power is delivered."""
    powered = {a.name for a in s.accelerators if (found := a.server_w or a.tdp_w) is not None and found.value > 0}
    used = {d.site for c in own(s) for d in c.deliveries if d.accelerator in powered and d.quantity.value > 0}
    return [site for site in s.sites if site.orbit is not None and site.name in used]


def _text(data: dict[str, Any]) -> str:
    """The data on one screen."""
    as_of = f" · as known on {data['as_of']}" if data["as_of"] else ""
    lines = [f"{data['scenario']}{as_of} · {data['worlds']} worlds", ""]
    lines += [f"  {sentence}" for sentence in data["sentences"]]
    for found in data["sites"].values():
        lines += ["", *(f"  {word:<12} {line}" for word, line in rows(found))]
    return "\n".join([*lines, "", f"  {data['disclaimer']}"])


def _site_view(s: Scenario, site: Site, p: Plan | None, seed: int) -> dict[str, Any]:
    orbit = site.orbit
    assert orbit is not None
    hours = hours_of(s)
    here = tuple(c for c in own(s) if any(d.site == site.name for d in c.deliveries))
    alone = s.model_copy(update={"contracts": here})  # as if these contracts were all there is: the what-if itself
    worlds = list(draws(alone, seed))
    tokens = p.tokens_by_world if p and _alone(s, site) else ()
    found = [_figures(w, w.site(site.name), hours, tokens[i] if tokens else None) for i, w in enumerate(worlds)]
    central = found[0]
    year = light(orbit, hours.start_s, central.sizing.satellites)
    powered = powered_share(site, hours)
    firm = [c for c in counted(s) if c.firm]
    where = (orbit.altitude_m.value, orbit.ltan_h.value, float(hours.start_s), central.sizing.satellites)
    return {
        "altitude_km": orbit.altitude_m.value / 1000.0,
        "ltan_h": orbit.ltan_h.value,
        "geometry": orbit.geometry,
        "firm_accelerators": sum(d.quantity.value for c in firm for d in c.deliveries if d.site == site.name),
        "what_if_accelerators": central.sizing.accelerators,
        "starts": str(min((c.start for c in here), default=s.start)),
        "launch_cadence_per_year": orbit.launch_cadence_per_year.value,
        "shadow_power": orbit.shadow_power.value,
        "light": {
            "shadow_share_of_year": year.shadow_share,
            "seasons": [[str(_day(a)), str(_day(b))] for a, b in year.seasons],
            "season_days": year.season_days,
            "longest_shadow_min": year.longest_s / 60.0,
            "orbit_min": year.orbit_s / 60.0,
            "floor_share": {g: fleet_floor(g, where[0], where[1], where[2], where[3]) for g in get_args(Geometry)},
            "powered_share_of_these_hours": float(powered.mean()),
            "powered_share_of_the_darkest_hour": float(powered.min()),
        },
        "contact": {"interactive": interactive(site), "by": orbit.contact, **contact(site)},
        **{part: _intervals([asdict(getattr(f, part)) for f in found]) for part in ("sizing", "upsets", "cost", "air")},
        "delivered_usd_per_mtok": _interval([f.delivered_usd_per_mtok for f in found]),
        "reported_beside_co2e": {
            "debris": "dead satellites that can no longer leave their orbit on their own",
            "re-entry": "satellites that burn up when they are replaced",
            "soot": "black carbon of the launches",
        },
        "strongest_assumptions": _strongest(alone, worlds, found),
    }


def _figures(s: Scenario, site: Site, hours: Hours, tokens: float | None) -> Figures:
    deliveries = [d for c in s.contracts for d in c.deliveries if d.site == site.name]
    count = server_w = usd = 0.0
    priced = True
    for d in deliveries:
        chip = s.accelerator(d.accelerator)
        server = chip.server_w or chip.tdp_w
        count += d.quantity.value
        server_w += d.quantity.value * (server.value if server else 0.0)
        priced = priced and chip.chip_price_usd is not None
        usd += d.quantity.value * (chip.chip_price_usd.value if chip.chip_price_usd else 0.0)
    it_w = it_power_w(site, server_w)
    size = sizing(site, it_w, count, hours.start_s)
    assert site.orbit is not None
    year = light(site.orbit, hours.start_s, satellites_of(site.orbit, it_w))
    price = cost(site, usd if priced else None, size, year, _running_share(s, site, hours))
    spent = price.yearly_usd * hours.count / HOURS_PER_YEAR if price.yearly_usd is not None else None
    per_mtok = spent / tokens * 1e6 if spent is not None and tokens else None
    return Figures(size, upsets(site, count), price, air(site, size, year), per_mtok)


def _running_share(s: Scenario, site: Site, hours: Hours) -> float:
    """Accelerators that run in whole replicas over those delivered and alive; attrition is in the effective life."""
    running = alive = 0.0
    for pool in capacities(s, hours):
        if pool.pool.site.name == site.name:
            running += float(pool.running_accelerators.sum())
            alive += float((pool.delivered * pool.alive).sum())
    return running / alive if alive else 0.0


def _alone(s: Scenario, site: Site) -> bool:
    """Whether all capacity that counts stands at this site, so that its cost may be laid on all tokens."""
    return all(d.site == site.name for c in counted(s) for d in c.deliveries)


def _strongest(s: Scenario, worlds: list[Scenario], found: list[Figures]) -> list[dict[str, Any]]:
    """The ranges that move the cost of a delivered accelerator-hour most: upper half of worlds over the lower."""
    costs = [f.cost.delivered_usd_per_accelerator_hour for f in found]
    known = [c for c in costs if c is not None and c > 0]
    if len(known) < 20 or len(known) < len(costs):
        return []
    claims = dict(ranges(s))
    moved = [m for m in movers(s, worlds, np.array(known)) if m.path.startswith(("sites", "accelerators"))]
    return [_assumption(m.path, claims[m.path], m.factor) for m in moved[:STRONGEST]]


def _assumption(path: str, value: Value, factor: float) -> dict[str, Any]:
    claim = {k: getattr(value, k) for k in ("value", "low", "high", "unit", "status", "confidence", "source")}
    return {"path": path, "moves_cost_by": factor, **claim}


def _intervals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Each figure over the worlds; figures in a mapping one level down stay in it."""
    first = rows[0]
    return {
        key: _intervals([r[key] for r in rows]) if isinstance(first[key], dict) else _interval([r[key] for r in rows])
        for key in first
    }


def _interval(numbers: list[float | None]) -> dict[str, float] | None:
    known = [n for n in numbers if n is not None]
    if not known or len(known) < len(numbers):
        return None
    return asdict(interval(known))


def _day(instant_s: float) -> date:
    return day_of(int(instant_s))
