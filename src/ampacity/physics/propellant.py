"""Speed that drag takes from a satellite, and the propellant that holding and leaving an orbit costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampacity.physics.orbit import EARTH_GM, orbit_radius_m

Array = NDArray[np.float64]

JULIAN_YEAR_S = 365.25 * 86400.0
STANDARD_GRAVITY = 9.80665
"""[m/s2]"""


def drag_m_s_per_year(
    density_kg_m3: ArrayLike, altitude_m: ArrayLike, area_per_mass_m2_kg: ArrayLike, drag_coefficient: float = 2.2
) -> Array:
    """Speed lost to drag in a year on a circular orbit held at its altitude.

    Parameters
    ----------
    density_kg_m3 : array_like
        Of the air there; it varies thirtyfold over a solar cycle. [kg/m3]
    altitude_m : array_like
        Height above the equatorial radius. [m]
    area_per_mass_m2_kg : array_like
        Area across the motion over mass. [m2/kg]

    Returns
    -------
    array
        [m/s per year]
    """
    speed_squared = EARTH_GM / orbit_radius_m(altitude_m)
    drag = 0.5 * np.asarray(density_kg_m3) * speed_squared * drag_coefficient * np.asarray(area_per_mass_m2_kg)
    return np.asarray(drag * JULIAN_YEAR_S)


def propellant_share(delta_v_m_s: ArrayLike, specific_impulse_s: ArrayLike) -> Array:
    """Share of a satellite's mass at launch that is propellant (Tsiolkovsky). [0 to 1]

    delta_v_m_s: total change of speed, >= 0. [m/s] specific_impulse_s: > 0. [s]
    """
    return np.asarray(-np.expm1(-np.asarray(delta_v_m_s) / (np.asarray(specific_impulse_s) * STANDARD_GRAVITY)))
