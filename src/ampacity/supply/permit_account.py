"""The account of an air permit: what was emitted in any twelve months against its caps, and how often turbines started.

A permit is a store whose use comes back a year later; this is its exact account after the fact, hour by hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.physics.emissions import full_load_hours
from ampacity.scenario.site import Permit, Turbine
from ampacity.supply.emission_rates import Span

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
TWELVE_MONTHS_H = 8760
CAPPED = ("nox", "co", "formaldehyde", "particulates")


@dataclass(frozen=True)
class Account:
    """One cap of one permit.

    cap_g: allowed in any twelve months [g]. most_g: most in any twelve months of the hours looked at [g].
    a_year_g: the mean of these hours kept up for 8,760 of them [g]. passed_hour: first hour at whose end the rolling
    sum is over the cap, at the value and at both ends of the emission factor; None: in none.
    full_load_h: hours at full load that use the cap up [h].
    """

    species: str
    cap_g: float
    most_g: Span
    a_year_g: Span
    passed_hour: int | None
    passed_hour_low: int | None
    passed_hour_high: int | None
    full_load_h: Span


def rolling_sum(amounts: Whole, window: int = TWELVE_MONTHS_H) -> Whole:
    """Sum of each hour and the `window - 1` before it, fewer at the beginning. Exact: whole numbers."""
    total = np.concatenate(([0], np.cumsum(amounts)))
    ends = np.arange(1, len(total))
    return np.asarray(total[ends] - total[np.maximum(ends - window, 0)])


def first_over(amounts: Array, cap: float) -> int | None:
    """The first hour in which an amount is over the cap, or None."""
    over = np.flatnonzero(amounts > cap)
    return int(over[0]) if len(over) else None


def account(species: str, cap_g: float, used_j: Whole, rate: Span, power_w: float) -> Account:
    """The account of one cap, for the energy of each hour and the emission rate of its turbines [g/J]."""
    rolling_j = rolling_sum(used_j).astype(np.float64)
    most_j = float(rolling_j.max(initial=0.0))
    a_year_j = float(used_j.sum()) * TWELVE_MONTHS_H / max(len(used_j), 1)
    hours = [float(full_load_hours(cap_g, power_w, r)) for r in (rate.value, rate.high, rate.low)]
    return Account(
        species=species,
        cap_g=cap_g,
        most_g=rate.times(most_j),
        a_year_g=rate.times(a_year_j),
        passed_hour=first_over(rolling_j * rate.value, cap_g),
        passed_hour_low=first_over(rolling_j * rate.low, cap_g),
        passed_hour_high=first_over(rolling_j * rate.high, cap_g),
        full_load_h=Span(*hours),
    )


def accounts(turbine: Turbine, permit: Permit, used_j: Whole, rates: dict[str, Span]) -> tuple[Account, ...]:
    """The accounts of all caps that a permit states and whose emission rate is known."""
    found = []
    for species in CAPPED:
        cap = getattr(permit, f"{species}_g")
        if cap is not None and species in rates:
            found.append(account(species, cap.value, used_j, rates[species], turbine.power_w.value))
    return tuple(found)


def startups(turbine: Turbine, used_j: Whole) -> Whole:
    """Turbines that start in each hour, if as few run as carry the load; before the first hour none runs."""
    unit_j = turbine.power_w.value * 3600.0 / turbine.count
    running = np.ceil(used_j / unit_j - 1e-9) if unit_j > 0 else np.zeros(len(used_j))
    on = np.minimum(running, turbine.count).astype(np.int64)
    return np.asarray(np.maximum(np.diff(on, prepend=0), 0))
