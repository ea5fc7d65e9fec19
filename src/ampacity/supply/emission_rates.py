"""What a site's turbines and grid emit per electric energy: values with their ranges, from the scenario or the catalog.

A range here is the interval between all factors at their low and all at their high ends; it is no confidence interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ampacity.physics.emissions import turbine_rate_g_per_j
from ampacity.scenario.emission_factors import SPECIES, emission_factors
from ampacity.scenario.site import Site, Turbine
from ampacity.scenario.value import Value


@dataclass(frozen=True)
class Span:
    """A number and the ends of its range. low <= value <= high."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Span:
        """All three times a factor that is not negative."""
        return Span(self.value * factor, self.low * factor, self.high * factor)

    def plus(self, other: Span) -> Span:
        """Both together, each at the same end of its range."""
        return Span(self.value + other.value, self.low + other.low, self.high + other.high)


NOTHING = Span(0.0, 0.0, 0.0)


def span_of(value: Value) -> Span:
    """A claim's value with its range; a claim without one is its own range."""
    low = value.value if value.low is None else value.low
    return Span(value.value, low, value.value if value.high is None else value.high)


def turbine_rates(turbine: Turbine, as_of: date | None = None) -> dict[str, Span]:
    """Emission of turbines per electric energy, by species; one with no factor known that day is left out. [g/J]"""
    factors = emission_factors(turbine.control, as_of)
    heat = turbine.heat_rate or factors.heat_rate
    found: dict[str, Span] = {}
    for species in SPECIES:
        factor: Value | None = getattr(factors, f"{species}_g_per_j")
        if factor is not None and heat is not None:
            f, h = span_of(factor), span_of(heat)
            ends = ((f.value, h.value), (f.low, h.low), (f.high, h.high))
            found[species] = Span(*(float(turbine_rate_g_per_j(a, b)) for a, b in ends))
    if turbine.nox_g_per_j is not None:
        found["nox"] = span_of(turbine.nox_g_per_j)
    return found


def grid_rates(site: Site, as_of: date | None = None) -> dict[str, Span | None]:
    """CO2 of the site's grid power by method, location-based and marginal; None where nobody states it. [g/J]"""
    marginal = site.carbon_marginal_g_per_j or emission_factors("grid-marginal", as_of).co2_g_per_j
    return {
        "location_based": span_of(site.carbon_g_per_j) if site.carbon_g_per_j else None,
        "marginal": span_of(marginal) if marginal else None,
    }
