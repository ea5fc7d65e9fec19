"""Every number of a scenario with its claim: what it is in words, in a unit people read, who says so and since when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel

from ampacity.reporting.words import digits
from ampacity.scenario.model import Model
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.value import Measures, Value

_H, _DAY, _KWH = 3600.0, 86400.0, 3.6e6

UNITS: dict[str, tuple[tuple[float, str], ...]] = {
    "power": ((1e9, "GW"), (1e6, "MW"), (1e3, "kW"), (1.0, "W")),
    "energy": ((1e6 * _KWH, "GWh"), (1e3 * _KWH, "MWh"), (_KWH, "kWh")),
    "duration": ((_H, "h"), (60.0, "min"), (1.0, "s")),
    "months": ((1.0, "months"),),
    "share": ((0.01, "%"),),
    "number": ((1.0, ""),),
    "accelerators": ((1.0, "accelerators"),),
    "people": ((1.0, "people"),),
    "tokens": ((1e9, "G tokens"), (1e6, "M tokens"), (1.0, "tokens")),
    "token_rate": ((1e6 / _H, "M tokens/h"), (1.0 / _H, "tokens/h")),
    "money": ((1e9, "billion USD"), (1e6, "million USD"), (1.0, "USD")),
    "monthly_fee": ((1e9, "billion USD/month"), (1e6, "million USD/month"), (1.0, "USD/month")),
    "hourly_price": ((1.0 / _H, "USD/h"),),
    "energy_price": ((1e-3 / _KWH, "USD/MWh"),),
    "token_price": ((1e-6, "USD per million tokens"),),
    "carbon_intensity": ((1.0 / _KWH, "g/kWh"),),
    "water_intensity": ((1e-3 / _KWH, "L/kWh"),),
    "mass": ((1e6, "t"), (1e3, "kg"), (1.0, "g")),
    "length": ((1e3, "km"), (1.0, "m")),
    "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1.0, "B")),
    "byte_rate": ((1e12, "TB/s"), (1e9, "GB/s"), (1e6, "MB/s"), (1.0, "B/s")),
    "flop_rate": ((1e12, "TFLOP/s"),),
    "event_rate": ((1.0 / _DAY, "per day"),),
    "hours_per_week": ((1.0 / 168.0, "h/week"),),
    "yearly_rate": ((1.0, "per year"), (0.01, "% per year")),
    "temperature": ((1.0, "K"),),
    "speed": ((1.0, "m/s"),),
    "specific_power": ((1.0, "W/kg"),),
    "specific_energy": ((3600.0, "Wh/kg"),),
    "mass_per_power": ((1e-3, "kg/kW"),),
    "mass_per_area": ((1.0, "kg/m2"),),
    "price_per_mass": ((1.0, "USD/kg"),),
    "price_per_power": ((1.0, "USD/W"),),
    "yearly_price_per_power": ((1e-3, "USD/kW and year"),),
}
"""For every dimension of `base.units` the units that people read it in, the largest first, in base units."""

SUBJECTS = {
    "accelerators": "accelerator",
    "models": "model",
    "sites": "site",
    "contracts": "contract",
    "placements": "placement",
    "tiers": "tier",
    "limits": "limit",
    "jobs": "job",
    "events": "event",
    "deliveries": "delivery",
    "ramp": "ramp step",
    "turbines": "turbine",
    "grid": "grid feed",
    "batteries": "battery",
    "windows": "window",
    "service_level": "service level",
    "service_credits": "service credit",
    "options": "option",
    "permit": "permit",
    "peak": "peak hours",
}
"""Words for the steps of a path; a step that is not here (`behaviour`, `fee`) says nothing a reader needs."""

FIELDS = {
    "hours": "share of hours that must carry a limit",
    "capital_usd": "cost to build and fill the site",
    "pv_efficiency": "efficiency of the solar cells",
    "pv_packing": "share of the array that is cells",
    "pv_pointing": "share of sunlight that pointing keeps",
    "battery_efficiency": "efficiency of the battery",
    "radiator_emissivity": "infrared emissivity of the radiator",
    "radiator_absorptivity": "sunlight that the radiator absorbs, as a share",
    "radiator_margin": "radiator area over what the heat needs",
    "bf16_flops": "peak arithmetic at bf16, dense",
    "fp8_flops": "peak arithmetic at fp8, dense",
    "fp4_flops": "peak arithmetic at fp4, dense",
    "hbm_bytes": "memory size",
    "hbm_bytes_per_s": "memory bandwidth",
    "tdp_w": "power limit of the chip alone",
    "server_w": "server power per chip",
    "it_w": "IT power per chip",
    "facility_w": "facility power per chip",
    "chip_price_usd": "purchase price of a chip",
    "own_hyperscaler_usd_per_s": "cost of owning a chip, hyperscaler",
    "own_neocloud_usd_per_s": "cost of owning a chip, neocloud",
    "rental_3yr_usd_per_s": "price of a three-year rental",
    "rental_1yr_usd_per_s": "price of a one-year rental",
    "scaleup_bytes_per_s": "link to its scale-up neighbours, one way",
    "scaleup_world": "chips that a scale-up link joins",
    "scaleout_bytes_per_s": "network bandwidth per chip",
    "speed": "speed over what the serving model predicts",
    "power_w": "power",
    "energy_j": "energy that it holds",
    "it_per_server": "IT power over server power",
    "pue": "facility power over IT power (PUE)",
    "carbon_g_per_j": "carbon intensity of grid power",
    "carbon_marginal_g_per_j": "carbon intensity of one more unit of grid power",
    "stated_power_w": "power stated without its basis",
    "heat_rate": "fuel energy over electric energy",
    "electricity_usd_per_j": "price of electricity",
    "water_m3_per_j": "water per IT energy",
    "node_failure_rate_per_s": "failures of a node",
    "restore_s": "time until a failed node serves again",
    "nox_g": "NOx allowed in twelve months",
    "co_g": "CO allowed in twelve months",
    "formaldehyde_g": "formaldehyde allowed in twelve months",
    "particulates_g": "particulates allowed in twelve months",
    "nox_g_per_j": "NOx per energy",
    "altitude_m": "altitude",
    "ltan_h": "local time of the ascending node",
    "shadow_power": "share of full power that batteries give in shadow",
    "satellite_power_w": "IT power of one satellite",
    "design_life_months": "design life of a satellite",
    "pv_w_per_kg": "power of the array per mass",
    "pv_degradation": "power that the array loses",
    "battery_j_per_kg": "energy of the battery per mass",
    "battery_depth": "depth of discharge",
    "radiator_k": "temperature of the radiator",
    "radiator_kg_per_m2": "mass of the radiator per area",
    "radiator_view": "share of the radiator's half-space that is free",
    "compute_kg_per_w": "mass of the servers per IT power",
    "shielding_kg_per_w": "mass of the shielding per IT power",
    "structure_share": "mass of the structure over that of other parts",
    "delta_v_m_s": "change of speed over the life",
    "specific_impulse_s": "specific impulse of the thrusters",
    "launch_payload_g": "payload of a launch",
    "launch_cadence_per_year": "launches for this site",
    "launch_success": "share of launches that succeed",
    "commissioning_months": "months from launch to service",
    "launch_usd_per_kg": "price of launching",
    "build_usd_per_w": "price of the satellites per IT power",
    "nre_usd": "design and tooling, once",
    "ground_segment_usd": "ground stations, once",
    "operations_usd_per_w_year": "operations per IT power",
    "operations_share": "operations over hardware",
    "insurance": "premium over the insured value",
    "cost_of_capital": "yearly cost of capital",
    "accelerator_attrition": "accelerators lost for good",
    "bus_attrition": "satellites lost for good",
    "silent_errors": "silent errors of a chip",
    "memory_errors": "uncorrectable memory errors of a chip",
    "chip_interrupts": "interrupts of a chip",
    "host_interrupts": "interrupts of a host",
    "upset_scale": "upset rates of this chip over those of the one tested",
    "anomaly_time": "share of time in the South Atlantic Anomaly",
    "anomaly_fluence": "share of trapped protons met in it",
    "cosmic_share": "share of upsets from cosmic rays",
    "restart_s": "time to restart an engine after an upset",
    "carbon_propellant": "CO2e of the propellant per launched mass",
    "carbon_lifecycle": "CO2e of a launch, life cycle, per launched mass",
    "carbon_hardware": "CO2e of making the satellites per mass",
    "soot": "soot per launched mass",
    "quantity": "accelerators",
    "fee_share": "share of the fee that is due",
    "monthly_usd": "monthly fee",
    "per_accelerator_usd_per_s": "fee per accelerator",
    "spread_usd_per_s": "spread over the index",
    "take_or_pay": "share of the fee due whether used or not",
    "total_usd": "spend committed to",
    "availability_below": "availability below which a credit is due",
    "credit": "share of the fee that comes back",
    "discount": "discount for lateness",
    "fee_usd": "fee for leaving",
    "hazard_per_s": "rate at which it is taken back",
    "people": "people",
    "active_share": "active hours of a person",
    "uncached_per_s": "uncached input of an active person",
    "cached_per_s": "cached input of an active person",
    "output_per_s": "output of an active person",
    "context_tokens": "context of a sequence being decoded",
    "bout_s": "length of one active stretch",
    "sigma_between": "spread of use between people",
    "sigma_within": "spread of one person's use",
    "takers": "active people who use all that a limit gives",
    "common_swing": "swing that all people share in an hour",
    "price_usd": "price per person",
    "tokens": "tokens that it holds",
    "requests": "requests that it holds",
    "multiplier": "times that use counts",
    "growth": "growth of people in a month",
    "parallel": "sessions of a person at once, at most",
    "usable": "share of the pool that this model can use",
    "host_kv": "host memory beside an accelerator for context that HBM evicts",
    "host_kv_bandwidth": "bandwidth at which an accelerator loads it back",
    "store_kv": "SSD or remote store beside an accelerator for context that the host evicts",
    "store_kv_bandwidth": "bandwidth at which an accelerator loads it back",
    "acceptance": "chance that a guessed token is right",
    "scale": "size, in times of the listed shape",
    "share": "share",
    "months": "months",
}


@dataclass(frozen=True)
class Claim:
    """One number as the page lists it. subject: whose it is; what: which number; shown, low, high: with human unit."""

    path: str
    subject: str
    what: str
    shown: str
    interval: str
    basis: str
    status: str
    who: str
    source: str
    known_since: date | None
    confidence: str
    reason: str

    @property
    def is_range(self) -> bool:
        """Whether worlds draw it."""
        return bool(self.interval)

    @property
    def words(self) -> str:
        """The number's name on one line: "tier developers: active hours of a person"."""
        return f"{self.subject}: {self.what}" if self.subject else self.what


def claims(s: Scenario) -> list[Claim]:
    """Every number of a scenario, ranges first, then in the order of the nouns; and the shape of every model."""
    found = [_claim(path, subject, noun, field) for path, subject, noun, field in _values(s, (), ())]
    found += [_shape(m) for m in s.models]
    return sorted(found, key=lambda c: not c.is_range)


def human(numbers: tuple[float, ...], dimension: str, figures: int = 6) -> tuple[list[str], str]:
    """Numbers in base units as texts in the unit that suits the first that is not zero, and that unit."""
    scale = next((abs(x) for x in numbers if x != 0), 0.0)
    units = UNITS[dimension]
    size, unit = next(((a, b) for a, b in units if scale >= a * (1 - 1e-9)), units[-1])
    texts = [digits(x / size, figures) for x in numbers]
    return [t.rstrip("0").rstrip(".") if "." in t else t for t in texts], unit


def dimension_of(noun: BaseModel, field: str) -> str:
    """What the `Value` in a noun's field measures, as its type says."""
    info = type(noun).model_fields[field]
    return next(m.dimension for m in _measures((info.annotation, *info.metadata)))


def _measures(parts: tuple[Any, ...]) -> Iterator[Measures]:
    for part in parts:
        if isinstance(part, Measures):
            yield part
        else:
            yield from _measures(get_args(part))


Steps = tuple[str, ...]


def _values(noun: BaseModel, path: Steps, subject: Steps) -> Iterator[tuple[Steps, Steps, BaseModel, str]]:
    """Every field that is a `Value`: path as `worlds.ranges` gives it, subject in words, the noun and its field."""
    for name, found in noun:
        word = SUBJECTS.get(name)
        if isinstance(found, Value):
            yield (*path, name), subject, noun, name
        elif isinstance(found, BaseModel):
            yield from _values(found, (*path, name), (*subject, word) if word else subject)
        elif isinstance(found, tuple) and found and isinstance(found[0], BaseModel):
            for i, part in enumerate(found):
                own = getattr(part, "name", "")
                label = f"{word or name} {own or i + 1}" if own or len(found) > 1 else f"{word or name}"
                yield from _values(part, (*path, name, own or str(i)), (*subject, label))


def _claim(path: Steps, subject: Steps, noun: BaseModel, field: str) -> Claim:
    v: Value = getattr(noun, field)
    dimension = dimension_of(noun, field)
    if v.is_range and v.low is not None and v.high is not None:
        (value, low, high), unit = human((v.value, v.low, v.high), dimension)
        interval = f"{low} to {high} {unit}".strip()
    else:
        (value,), unit = human((v.value,), dimension)
        interval = ""
    return Claim(
        path=".".join(path),
        subject=", ".join(subject),
        what=FIELDS.get(field, field.replace("_", " ")),
        shown=f"{value} {unit}".strip(),
        interval=interval,
        basis=v.basis,
        status=v.status,
        who=v.who,
        source=v.source,
        known_since=v.known_since,
        confidence=v.confidence,
        reason=v.reason,
    )


def _shape(m: Model) -> Claim:
    return Claim(
        path=f"models.{m.name}",
        subject=f"model {m.name}",
        what="shape",
        shown=f"{digits(m.parameters_total / 1e9)} billion parameters, {m.layers} layers",
        interval="",
        basis="",
        status=m.status,
        who=m.vendor,
        source=m.source,
        known_since=m.released,
        confidence=m.confidence,
        reason=m.note,
    )
