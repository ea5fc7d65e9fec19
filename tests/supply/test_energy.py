"""Energy of the hours: conserved between bases, between idle and nameplate, priced and weighed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.scenario.scenario import Scenario
from ampacity.supply.energy import energy

Ours = Callable[..., Scenario]
HOURS = 5
shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: sum(pair) <= 1)


@given(st.floats(0.01, 1e6), shares)
def test_energy_lies_between_idle_and_nameplate_and_is_the_same_on_every_basis(
    ours: Ours, count: float, share: tuple[float, float]
) -> None:
    s = ours()
    site, chip = s.site("here"), s.accelerator("h100-sxm")
    found = energy(site, chip, np.full(HOURS, count), np.full(HOURS, share[0]), np.full(HOURS, share[1]))
    seconds = count * HOURS * 3600
    assert 0.13 * 700 * seconds < found.server_j <= 1275 * seconds * (1 + 1e-12)
    assert found.it_j == pytest.approx(found.server_j * 1.14)
    assert found.facility_j == pytest.approx(found.it_j * 1.25)


def test_what_has_no_power_draws_nothing(ours: Ours) -> None:
    s = ours()
    found = energy(s.site("here"), s.accelerator("h100-sxm"), np.zeros(3), np.ones(3), np.zeros(3))
    assert found.facility_j == found.cost_usd == found.carbon_g == 0.0


def test_a_megawatt_hour_at_the_meter_costs_and_emits_what_the_site_says(ours: Ours) -> None:
    s = ours({"sites.here.electricity": "90 USD/MWh", "sites.here.carbon": "400 g/kWh", "sites.here.water": "1.8 L/kWh"})
    site = s.site("here")
    found = energy(site, s.accelerator("h100-sxm"), np.full(24, 8.0), np.full(24, 0.2), np.full(24, 0.5))
    meter_kwh = found.facility_j / 3.6e6
    assert found.cost_usd == pytest.approx(meter_kwh * 0.09)
    assert found.carbon_g == pytest.approx(meter_kwh * 400)
    assert found.water_m3 == pytest.approx(found.it_j / 3.6e6 * 1.8e-3)


def test_what_the_site_does_not_say_is_not_made_up(ours: Ours) -> None:
    s = ours({"sites.here.electricity": None, "sites.here.carbon": None})
    found = energy(s.site("here"), s.accelerator("h100-sxm"), np.ones(1), np.zeros(1), np.zeros(1))
    assert (found.cost_usd, found.carbon_g, found.water_m3) == (None, None, None)
