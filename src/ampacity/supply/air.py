"""What feeds a site hour by hour, what that puts into the air, and what would be energized without the turbines.

Grid first, in the order written; then turbines whose permit holds; then turbines that state no permit, shown apart.
Amounts of energy are whole joules by hour, so that what the sources give is what is needed less what is short: exactly.
Batteries are not dispatched: within an hour they carry swings, over a day they give back what they took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ampacity.physics.emissions import water_m3
from ampacity.scenario.site import Site, Turbine
from ampacity.supply.delivery import Hours
from ampacity.supply.emission_rates import NOTHING, Span, grid_rates, turbine_rates
from ampacity.supply.energized import grid_w, nameplate_limit_w, turbine_w, without_turbines
from ampacity.supply.permit_account import Account, accounts, rolling_sum, startups

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """One source of a site. turbine: None for the grid. could_j, gives_j: whole joules in each hour. [J]"""

    name: str
    turbine: Turbine | None
    could_j: Whole
    gives_j: Whole

    @property
    def kind(self) -> str:
        """`grid`, `turbine` (under a permit) or `turbine-without-permit` (the scenario states none)."""
        if self.turbine is None:
            return "grid"
        return "turbine" if self.turbine.permit is not None else "turbine-without-permit"


@dataclass(frozen=True)
class Dispatch:
    """Energy by source. needed_j = sum of what the sources give + short_j, in each hour, exactly. [J]"""

    needed_j: Whole
    short_j: Whole
    sources: tuple[Source, ...]

    def gives_j(self, kind: str) -> Whole:
        """What all sources of a kind give in each hour. [J]"""
        return np.asarray(sum((s.gives_j for s in self.sources if s.kind == kind), np.zeros_like(self.needed_j)))

    @property
    def gas_j(self) -> Whole:
        """What turbines give in each hour, with or without a permit. [J]"""
        return np.asarray(self.gives_j("turbine") + self.gives_j("turbine-without-permit"))


@dataclass(frozen=True)
class PermitUse:
    """One permit over the hours. startups_each: start-ups of a turbine on average in the busiest twelve months."""

    turbine: Turbine
    accounts: tuple[Account, ...]
    startups_each: float


@dataclass(frozen=True)
class Air:
    """What a dispatch puts into the air, modelled.

    turbines_g: by species, all turbines together [g].
    co2_g: all power by method, None where the grid's intensity is not known [g]. water_m3: None where not known.
    hours_on_gas: hours in which any turbine gives something.
    """

    dispatch: Dispatch
    turbines_g: dict[str, Span]
    co2_g: dict[str, Span | None]
    water_m3: Span | None
    permits: tuple[PermitUse, ...]
    hours_on_gas: int


def dispatch(site: Site, needed_w: Array, hours: Hours) -> Dispatch:
    """Which source gives how much in each hour. needed_w: at the facility's meter, >= 0, one entry an hour. [W]"""
    needed = _whole_j(needed_w)
    left = np.minimum(needed, _whole_j(np.minimum(np.asarray(needed_w), nameplate_limit_w(site))))
    sources = []
    for name, turbine, could_w in _feeds(site, needed_w, hours):
        could = _whole_j(could_w)
        gives = np.minimum(left, could)
        left = left - gives
        sources.append(Source(name, turbine, could, gives))
    given = sum((s.gives_j for s in sources), np.zeros_like(needed))
    return Dispatch(needed, needed - given, tuple(sources))


def air(site: Site, needed_w: Array, hours: Hours, as_of: date | None = None) -> Air:
    """The air of a site that needs so much power. as_of: factors known that day."""
    d = dispatch(site, needed_w, hours)
    species: dict[str, Span] = {}
    permits = []
    for source in d.sources:
        if source.turbine is None:
            continue
        rates = turbine_rates(source.turbine, as_of)
        energy = float(source.gives_j.sum())
        for name, rate in rates.items():
            species[name] = species.get(name, NOTHING).plus(rate.times(energy))
        if source.turbine.permit is not None:
            used = accounts(source.turbine, source.turbine.permit, source.gives_j, rates)
            permits.append(PermitUse(source.turbine, used, _startups_each(source)))
    gas = species.get("co2", NOTHING)
    grid_j = float(d.gives_j("grid").sum())
    co2 = {method: rate.times(grid_j).plus(gas) if rate else None for method, rate in grid_rates(site, as_of).items()}
    given = float((d.needed_j - d.short_j).sum())
    return Air(d, species, co2, _water(site, given), tuple(permits), int(np.count_nonzero(d.gas_j)))


def air_without_turbines(
    site: Site, needed_w: Array, shares: tuple[Array, Array], hours: Hours, as_of: date | None = None
) -> Air:
    """The air of the same site on its grid alone. shares: of the fleet energized with the turbines, and without them.

    What is energized does the same work each: the need shrinks with the share.
    """
    with_turbines, without = shares
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(with_turbines > 0, without / with_turbines, 0.0)
    return air(without_turbines(site), np.asarray(needed_w) * kept, hours, as_of)


def _feeds(site: Site, needed_w: Array, hours: Hours) -> list[tuple[str, Turbine | None, Array]]:
    """Name, turbine and available power of every source in the order of dispatch."""
    zone = site.time_zone
    feeds: list[tuple[str, Turbine | None, Array]] = []
    if not site.grid and not site.turbines:
        return [("grid, as much as is needed", None, np.asarray(needed_w, dtype=np.float64))]
    for i, connection in enumerate(site.grid):
        feeds.append((connection.name or f"grid {i + 1}", None, grid_w(connection, zone, hours)))
    order: Sequence[Turbine] = sorted(site.turbines, key=lambda t: t.permit is None)
    for i, turbine in enumerate(order):
        feeds.append((turbine.name or f"turbines {i + 1}", turbine, turbine_w(turbine, zone, hours)))
    return feeds


def _startups_each(source: Source) -> float:
    if source.turbine is None:
        return 0.0
    return float(rolling_sum(startups(source.turbine, source.gives_j)).max(initial=0)) / source.turbine.count


def _water(site: Site, facility_j: float) -> Span | None:
    if site.water_m3_per_j is None:
        return None
    w = site.water_m3_per_j
    it_j = facility_j / site.pue.value
    ends = (w.value, w.value if w.low is None else w.low, w.value if w.high is None else w.high)
    return Span(*(float(water_m3(it_j, intensity)) for intensity in ends))


def _whole_j(power_w: Array) -> Whole:
    return np.asarray(np.rint(np.asarray(power_w, dtype=np.float64) * 3600.0), dtype=np.int64)
