"""Radiators in orbit: what a square metre rejects, after what it takes in from Sun and Earth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

STEFAN_BOLTZMANN = 5.670374419e-8
"""[W/(m2 K4)]"""
SOLAR_W_M2 = 1361.0
"""Sunlight at one astronomical unit. [W/m2]"""
ALBEDO = 0.3
"""Share of sunlight that the Earth sends back. [-]"""
EARTH_INFRARED_W_M2 = 237.0
"""Thermal radiation of the Earth, at its surface. [W/m2]"""


def emitted_w_m2(temperature_k: ArrayLike, emissivity: ArrayLike, sides: int = 2) -> Array:
    """Thermal radiation of a plate, nothing taken off.

    Parameters
    ----------
    temperature_k : array_like
        >= 0. [K]
    emissivity : array_like
        0 to 1. [-]
    sides : int
        That see space.

    Returns
    -------
    array
        Per square metre of plate, not of surface. [W/m2]

    Raises
    ------
    ValueError
        If a temperature is negative.
    """
    temperature = np.asarray(temperature_k, dtype=np.float64)
    if np.any(temperature < 0):
        raise ValueError("a temperature in kelvin cannot be below zero")
    return sides * np.asarray(emissivity) * STEFAN_BOLTZMANN * temperature**4


def absorbed_w_m2(
    absorptivity: ArrayLike, emissivity: ArrayLike, solar_cosine: ArrayLike, earth_view: ArrayLike
) -> Array:
    """What a plate takes in from the Sun, from sunlight off the Earth, and from the Earth's own radiation.

    The Earth radiates in the infrared, so that part enters with the emissivity (Kirchhoff), not with the solar
    absorptivity: a white radiator takes in most of it.

    Parameters
    ----------
    absorptivity, emissivity : array_like
        Of sunlight, and in the infrared; each 0 to 1. [-]
    solar_cosine : array_like
        Cosine between plate normal and Sun, 0 (edge-on) to 1. [-]
    earth_view : array_like
        View factor of the Earth summed over the sides, 0 to 1. [-]

    Returns
    -------
    array
        Per square metre of plate. [W/m2]

    References
    ----------
    .. [1] D. G. Gilmore, Spacecraft Thermal Control Handbook, vol. 1, 2nd ed., 2002, ch. 2.
    """
    sunlight = np.asarray(solar_cosine) + ALBEDO * np.asarray(earth_view)
    return np.asarray(
        np.asarray(absorptivity) * SOLAR_W_M2 * sunlight
        + np.asarray(emissivity) * EARTH_INFRARED_W_M2 * np.asarray(earth_view)
    )


def radiator_area_m2(
    heat_w: ArrayLike,
    temperature_k: ArrayLike,
    emissivity: ArrayLike,
    absorptivity: ArrayLike,
    *,
    space_view: ArrayLike = 1.0,
    solar_cosine: ArrayLike = 0.0,
    earth_view: ArrayLike = 0.25,
) -> Array:
    """Area of a two-sided radiator that rejects a heat, linear in the heat.

    Parameters
    ----------
    heat_w : array_like
        To reject, >= 0. [W]
    temperature_k : array_like
        Of the plate. [K]
    emissivity, absorptivity, solar_cosine, earth_view : array_like
        As in `absorbed_w_m2`. [-]
    space_view : array_like
        Share of each side's half-space that is not the satellite itself, 0 to 1. [-]

    Returns
    -------
    array
        Area of plate; infinite where it takes in as much as it emits. [m2]
    """
    emitted = np.asarray(space_view) * emitted_w_m2(temperature_k, emissivity)
    net = emitted - absorbed_w_m2(absorptivity, emissivity, solar_cosine, earth_view)
    with np.errstate(divide="ignore"):
        return np.where(net > 0, np.asarray(heat_w, dtype=np.float64) / np.maximum(net, 1e-300), np.inf)
