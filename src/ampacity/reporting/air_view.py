"""The air of a scenario's sites as plain data (`emissions` of `--json`) and sentences; what others say, with answers.

Everything computed here says `modelled`. Nothing here is a finding about anybody.
"""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from datetime import date
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import day_of
from ampacity.physics.emissions import full_load_hours
from ampacity.planner.answer import Answer
from ampacity.reporting.catalog_views import View
from ampacity.reporting.words import count, digits, share
from ampacity.scenario import lookup
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.site import Control, Site
from ampacity.supply.air import Air, PermitUse, air, air_without_turbines
from ampacity.supply.delivery import Hours
from ampacity.supply.emission_rates import Span, turbine_rates
from ampacity.supply.energized import energized_share, nameplate_w, without_turbines

Array = NDArray[np.float64]
MWH_J, TONNE_G = 3.6e9, 1e6
NAMES = {
    "nox": "NOx",
    "co": "CO",
    "formaldehyde": "formaldehyde",
    "particulates": "particulates",
    "co2": "CO2",
}
CASES = {
    "drawn": "power that the modelled work draws",
    "nameplate": "power if every delivered accelerator drew its nameplate: the most that could be needed",
}
NOTE = (
    "Modelled: grid power first, then turbines whose permit holds. Emission factors are EPA's or derived from a "
    "permit; nobody measured these emissions. Not a finding, not affiliated, not advice."
)


def emissions(s: Scenario, a: Answer) -> dict[str, Any]:
    """Air of every site, for the power that the work draws and for nameplate, with and without the turbines."""
    sites = {site.name: _site(s, site, a) for site in s.sites if any(p.pool.site.name == site.name for p in a.supply)}
    return {
        "modelled": True,
        "note": NOTE,
        "hours": a.hours.count,
        "cases": CASES,
        "sites": sites,
        "claims": [claim for site in s.sites for claim in statements(site, s.as_of)],
        "says": [sentence for found in sites.values() for sentence in found["says"]],
    }


def air_view(s: Scenario, a: Answer) -> View:
    """The same in words: sentences, then what others say and what is answered."""
    data = emissions(s, a)
    lines = [f"{s.name} · air, {count(data['hours'])} hours, modelled"]
    for name, found in data["sites"].items():
        lines += ["", f"  {name}"]
        for sentence in found["says"]:
            lines += textwrap.wrap(sentence, 114, initial_indent="    ", subsequent_indent="      ")
    if data["claims"]:
        lines += ["", "  What is said of the place, by whom, and the answer given:"]
    for claim in data["claims"]:
        lines += textwrap.wrap(_claim_words(claim), 114, initial_indent="    ", subsequent_indent="      ")
    lines += ["", *textwrap.wrap(data["note"], 114, initial_indent="  ", subsequent_indent="  ")]
    return View("\n".join(lines), {"scenario": s.name, "emissions": data})


def statements(site: Site, as_of: date | None) -> list[dict[str, str]]:
    """What the catalog keeps of statements about a place, each with author, source, day and the answer given."""
    return [
        {k: v for k, v in row.items() if k != "place"}
        for row in lookup.table("air_claims")
        if site.place and row["place"] == site.place
        if as_of is None or date.fromisoformat(row["known_since"]) <= as_of
    ]


def _claim_words(claim: dict[str, str]) -> str:
    unit = claim["unit"].replace("_", " ")
    number = claim["value"] or (f"{claim['low']} to {claim['high']}" if claim["low"] else "")
    said = f"{claim['statement']}{': ' + number + ' ' + unit if number else ''}"
    by = f"{claim['status']}, {claim['who']}, known since {claim['known_since']}"
    if claim["status"] not in ("alleged", "disputed") and not claim["who_answers"]:
        return f"{said} ({by})."
    answer = f"answer of {claim['who_answers']}: {claim['answer']}" if claim["who_answers"] else claim["answer"]
    return f"{said} ({by}); {answer}."


def _site(s: Scenario, site: Site, a: Answer) -> dict[str, Any]:
    own = [i for i, p in enumerate(a.supply) if p.pool.site.name == site.name]
    chips = [a.supply[i].pool.accelerator for i in own]
    delivered = [a.supply[i].delivered for i in own]
    shares = tuple(energized_share(x, chips, delivered, a.hours) for x in (site, without_turbines(site)))
    nothing = np.zeros(a.hours.count)
    drawn = sum((a.energy[i].facility_w for i in own), nothing)
    nameplate = sum((nameplate_w(c, site, "facility") * n for c, n in zip(chips, delivered, strict=True)), nothing)
    cases = {
        "drawn": (air(site, drawn, a.hours, s.as_of), _alone(site, drawn, (shares[0], shares[1]), a.hours, s.as_of)),
        "nameplate": (
            air(site, nameplate, a.hours, s.as_of),
            air(without_turbines(site), nameplate, a.hours, s.as_of),
        ),
    }
    there = np.asarray(sum(delivered, nothing)) > 0
    fleet = {"with_turbines": _share_data(shares[0][there]), "without_turbines": _share_data(shares[1][there])}
    found = {
        "place": site.place,
        "energized": fleet,
        "full_load_hours_of_nox_cap": _full_load(site, s.as_of),
        "batteries_mw": sum(b.power_w.value for b in site.batteries) / 1e6,
        **{
            case: {"with_turbines": _air(w, a.hours, site), "without_turbines": _air(o, a.hours, site)}
            for case, (w, o) in cases.items()
        },
    }
    return {**found, "says": _says(site, found, cases)}


def _alone(site: Site, drawn: Array, shares: tuple[Array, Array], hours: Hours, as_of: date | None) -> Air:
    return air_without_turbines(site, drawn, shares, hours, as_of)


def _share_data(energized: Array) -> dict[str, float | None]:
    """Share of the delivered accelerators with power: mean over the hours in which some are there, and the least."""
    if not len(energized):
        return {"mean": None, "least": None}
    return {"mean": float(energized.mean()), "least": float(energized.min())}


def _air(found: Air, hours: Hours, site: Site) -> dict[str, Any]:
    d = found.dispatch
    kinds = ("grid", "turbine", "turbine-without-permit")
    energy = {kind: float(d.gives_j(kind).sum()) / MWH_J for kind in kinds}
    return {
        "energy_mwh": {"needed": float(d.needed_j.sum()) / MWH_J, **energy, "short": float(d.short_j.sum()) / MWH_J},
        "by_source": [
            {"name": source.name, "kind": source.kind, "mwh": float(source.gives_j.sum()) / MWH_J}
            for source in d.sources
        ],
        "hours_on_gas": found.hours_on_gas,
        "turbines_t": {name: asdict(span.times(1 / TONNE_G)) for name, span in found.turbines_g.items()},
        "co2_t": {method: _tonnes(span) for method, span in found.co2_g.items()},
        "water_m3": asdict(found.water_m3) if found.water_m3 else None,
        "permits": [_permit(p, hours, site) for p in found.permits],
    }


def _tonnes(span: Span | None) -> dict[str, float] | None:
    return asdict(span.times(1 / TONNE_G)) if span else None


def _permit(p: PermitUse, hours: Hours, site: Site) -> dict[str, Any]:
    permit = p.turbine.permit

    def on(hour: int | None) -> str | None:
        return None if hour is None else str(day_of(int(hours.begins_s[hour]), site.time_zone))

    return {
        "turbines": p.turbine.name,
        "count": p.turbine.count,
        "control": p.turbine.control,
        "until": str(permit.until) if permit and permit.until else None,
        "caps": {
            account.species: {
                "cap_t": account.cap_g / TONNE_G,
                "most_in_twelve_months_t": asdict(account.most_g.times(1 / TONNE_G)),
                "if_kept_up_a_year_t": asdict(account.a_year_g.times(1 / TONNE_G)),
                "share_of_cap": account.most_g.value / account.cap_g if account.cap_g else None,
                "passed_on": on(account.passed_hour),
                "passed_on_at_low_factor": on(account.passed_hour_low),
                "passed_on_at_high_factor": on(account.passed_hour_high),
                "full_load_hours_of_cap": _finite(account.full_load_h),
            }
            for account in p.accounts
        },
        "startups_of_each_turbine": p.startups_each,
        "startups_allowed": permit.startups if permit else None,
    }


def _finite(span: Span) -> dict[str, float] | None:
    return asdict(span) if np.isfinite(span.high) else None


def _says(site: Site, found: dict[str, Any], cases: dict[str, tuple[Air, Air]]) -> list[str]:
    """Sentences: the fleet with and without turbines, gas, caps, CO2 by both methods, water."""
    said = []
    if site.turbines and found["energized"]["with_turbines"]["mean"] is not None:
        kept = found["energized"]
        said.append(
            f"With its turbines the site energizes {share(kept['with_turbines']['mean'])} of the delivered "
            f"accelerators at nameplate, without them {share(kept['without_turbines']['mean'])} "
            "(modelled, mean over the hours)."
        )
    for turbines, hours in found["full_load_hours_of_nox_cap"].items():
        words = ", ".join(f"{count(h)} with {control}" for control, h in hours.items())
        said.append(f"The NOx cap of {turbines} is worth so many hours at full load, by kind of control: {words}.")
    for case, (one, _) in cases.items():
        said += _case_says(case, one, found[case]["with_turbines"])
    if site.batteries:
        held = f"{digits(found['batteries_mw'])} MW"
        said.append(f"Batteries ({held}) carry swings within an hour; they add no energy and are not dispatched here.")
    return said


def _case_says(case: str, one: Air, data: dict[str, Any]) -> list[str]:
    energy = data["energy_mwh"]
    head = {"drawn": "At the power that the modelled work draws", "nameplate": "If all drew their nameplate"}[case]
    said = []
    if one.turbines_g and not one.hours_on_gas:
        said.append(f"{head}, gas runs in none of {count(len(one.dispatch.needed_j))} hours, modelled.")
    elif one.turbines_g:
        apart = energy["turbine-without-permit"]
        extra = f" ({digits(apart)} MWh of it from turbines that state no permit)" if apart else ""
        gas = energy["turbine"] + apart
        said.append(
            f"{head}, gas runs in {count(one.hours_on_gas)} of {count(len(one.dispatch.needed_j))} hours and gives "
            f"{digits(gas)} of {digits(energy['needed'])} MWh{extra}: {_masses(one)}, modelled."
        )
        for permit in data["permits"]:
            said += _cap_says(permit, case)
    carbon = [f"{digits(v['value'])} t {m.replace('_', '-')}" for m, v in data["co2_t"].items() if v is not None]
    if carbon:
        said.append(
            f"{head}, all power together is {' or '.join(carbon)} of CO2, modelled by two methods that do not add."
        )
    if one.water_m3:
        low, high = digits(one.water_m3.low), digits(one.water_m3.high)
        said.append(f"{head}, cooling takes {digits(one.water_m3.value)} m³ of water ({low} to {high}), modelled.")
    return said


def _masses(one: Air) -> str:
    grams = ((NAMES[k], v.times(1 / TONNE_G)) for k, v in one.turbines_g.items())
    return ", ".join(f"{digits(v.value)} t {name} ({digits(v.low)} to {digits(v.high)})" for name, v in grams)


def _cap_says(permit: dict[str, Any], case: str) -> list[str]:
    """Caps in one sentence; how many hours at full load the NOx cap is worth; start-ups."""
    parts = []
    for species, cap in permit["caps"].items():
        name = f"{NAMES[species]} {digits(cap['cap_t'])} t"
        passed = cap["passed_on"]
        parts.append(f"{name} over from {passed}" if passed else f"{name} used to {share(cap['share_of_cap'] or 0)}")
    said = []
    if parts:
        said.append(f"Caps in any twelve months, {permit['control']} factors, modelled, {case}: {', '.join(parts)}.")
    if permit["startups_allowed"] is not None:
        mean = digits(permit["startups_of_each_turbine"])
        said.append(f"Each turbine starts {mean} times on average, modelled ({permit['startups_allowed']} allowed).")
    return said


def _full_load(site: Site, as_of: date | None) -> dict[str, dict[str, float]]:
    """Hours at full load that use up the NOx cap of each permit, under every control word: what the cap presumes."""
    found: dict[str, dict[str, float]] = {}
    for turbine in site.turbines:
        if turbine.permit is None or turbine.permit.nox_g is None:
            continue
        for control in get_args(Control):
            rates = turbine_rates(turbine.model_copy(update={"control": control, "nox_g_per_j": None}), as_of)
            if "nox" in rates and turbine.power_w.value > 0:
                hours = full_load_hours(turbine.permit.nox_g.value, turbine.power_w.value, rates["nox"].value)
                found.setdefault(turbine.name or "the turbines", {})[control] = float(hours)
    return found
