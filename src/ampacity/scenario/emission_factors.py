"""Emission factors of the catalog: what a gas turbine emits per fuel energy under each kind of control."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field

from ampacity.scenario import lookup
from ampacity.scenario.value import CarbonIntensity, Noun, Ratio

SPECIES = ("nox", "co", "formaldehyde", "particulates", "co2")


class EmissionFactors(Noun):
    """Mass per fuel energy [g/J], and heat_rate: fuel energy over electric energy [J/J]. Absent: not known that day."""

    heat_rate: Ratio | None = None
    nox_g_per_j: CarbonIntensity | None = Field(None, alias="nox")
    co_g_per_j: CarbonIntensity | None = Field(None, alias="co")
    formaldehyde_g_per_j: CarbonIntensity | None = Field(None, alias="formaldehyde")
    particulates_g_per_j: CarbonIntensity | None = Field(None, alias="particulates")
    co2_g_per_j: CarbonIntensity | None = Field(None, alias="co2")


def emission_factors(control: str, as_of: date | None = None) -> EmissionFactors:
    """Factors of a control word (`uncontrolled`, `water-injection`, `lean-premix`, `scr`), or of `grid-marginal`.

    What the catalog says of `all` turbines stands where it says nothing of this control.
    """
    own = lookup.emission_claims(control)
    both = own if control == "grid-marginal" else {**lookup.emission_claims("all"), **own}
    known: dict[str, Any] = {
        quantity: [c for c in claims if as_of is None or date.fromisoformat(c["known_since"]) <= as_of]
        for quantity, claims in both.items()
    }
    return EmissionFactors.model_validate({k: v for k, v in known.items() if v}, context={"as_of": as_of})
