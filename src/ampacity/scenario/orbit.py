"""An orbit and the satellites in it: where they fly, what they are built of, what they cost and lose."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.value import (
    Duration,
    Length,
    Mass,
    MassPerArea,
    MassPerPower,
    Money,
    Months,
    Noun,
    Power,
    PricePerMass,
    PricePerPower,
    Ratio,
    Share,
    SpecificEnergy,
    SpecificPower,
    Speed,
    Temperature,
    Value,
    YearlyPricePerPower,
    YearlyRate,
    YearlyShare,
)


class Orbit(Noun):
    """A circular sun-synchronous orbit and a fleet in it. What a scenario leaves out, `orbital_defaults` fills in.

    altitude_m above the equatorial radius [m]; ltan_h: local time of the ascending node, 6 and 18 are dawn-dusk [h].
    geometry: all satellites in one place, spread along one plane, or half of them in the plane opposite.
    contact: by a mesh of relays, or directly when a satellite passes: then it stores and forwards, nothing interactive.
    shadow_power: share of full power that batteries give in shadow: 1 rides through, 0 pauses [0 to 1].
    anomaly_policy: against silent errors in the South Atlantic Anomaly: go on, do work twice, or pause there.
    satellite_power_w: IT power of one satellite [W]. design_life_months: from launch to disposal [months].
    pv_*, battery_*, radiator_*, *_mass_*, structure_share, delta_v_m_s, specific_impulse_s: what it is built of.
    launch_*, commissioning_months: how it gets there. *_price, nre_usd, ground_segment_usd, operations_*, insurance,
    cost_of_capital: money. *_attrition: lost for good in a year. silent_errors, memory_errors,
    *_interrupts: upsets of a chip
    or host a year, times upset_scale; anomaly_*, cosmic_share: where they fall; restart_s: what stops an engine.
    carbon_*, soot: kg per launched kg.
    """

    altitude_m: Length = Field(alias="altitude")
    ltan_h: Ratio = Field(alias="ltan")
    geometry: Literal["cluster", "ring", "two-ltan-ring"] = "ring"
    contact: Literal["relay-mesh", "direct"] = "relay-mesh"
    anomaly_policy: Literal["run", "duplicate", "pause"] = "run"
    shadow_power: Share
    satellite_power_w: Power = Field(alias="satellite_power")
    design_life_months: Months = Field(alias="design_life")

    pv_efficiency: Share
    pv_packing: Share
    pv_pointing: Share
    pv_degradation: YearlyShare
    pv_w_per_kg: SpecificPower = Field(alias="pv_specific_power")
    battery_j_per_kg: SpecificEnergy = Field(alias="battery_specific_energy")
    battery_depth: Share
    battery_efficiency: Share
    radiator_k: Temperature = Field(alias="radiator_temperature")
    radiator_emissivity: Share
    radiator_absorptivity: Share
    radiator_view: Share
    radiator_margin: Ratio
    radiator_kg_per_m2: MassPerArea = Field(alias="radiator_areal_mass")
    compute_kg_per_w: MassPerPower = Field(alias="compute_mass")
    shielding_kg_per_w: MassPerPower = Field(alias="shielding_mass")
    structure_share: Share
    delta_v_m_s: Speed = Field(alias="delta_v")
    specific_impulse_s: Duration = Field(alias="specific_impulse")

    launch_payload_g: Mass = Field(alias="launch_payload")
    launch_cadence_per_year: YearlyRate = Field(alias="launch_cadence")
    launch_success: Share
    commissioning_months: Months = Field(alias="commissioning")
    launch_usd_per_kg: PricePerMass = Field(alias="launch_price")
    build_usd_per_w: PricePerPower = Field(alias="build_price")
    nre_usd: Money = Field(alias="nre")
    ground_segment_usd: Money = Field(alias="ground_segment")
    operations_usd_per_w_year: YearlyPricePerPower = Field(alias="operations")
    operations_share: YearlyShare
    insurance: Share
    cost_of_capital: Share

    accelerator_attrition: YearlyShare
    bus_attrition: YearlyShare
    silent_errors: YearlyRate
    memory_errors: YearlyRate
    chip_interrupts: YearlyRate
    host_interrupts: YearlyRate
    upset_scale: Ratio
    anomaly_time: Share
    anomaly_fluence: Share
    cosmic_share: Share
    restart_s: Duration = Field(alias="restart")
    carbon_propellant: Ratio
    carbon_lifecycle: Ratio
    carbon_hardware: Ratio
    soot: Ratio

    @model_validator(mode="after")
    def _can_fly(self) -> Self:
        if not 200e3 <= self.altitude_m.value <= 5_900e3:
            raise PydanticCustomError("mistake.altitude", "a sun-synchronous orbit lies between 200 and 5,900 km")
        if not self.ltan_h.value < 24:
            raise PydanticCustomError("mistake.ltan", "a local time of the node is between 0 and 24 hours")
        positive = (
            "satellite_power_w", "design_life_months", "pv_efficiency", "pv_packing", "pv_pointing", "pv_w_per_kg",
            "battery_j_per_kg", "battery_depth", "battery_efficiency", "radiator_k", "radiator_emissivity",
            "radiator_view", "specific_impulse_s", "launch_payload_g", "launch_cadence_per_year", "launch_success",
            "cost_of_capital",
        )  # fmt: skip
        for name in positive:
            found: Value = getattr(self, name)
            if (found.value if found.low is None else found.low) <= 0:
                key = type(self).model_fields[name].alias or name
                raise PydanticCustomError(f"mistake.{key}", "{key} is more than zero", {"key": key})
        if self.commissioning_months.value >= self.design_life_months.value:
            raise PydanticCustomError("mistake.commissioning", "not shorter than the design life")
        return self
