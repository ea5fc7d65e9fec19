"""A site: where accelerators stand, what feeds and cools them, and what its air and grid are like."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.orbit import Orbit
from ampacity.scenario.value import (
    CarbonIntensity,
    Duration,
    Energy,
    EnergyPrice,
    EventRate,
    Factor,
    Mass,
    Money,
    Noun,
    Power,
    Ratio,
    Value,
    WaterIntensity,
)

Basis = Literal["server", "it", "facility"]
Control = Literal["uncontrolled", "water-injection", "lean-premix", "scr"]
BASES: tuple[Basis, ...] = ("server", "it", "facility")


class GridConnection(Noun):
    """A feed from the public grid. power_w: what may be drawn at the facility's meter. [W]"""

    name: str = ""
    power_w: Power = Field(alias="power")
    since: date | None = None
    until: date | None = None


class Permit(Noun):
    """An air permit. The four caps count over any twelve months. [g]

    startups: start-ups allowed in twelve months, of each turbine. since, until: first and last day it holds.
    """

    since: date | None = None
    until: date | None = None
    nox_g: Mass | None = Field(None, alias="nox")
    co_g: Mass | None = Field(None, alias="co")
    formaldehyde_g: Mass | None = Field(None, alias="formaldehyde")
    particulates_g: Mass | None = Field(None, alias="particulates")
    startups: int | None = Field(None, ge=0)


class Turbine(Noun):
    """On-site gas turbines of one kind. power_w: all of them together, at the facility's meter. [W]

    control: what holds their NOx and CO down; the catalog has factors for each word. heat_rate: fuel energy (higher
    heating value) over electric energy [J/J]; absent: the catalog's. nox_g_per_j: of electric energy, instead of the
    catalog's factor [g/J]. permit: absent means that none is stated, and what they give is shown apart.
    """

    name: str = ""
    count: int = Field(1, ge=1)
    power_w: Power = Field(alias="power")
    since: date | None = None
    until: date | None = None
    control: Control = "lean-premix"
    heat_rate: Ratio | None = None
    nox_g_per_j: CarbonIntensity | None = Field(None, alias="nox")
    permit: Permit | None = None


class Battery(Noun):
    """Storage at the facility. power_w: what it can give [W]; energy_j: what it holds [J]."""

    name: str = ""
    power_w: Power = Field(alias="power")
    energy_j: Energy = Field(alias="energy")


class Site(Noun):
    """A place with power. Powers say their basis: `server`, `it` or `facility`; bases are never mixed silently.

    capital_usd: what it cost, or will, to build and fill [USD]. latitude, longitude: where the map draws it [deg].
    power_w: nameplate, on the basis that its value names; absent means that power never runs short. [W]
    stated_power_w: a total that somebody stated without its basis; compared with the fleet, never a limit. [W]
    it_per_server: power of all IT equipment over that of servers [>= 1]; pue: facility over IT power [>= 1].
    grid, turbines, batteries: what feeds it, at the facility's meter.
    carbon_g_per_j: of grid power, location-based [g/J]; a name is looked up in the catalog's `grid_carbon`.
    carbon_marginal_g_per_j: of one more unit of grid power [g/J]; absent: the catalog's assumption.
    electricity_usd_per_j: price of grid power [USD/J]. water_m3_per_j: of IT energy [m3/J].
    node_failure_rate_per_s: failures per node (server) [1/s]; restore_s: until it serves again [s].
    orbit: for a site in the sky.
    """

    name: str
    kind: Literal["ground", "orbital"] = "ground"
    place: str = ""
    capital_usd: Money | None = Field(None, alias="capital")
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)
    time_zone: str = "UTC"
    power_w: Power | None = Field(None, alias="power")
    stated_power_w: Power | None = Field(None, alias="stated_power")
    it_per_server: Factor = Field(alias="it_per_server")
    pue: Factor
    grid: tuple[GridConnection, ...] = ()
    turbines: tuple[Turbine, ...] = ()
    batteries: tuple[Battery, ...] = ()
    carbon_g_per_j: CarbonIntensity | None = Field(None, alias="carbon")
    carbon_marginal_g_per_j: CarbonIntensity | None = Field(None, alias="carbon_marginal")
    electricity_usd_per_j: EnergyPrice | None = Field(None, alias="electricity")
    water_m3_per_j: WaterIntensity | None = Field(None, alias="water")
    node_failure_rate_per_s: EventRate = Field(alias="node_failures")
    restore_s: Duration = Field(alias="restore")
    orbit: Orbit | None = None
    known_since: date | None = None

    @model_validator(mode="after")
    def _bases(self) -> Self:
        if self.power_w is not None and self.power_w.basis not in BASES:
            found = self.power_w.basis or "no basis"
            raise PydanticCustomError(
                "mistake.power", "{found}: a site's power says its basis: server, it or facility", {"found": found}
            )
        feeds: list[Value] = [f.power_w for f in self.grid]
        feeds += [f.power_w for f in self.turbines] + [f.power_w for f in self.batteries]
        if any(f.basis not in ("", "facility") for f in feeds):
            raise PydanticCustomError(
                "mistake.grid",
                "grid connections, turbines and batteries feed the facility's meter; another basis mixes two",
            )
        if (self.orbit is not None) != (self.kind == "orbital"):
            raise PydanticCustomError("mistake.orbit", "an orbital site has an `orbit`, one on the ground has none")
        return self
