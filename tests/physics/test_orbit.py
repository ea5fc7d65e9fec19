"""Circular orbits under J2 and their shadow, against independent programs and a table of published values."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.physics.contact import added_delay_s, longest_pass_s, slant_range_m
from ampacity.physics.eclipse import (
    annual_eclipse_fraction,
    dark_share,
    eclipse_fraction,
    eclipse_intervals,
    eclipse_seasons,
    fleet_floor,
    longest_eclipse_s,
    no_eclipse_beta_rad,
    ring_dark_share,
)
from ampacity.physics.orbit import (
    EARTH_RADIUS_M,
    TROPICAL_YEAR_S,
    Plane,
    beta_rad,
    latitude_rate_rad_s,
    node_rate_rad_s,
    period_s,
    sun_direction,
    sun_synchronous_inclination_rad,
    sun_synchronous_plane,
)

START = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
DAY = 86_400.0
YEAR = 365 * DAY

BRAHE = "brahe 1.8.0"
KELVINZERO = "kelvinzero 0.2.6, cylindrical shadow"
BASILISK = "Basilisk (bsk 2.12.1), conical shadow, almanac Sun"
DE421 = "conical shadow, DE421 Sun through Skyfield 1.55"
SGP4 = "sgp4 2.25 + satkit 0.24.1, conical; looser: SGP4's mean altitude is about 4 km off and LTAN drifts"


def plane(altitude_km: float, ltan_h: float) -> Plane:
    return sun_synchronous_plane(altitude_km * 1e3, ltan_h, START)


def sampled_share(p: Plane, first_day: float, last_day: float) -> float:
    begin, end = START + first_day * DAY, START + last_day * DAY
    return float(np.diff(eclipse_intervals(p, 0.0, begin, end)).sum() / (end - begin))


@pytest.mark.parametrize(
    ("altitude_km", "expected_deg"),
    [(500, 97.40181), (550, 97.59296), (800, 98.60311), (1000, 99.47934)],
    ids=[f"{row} {BRAHE}" for row in ("ORB001", "ORB002", "ORB004", "ORB005")],
)
def test_inclination_of_sun_synchronous_orbits(altitude_km: float, expected_deg: float) -> None:
    assert np.rad2deg(sun_synchronous_inclination_rad(altitude_km * 1e3)) == pytest.approx(expected_deg, abs=0.01)


@pytest.mark.parametrize(
    ("altitude_km", "expected_s"),
    [(650, 5863.693), (1000, 6307.119)],
    ids=[f"ORB007 {BRAHE}", f"ORB008 {BRAHE}"],
)
def test_period_of_circular_orbits(altitude_km: float, expected_s: float) -> None:
    assert period_s(altitude_km * 1e3) == pytest.approx(expected_s, abs=0.5)


@pytest.mark.parametrize(
    ("altitude_km", "beta_deg", "expected"),
    [(550, 30, 0.35111), (550, 60, 0.214735), (550, 70, 0.0), (1000, 0, 0.332342)],
    ids=[f"{row} {KELVINZERO}" for row in ("ORB010", "ORB011", "ORB013", "ORB014")],
)
def test_fraction_of_one_orbit_in_shadow(altitude_km: float, beta_deg: float, expected: float) -> None:
    assert eclipse_fraction(altitude_km * 1e3, np.deg2rad(beta_deg)) == pytest.approx(expected, abs=0.0005)


@pytest.mark.parametrize(
    ("altitude_km", "expected_deg"), [(550, 67.016), (800, 62.69)], ids=[f"ORB016 {KELVINZERO}", "ORB017 its README"]
)
def test_beta_beyond_which_there_is_no_shadow(altitude_km: float, expected_deg: float) -> None:
    assert np.rad2deg(no_eclipse_beta_rad(altitude_km * 1e3)) == pytest.approx(expected_deg, abs=0.02)


ANNUAL = [
    ("ORB019", 550, 18, 0.050263, 0.0005, KELVINZERO),
    ("ORB022", 650, 18, 0.040076, 0.0005, KELVINZERO),
    ("ORB025", 700, 18, 0.035576, 0.0005, KELVINZERO),
    ("ORB026", 800, 18, 0.027787, 0.0005, KELVINZERO),
    ("ORB028", 800, 6, 0.026697, 0.0005, KELVINZERO),
    ("ORB029", 900, 18, 0.021137, 0.0005, KELVINZERO),
    ("ORB032", 1200, 18, 0.006376, 0.0005, KELVINZERO),
    ("ORB034", 1500, 6, 0.0, 0.0005, KELVINZERO),
    ("ORB035", 800, 6, 0.0267, 0.0005, "kelvinzero README"),
    ("ORB043", 550, 18, 0.04914, 0.0015, SGP4),
    ("ORB044", 650, 18, 0.03911, 0.0015, SGP4),
    ("ORB046", 650, 6, 0.03853, 0.0015, SGP4),
    ("ORB047", 800, 18, 0.02704, 0.0015, SGP4),
    ("ORB050", 1400, 18, 4.35e-05, 0.0015, SGP4),
    ("ORB052", 650, 12, 0.36146, 0.0015, SGP4),
]


@pytest.mark.parametrize(
    ("altitude_km", "ltan_h", "expected", "within"),
    [row[1:5] for row in ANNUAL],
    ids=[f"{r[0]} {r[5]}" for r in ANNUAL],
)
def test_share_of_the_year_in_shadow(altitude_km: float, ltan_h: float, expected: float, within: float) -> None:
    assert annual_eclipse_fraction(plane(altitude_km, ltan_h), START) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize(
    ("altitude_km", "expected_days"),
    [(550, 100.8), (650, 90.8), (1000, 56.9)],
    ids=[f"{row} {KELVINZERO}" for row in ("ORB020", "ORB023", "ORB031")],
)
def test_days_of_the_shadow_season(altitude_km: float, expected_days: float) -> None:
    seasons = eclipse_seasons(plane(altitude_km, 18), START)
    assert np.diff(seasons).sum() / DAY == pytest.approx(expected_days, abs=2.5)


def test_the_season_of_a_dawn_dusk_orbit_is_summer_at_18_and_winter_at_6() -> None:
    def days(ltan_h: float) -> list[str]:
        return [str(datetime.fromtimestamp(t, UTC).date()) for t in eclipse_seasons(plane(650, ltan_h), START)[0]]

    assert days(18) == ["2027-05-07", "2027-08-06"]
    assert days(6) == ["2027-11-08", "2028-02-03"]  # whole, although the year turns in it


@pytest.mark.parametrize(
    ("altitude_km", "ltan_h", "expected_min"),
    [(1000, 18, 13), (650, 12, 36)],
    ids=[f"ORB049 {SGP4}", f"ORB053 {SGP4}"],
)
def test_the_longest_shadow(altitude_km: float, ltan_h: float, expected_min: float) -> None:
    assert longest_eclipse_s(plane(altitude_km, ltan_h), START) / 60 == pytest.approx(expected_min, abs=1.0)


SPANS = [
    ("ORB037", plane(650, 18), 160, 170, 0.200471, 0.0005, BASILISK),
    ("ORB038", plane(1000, 18), 0, 365, 0.015441, 0.0002, BASILISK),
    ("ORB040", plane(650, 18), 0, 365, 0.04013, 0.0002, DE421),
    ("ORB041", Plane(550e3, np.deg2rad(53.0), 0.0, START), 0, 365, 0.307651, 0.0005, DE421),
    ("ORB055", Plane(600e3, np.deg2rad(30.0), 0.0, START), 0, 365, 0.3494, 0.0015, SGP4),
    ("ORB056", plane(650, 18), 150, 190, 0.196272, 0.002, f"{BRAHE}: gravity J2-J6, Sun and Moon"),
]


@pytest.mark.parametrize(
    ("p", "first", "last", "expected", "within"), [row[1:6] for row in SPANS], ids=[f"{r[0]} {r[6]}" for r in SPANS]
)
def test_intervals_add_up_to_the_share_that_others_sampled(
    p: Plane, first: float, last: float, expected: float, within: float
) -> None:
    assert sampled_share(p, first, last) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize(
    ("altitude_km", "elevation_deg", "expected_km"),
    [(550, 30, 992.87), (650, 10, 2045.34), (1000, 20, 2121.46)],
    ids=["ORB064 law of cosines", "ORB065 law of cosines", "ORB067 law of cosines"],
)
def test_slant_range(altitude_km: float, elevation_deg: float, expected_km: float) -> None:
    assert slant_range_m(altitude_km * 1e3, np.deg2rad(elevation_deg)) / 1e3 == pytest.approx(expected_km, rel=0.001)


def test_the_longest_pass_of_650_km_takes_nine_minutes() -> None:
    assert longest_pass_s(650e3, np.deg2rad(10.0)) / 60 == pytest.approx(9.042, rel=0.01)  # ORB068, geometry


def test_a_relay_mesh_adds_tens_of_milliseconds() -> None:
    assert added_delay_s(650e3, np.deg2rad(30.0), 0, 0.0) == pytest.approx(4 * 3.9e-3, rel=0.05)
    assert 0.025 < added_delay_s(650e3, np.deg2rad(30.0), 4, 2e6) < 0.08


def test_the_node_of_a_sun_synchronous_orbit_goes_round_once_a_year() -> None:
    inclination = sun_synchronous_inclination_rad(650e3)
    assert node_rate_rad_s(650e3, inclination) * TROPICAL_YEAR_S == pytest.approx(2 * np.pi)


def test_what_cannot_fly_is_refused() -> None:
    with pytest.raises(ValueError, match="5,970 km"):
        sun_synchronous_inclination_rad(7e6)
    with pytest.raises(ValueError, match="below zero"):
        eclipse_fraction(-1.0, 0.0)


@pytest.mark.parametrize(("geometry", "floor"), [("cluster", 0.0), ("ring", 0.79), ("two-ltan-ring", 0.889)])
def test_81_satellites_fall_to_nothing_as_a_cluster_and_never_below_79_percent_as_a_ring(
    geometry: str, floor: float
) -> None:
    assert fleet_floor(geometry, 650e3, 18.0, START, 81) == pytest.approx(floor, abs=0.001)  # type: ignore[arg-type]


def test_a_ring_of_satellites_is_what_its_satellites_are_one_by_one() -> None:
    p, edges = plane(650, 18), START + 160 * DAY + 3600.0 * np.arange(25)
    one_by_one = [
        dark_share(eclipse_intervals(p, phase, edges[0], edges[-1]), edges)
        for phase in np.linspace(0, 2 * np.pi, 360, endpoint=False)
    ]
    assert np.mean(one_by_one, axis=0) == pytest.approx(ring_dark_share(p, edges), abs=5e-4)


altitudes = st.floats(200e3, 2_000e3)
betas = st.floats(0.0, np.pi / 2)


@given(altitudes, betas, betas)
def test_less_shadow_the_more_a_plane_faces_the_sun(altitude: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= eclipse_fraction(altitude, high) <= eclipse_fraction(altitude, low) < 0.5


@given(altitudes, altitudes, betas)
def test_less_shadow_the_higher_the_orbit(one: float, other: float, beta: float) -> None:
    low, high = sorted((one, other))
    assert eclipse_fraction(high, beta) <= eclipse_fraction(low, beta) + 1e-12


@given(altitudes, st.floats(0, 23.99), st.floats(0, 6.28), st.floats(0, 300), st.floats(0.2, 20))
def test_intervals_are_sorted_disjoint_inside_and_as_long_as_the_fraction_says(
    altitude: float, ltan_h: float, phase: float, first_day: float, days: float
) -> None:
    p = sun_synchronous_plane(altitude, ltan_h, START)
    begin, end = START + first_day * DAY, START + (first_day + days) * DAY
    found = eclipse_intervals(p, phase, begin, end)
    assert np.all(np.diff(found.reshape(-1)) > 0)
    assert found.size == 0 or (found[0, 0] >= begin and found[-1, 1] <= end)
    instants = np.linspace(begin, end, 501)
    mean = float(eclipse_fraction(altitude, beta_rad(p, instants)).mean())
    one_orbit = float(period_s(altitude)) / (end - begin)
    assert np.diff(found).sum() / (end - begin) == pytest.approx(mean, abs=0.5 * one_orbit + 1e-3)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.integers(1, 7))
def test_dark_shares_of_hours_add_up_to_the_intervals(corners: list[float], spans: int) -> None:
    even = np.sort(np.unique(corners))[: len(np.unique(corners)) // 2 * 2]
    found = even.reshape(-1, 2)
    edges = np.linspace(0.0, 1.0, spans + 1)
    assert dark_share(found, edges).mean() == pytest.approx(np.diff(found).sum(), abs=1e-9)


@pytest.mark.slow
def test_sun_and_shadow_are_those_of_an_ephemeris_and_of_positions_sampled_one_by_one() -> None:
    """Oracle: the Sun of DE421 through Skyfield; a satellite is dark where the Earth's disc hides the Sun's centre."""
    pytest.importorskip("skyfield_data")
    from skyfield.api import Loader, load
    from skyfield_data import get_skyfield_data_path

    rare = START + 10_800.0 * np.arange(365 * 8 + 1)
    times = load.timescale(builtin=True).tt_jd(2440587.5 + (rare + 69.2) / DAY)
    bodies = Loader(get_skyfield_data_path(), verbose=False)("de421.bsp")
    ra, dec, far = bodies["earth"].at(times).observe(bodies["sun"]).apparent().radec(epoch="date")
    true = np.column_stack(
        [np.cos(dec.radians) * np.cos(ra.radians), np.cos(dec.radians) * np.sin(ra.radians), np.sin(dec.radians)]
    )
    angle = np.rad2deg(np.arccos(np.clip(np.sum(true * sun_direction(rare), axis=-1), -1, 1)))
    assert angle.max() < 0.013

    p, instants = plane(650, 18), START + 120.0 * np.arange(365 * 720)
    sun = np.column_stack([np.interp(instants, rare, true[:, k] * far.m) for k in range(3)])
    node = p.node_rad + node_rate_rad_s(p.altitude_m, p.inclination_rad) * (instants - START)
    u = latitude_rate_rad_s(p.altitude_m, p.inclination_rad) * (instants - START)
    tilt, radius = p.inclination_rad, EARTH_RADIUS_M + p.altitude_m
    x = np.cos(node) * np.cos(u) - np.sin(node) * np.sin(u) * np.cos(tilt)
    y = np.sin(node) * np.cos(u) + np.cos(node) * np.sin(u) * np.cos(tilt)
    place = radius * np.column_stack([x, y, np.sin(u) * np.sin(tilt)])
    to_sun = sun - place
    cosine = np.sum(-place * to_sun, axis=-1) / radius / np.linalg.norm(to_sun, axis=-1)
    sampled = float(np.mean(np.arccos(np.clip(cosine, -1, 1)) < np.arcsin(EARTH_RADIUS_M / radius)))
    assert sampled_share(p, 0, 365) == pytest.approx(sampled, abs=2e-4)
    assert annual_eclipse_fraction(p, START) == pytest.approx(sampled, abs=2e-4)


def test_a_thousand_satellites_for_a_year_take_seconds() -> None:
    passages = sum(
        len(eclipse_intervals(plane(650, 18 + 0.01 * k), phase, START, START + YEAR))
        for k in range(50)
        for phase in np.linspace(0, 6, 20)
    )
    assert passages > 1_000_000
