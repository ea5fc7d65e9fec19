"""What gas turbines and grid power put into the air, and the water that cooling takes. Factors come from the caller."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def turbine_rate_g_per_j(factor_g_per_j: ArrayLike, heat_rate: ArrayLike) -> Array:
    """Emission of a gas turbine per electric energy, from its emission per fuel energy.

    Parameters
    ----------
    factor_g_per_j : array_like
        Mass emitted per fuel energy, >= 0; 1 lb/MMBtu is 4.299e-7 g/J. [g/J]
    heat_rate : array_like
        Fuel energy over electric energy, both at the same heating value as the factor, >= 1; 10.5 MMBtu/MWh
        is 3.08. [J/J]

    Returns
    -------
    array
        Mass per electric energy, >= 0. Same shape as the broadcast inputs. [g/J]

    Raises
    ------
    ValueError
        If a factor is negative, or a heat rate below 1 (more electricity than fuel).

    References
    ----------
    .. [1] EPA, AP-42, Compilation of Air Pollutant Emission Factors, ch. 3.1 Stationary Gas Turbines, 2000.
    """
    factor, rate = np.asarray(factor_g_per_j, dtype=np.float64), np.asarray(heat_rate, dtype=np.float64)
    if np.any(factor < 0):
        raise ValueError("an emission factor is not negative")
    if np.any(rate < 1):
        raise ValueError("a heat rate is at least 1: fuel energy over electric energy")
    return factor * rate


def emitted_g(energy_j: ArrayLike, rate_g_per_j: ArrayLike) -> Array:
    """Mass emitted for an electric energy.

    Parameters
    ----------
    energy_j : array_like
        Electric energy at the facility's meter, >= 0. [J]
    rate_g_per_j : array_like
        Mass per electric energy, >= 0: of a turbine (see `turbine_rate_g_per_j`), or of a grid, location-based
        (the average plant) or marginal (the plant that follows one more unit of load). [g/J]

    Returns
    -------
    array
        Linear in the energy. [g]

    Raises
    ------
    ValueError
        If an energy or a rate is negative.

    References
    ----------
    .. [1] GHG Protocol Scope 2 Guidance, 2015: location-based method. Marginal figures are no part of it.
    """
    energy, rate = np.asarray(energy_j, dtype=np.float64), np.asarray(rate_g_per_j, dtype=np.float64)
    if np.any(energy < 0) or np.any(rate < 0):
        raise ValueError("energies and emission rates are not negative")
    return energy * rate


def water_m3(it_energy_j: ArrayLike, water_m3_per_j: ArrayLike) -> Array:
    """Water that cooling takes.

    Parameters
    ----------
    it_energy_j : array_like
        Energy of the IT equipment, >= 0. [J]
    water_m3_per_j : array_like
        Water usage effectiveness (WUE), >= 0: 1.8 L/kWh is 5e-10 m3/J. [m3/J]

    Returns
    -------
    array
        [m3]

    Raises
    ------
    ValueError
        If an energy or an intensity is negative.

    References
    ----------
    .. [1] The Green Grid, Water Usage Effectiveness (WUE), white paper 35, 2011.
    """
    energy, intensity = np.asarray(it_energy_j, dtype=np.float64), np.asarray(water_m3_per_j, dtype=np.float64)
    if np.any(energy < 0) or np.any(intensity < 0):
        raise ValueError("energies and water intensities are not negative")
    return energy * intensity


def full_load_hours(cap_g: ArrayLike, power_w: ArrayLike, rate_g_per_j: ArrayLike) -> Array:
    """Hours at full load after which a cap is used up; infinite where nothing is emitted.

    Parameters
    ----------
    cap_g : array_like
        Mass allowed, >= 0. [g]
    power_w : array_like
        Electric power at full load, >= 0. [W]
    rate_g_per_j : array_like
        Mass per electric energy, >= 0. [g/J]

    Returns
    -------
    array
        [h]
    """
    hourly = np.asarray(power_w, dtype=np.float64) * np.asarray(rate_g_per_j, dtype=np.float64) * 3600.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(hourly > 0, np.asarray(cap_g, dtype=np.float64) / hourly, np.inf))
