"""A plan as plain data for programs: what `--json` writes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ampacity.planner.interval import Interval
from ampacity.planner.plan import Plan
from ampacity.reporting.air_view import emissions
from ampacity.reporting.concentration_view import concentration_of
from ampacity.reporting.contract_view import contracts_of
from ampacity.reporting.lessor_view import lessor_of
from ampacity.reporting.orbit_view import orbit_view, orbital_sites
from ampacity.reporting.verdict_words import as_data
from ampacity.reporting.words import sentences
from ampacity.supply.waterfall import STAGES, ratios_of


def result(p: Plan) -> dict[str, Any]:
    """Everything that a plan found; units are in the keys or stated beside, shares are between 0 and 1."""
    a = p.central
    days = a.hours.count / 24
    served = {kind: count / days for kind, count in a.tokens().items()}
    return {
        "scenario": p.scenario.name,
        "answer": sentences(p),
        "verdict": as_data(p),
        "record": p.record.as_dict(),
        "service_level": {"hours": p.scenario.service_level.hours.value, "tpot_s": p.scenario.service_level.tpot_s},
        "limits": _limits(p),
        "carried_share": p.carried_share,
        "unlimited_share": {model: asdict(share) for model, share in p.unlimited_share.items()},
        "waterfall": _waterfall(p),
        "tokens_per_day": served,
        "cost_usd_per_mtok": {kind: _value(cost) for kind, cost in p.cost_usd_per_mtok.items()},
        "cost_usd_per_mtok_interval": {k: asdict(c) if c else None for k, c in p.cost_usd_per_mtok.items()},
        "cost_usd_per_day": {
            "fees": a.fees_usd / days,
            "earned_by_leasing_out": a.earned_usd / days,
            "energy": (a.cost_usd - a.fees_usd) / days,
            "all": a.cost_usd / days,
        },
        "energy": _energy(p, days),
        "emissions": emissions(p.scenario, a),
        "contracts": contracts_of(p),
        "concentration": concentration_of(p.scenario),
        "service": {
            f"{tier} on {pool}": asdict(point) for load in a.models for (tier, pool), point in load.points.items()
        },
        "serving": [asdict(x) for x in p.serving],
        "lessor": lessor_of(p.scenario),
        "sensitivity": [asdict(m) for m in p.movers],
        "notes": list(p.notes),
        **({"orbit": orbit_view(p).data} if orbital_sites(p.scenario) else {}),
    }


def _limits(p: Plan) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for w in p.windows:
        found.setdefault(w.tier, {})[w.window] = {
            "value": w.tokens.value,
            "low": w.tokens.low,
            "high": w.tokens.high,
            "unit": "weighted token",
            "guaranteed": w.guaranteed,
            "binding": w.binding,
            "binding_share_of_worlds": w.binding_share,
            "stated": w.stated,
            "length_s": w.length_s,
            "model": w.model,
            "people_hit_share_per_week": asdict(w.people_hit_share) if w.people_hit_share else None,
            "unserved_share": asdict(w.unserved_share),
        }
    return found


def _waterfall(p: Plan) -> dict[str, Any]:
    totals = {stage: sum(b.totals[stage] for b in p.central.bookings) for stage in STAGES}
    useful = totals["useful"] / totals["contracted"] if totals["contracted"] else 0.0
    return {
        "accelerator_ms": totals,
        "ratios": ratios_of(totals),
        "useful_over_contracted": useful,
        "pools": {b.pool: {"accelerator_ms": b.totals, "ratios": ratios_of(b.totals)} for b in p.central.bookings},
    }


def _energy(p: Plan, days: float) -> dict[str, Any]:
    a = p.central
    tokens = a.tokens()
    joules = {basis: sum(getattr(e, f"{basis}_j") for e in a.energy) for basis in ("server", "it", "facility")}
    carbon = [e.carbon_g for e in a.energy]
    water = [e.water_m3 for e in a.energy]
    return {
        "kwh_per_day": {basis: j / 3.6e6 / days for basis, j in joules.items()},
        "mean_kw": {basis: j / (days * 86400) / 1000 for basis, j in joules.items()},
        "facility_j_per_token": joules["facility"] / tokens["all"] if tokens["all"] else None,
        "facility_j_per_output_token": joules["facility"] / tokens["output"] if tokens["output"] else None,
        "co2_kg_per_day_modelled": _sum(carbon, 1e-3 / days),
        "water_m3_per_day_modelled": _sum(water, 1 / days),
        "cost_usd_per_day": (a.cost_usd - a.fees_usd) / days,
    }


def _sum(parts: list[float | None], factor: float) -> float | None:
    return None if any(x is None for x in parts) else factor * sum(x for x in parts if x is not None)


def _value(i: Interval | None) -> float | None:
    return i.value if i else None
