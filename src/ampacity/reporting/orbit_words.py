"""The words of an orbital site: conditions first, then figures with their intervals."""

from __future__ import annotations

from datetime import date
from typing import Any

from ampacity.reporting.sources import FIELDS
from ampacity.reporting.words import count, digits, share

Interval = dict[str, float]


def sentences(name: str, found: dict[str, Any]) -> list[str]:
    """What would be, if it were: light, building, losses, money."""
    size, light, ups, cost = found["sizing"], found["light"], found["upsets"], found["cost"]
    said = [
        f"If {count(found['what_if_accelerators'])} accelerators, {digits(size['it_w']['value'] / 1e9)} GW of IT, "
        f"flew at {name}, {digits(found['altitude_km'])} km up, node at {_clock(found['ltan_h'])}, in "
        f"{count(size['satellites']['value'])} satellites ({found['geometry']}):",
        _light(light, found["geometry"]),
        f"it would weigh {_tonnes(size['mass_kg'])} and take {_span(size['launches'])} launches, "
        f"{_span(size['cadence_months'])} months of them at {digits(found['launch_cadence_per_year'])} a year;",
        f"upsets would stop an engine {_span(ups['stops_per_chip_year'])} times per chip and year, and "
        f"{_span(ups['silent_per_fleet_hour'])} an hour over the fleet would go unnoticed, "
        f"{share(ups['anomaly_share']['value'])} of all in the South Atlantic Anomaly;",
        f"without repair {digits(size['effective_life_years']['value'])} years of full service "
        f"({_ends(size['effective_life_years'])}) are left of what is launched.",
    ]
    if not found["firm_accelerators"]:
        said.insert(1, "no contract promises it, so in firm capacity it counts nothing;")
    if not found["contact"]["interactive"]:
        said.append("Without a relay mesh it stores and forwards: nothing interactive is served from it.")
    if cost["delivered_usd_per_accelerator_hour"] is None:
        said.append("What an accelerator-hour would cost is not known: no price of the accelerator, or none runs.")
    return said


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of figures: a word, and numbers with units and intervals."""
    size, cost, air, ups = found["sizing"], found["cost"], found["air"], found["upsets"]
    parts = "  ".join(f"{part} {digits(kg['value'], 2)}" for part, kg in size["kg_per_kw"].items())
    per_kw = size["it_w"]["value"] / 1000.0
    lines = [
        ("mass", f"kg per kW of IT: {parts}   all {digits(size['mass_kg']['value'] / per_kw)}"),
        (
            "area",
            f"array {_span(size['array_m2'], 1e-6)} km2   radiator {_span(size['radiator_m2'], 1e-6)} km2   "
            f"battery {_span(size['battery_kg'], 1e-3)} t",
        ),
        ("1 launch", f"{_span(cost['launched_usd_per_kw_year'])} USD per kW and year, launch alone"),
        ("2 + build", f"{_span(cost['launch_and_build_usd_per_kw'])} USD per kW, launch and satellites"),
        ("3 + chips", f"{_known(cost['owned_usd_per_kw_year'])} USD per kW of IT and year, all that is owned"),
        ("4 delivered", _delivered(found)),
        (
            "carbon",
            f"{_span(air['propellant_g_per_kwh'])} g CO2e/kWh by propellant, "
            f"{_span(air['lifecycle_g_per_kwh'])} by life cycle; both with making the satellites, without chips",
        ),
        (
            "not CO2e",
            f"debris {_span(air['dead_satellites'])} dead satellites   re-entry {_span(air['reentry_t_per_year'])} t "
            f"a year   soot {_span(air['soot_kg'], 1e-3)} t",
        ),
        (
            "checking",
            f"doing work twice in the Anomaly alone takes {share(ups['duplicate_cost']['value'])} of capacity, "
            f"everywhere {share(ups['always_duplicate_cost']['value'])}",
        ),
    ]
    lines.append(
        ("left out", "penumbra, stations one by one, collisions, resupply, heat cycles, the shadow of neighbours")
    )
    if strongest := found["strongest_assumptions"]:
        words = "   ".join(f"{_noun(a['path'])} (x{digits(a['moves_cost_by'], 2)})" for a in strongest)
        lines.append(("moved by", words))
    return lines


def _light(light: dict[str, Any], geometry: str) -> str:
    floor = light["floor_share"]
    if not light["seasons"]:
        return "it would never be in shadow;"
    seasons = " and ".join(f"{_date(a)} to {_date(b)}" for a, b in light["seasons"])
    whole = {
        "cluster": "all of it at once",
        "ring": f"though never less than {_at_least(floor['ring'])} of the ring is in light",
        "two-ltan-ring": f"though never less than {_at_least(floor['two-ltan-ring'])} of both rings is in light",
    }[geometry]
    others = {"cluster": "0 % for a cluster", "ring": f"{_at_least(floor['ring'])} for a ring"}
    others["two-ltan-ring"] = f"{_at_least(floor['two-ltan-ring'])} for two opposite rings"
    rest = ", ".join(words for g, words in others.items() if g != geometry)
    return (
        f"a satellite would be in shadow {share(light['shadow_share_of_year'])} of the year, from {seasons}, up to "
        f"{digits(light['longest_shadow_min'])} of {digits(light['orbit_min'])} minutes, {whole} ({rest});"
    )


def _delivered(found: dict[str, Any]) -> str:
    hour = f"{_known(found['cost']['delivered_usd_per_accelerator_hour'])} USD per delivered accelerator-hour"
    per_mtok = found["delivered_usd_per_mtok"]
    return f"{hour}, {_known(per_mtok)} USD per million tokens served" if per_mtok else hour


def _span(x: Interval, factor: float = 1.0) -> str:
    return f"{digits(x['value'] * factor)} ({_ends(x, factor)})"


def _ends(x: Interval, factor: float = 1.0) -> str:
    return f"{digits(x['low'] * factor, 2)} to {digits(x['high'] * factor, 2)}"


def _known(x: Interval | None) -> str:
    return _span(x) if x else "not known:"


def _tonnes(x: Interval) -> str:
    return f"{digits(x['value'] / 1000)} t ({_ends(x, 1e-3)})"


def _at_least(x: float) -> str:
    """A share rounded down, for "never less than"."""
    return f"{int(1000 * x) / 10:g} %"


def _clock(hour: float) -> str:
    return f"{int(hour):02d}:{round(hour % 1 * 60):02d}"


def _date(day: str) -> str:
    found = date.fromisoformat(day)
    return f"{found.day} {found:%b}"


def _noun(path: str) -> str:
    field = path.split(".")[-1]
    return FIELDS.get(field, field.replace("_", " "))
