"""Power: what of the delivered accelerators it carries, on whichever basis it is stated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import PoolCapacity
from ampacity.supply.delivery import hours_of
from ampacity.supply.energized import nameplate_w, power_limit_w

Ours = Callable[..., Scenario]
PoolOf = Callable[..., PoolCapacity]
SERVER_W = 8 * 1275.0
IT, PUE = 1.14, 1.25


def power(watt: float, basis: str) -> dict[str, object]:
    return {"sites.here.power": {"value": f"{watt} W", "basis": basis}}


@pytest.mark.parametrize(("basis", "factor"), [("server", 1.0), ("it", IT), ("facility", IT * PUE)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.999])
def test_the_same_power_on_any_basis_energizes_the_same_share(
    pool_of: PoolOf, basis: str, factor: float, share: float
) -> None:
    assert pool_of(power(SERVER_W * factor * share, basis)).energized == pytest.approx(share)


def test_the_same_figure_on_another_basis_energizes_less(pool_of: PoolOf) -> None:
    server, it, facility = (pool_of(power(5_000, basis)).energized[0] for basis in ("server", "it", "facility"))
    assert server == pytest.approx(it * IT)
    assert it == pytest.approx(facility * PUE)


def test_power_to_spare_energizes_everything_and_no_more(pool_of: PoolOf) -> None:
    assert np.all(pool_of(power(10 * SERVER_W, "server")).energized == 1.0)
    assert np.all(pool_of({"sites.here.power": None}).energized == 1.0)


def test_a_site_without_any_power_energizes_nothing(pool_of: PoolOf) -> None:
    found = pool_of(power(0, "facility"))
    assert np.all(found.energized == 0.0)
    assert np.all(found.running_accelerators == 0.0)


def test_the_nameplate_is_the_servers_and_the_chips_own_limit_where_that_is_unknown(ours: Ours) -> None:
    s = ours()
    chip, site = s.accelerator("h100-sxm"), s.site("here")
    assert nameplate_w(chip, site, "server") == 1275.0
    assert nameplate_w(chip.model_copy(update={"server_w": None}), site, "server") == 700.0
    assert nameplate_w(chip, site, "facility") == pytest.approx(1275.0 * IT * PUE)


def feeds(**more: object) -> dict[str, object]:
    return {"sites.here.power": None, **{f"sites.here.{key}": value for key, value in more.items()}}


def days_on(limit_w: np.ndarray) -> list[bool]:
    return (limit_w.reshape(-1, 24) > 0).all(axis=1).tolist()


def test_a_turbine_runs_to_the_last_day_of_its_permit_and_no_further(ours: Ours) -> None:
    s = ours(feeds(turbines=[{"power": "20 kW", "permit": {"until": "2026-11-29"}}]))
    assert days_on(power_limit_w(s.site("here"), hours_of(s))) == [True] * 7 + [False] * 21


def test_a_turbine_that_leaves_before_its_permit_ends_feeds_until_it_leaves(ours: Ours) -> None:
    s = ours(feeds(turbines=[{"power": "20 kW", "until": "2026-11-26", "permit": {"until": "2027-01-01"}}]))
    assert days_on(power_limit_w(s.site("here"), hours_of(s))) == [True] * 3 + [False] * 25


def test_when_a_permit_expires_the_grid_alone_carries_its_share(pool_of: PoolOf) -> None:
    half = f"{SERVER_W * IT * PUE / 2} W"
    turbine = {"power": half, "permit": {"until": "2026-12-06"}}
    found = pool_of(feeds(grid=[{"power": half}], turbines=[turbine])).energized
    assert found[: 14 * 24] == pytest.approx(1.0)
    assert found[14 * 24 :] == pytest.approx(0.5)


def test_feeds_add_up_and_the_nameplate_of_the_site_caps_them(ours: Ours) -> None:
    grid = [{"power": "3 kW"}, {"power": "2 kW", "since": "2026-11-30"}]
    s = ours({**feeds(grid=grid), **power(4_000, "facility")})
    limit = power_limit_w(s.site("here"), hours_of(s))
    assert limit[: 7 * 24] == pytest.approx(3_000)
    assert limit[7 * 24 :] == pytest.approx(4_000)


def test_pools_of_a_site_share_its_power_alike(ours: Ours, pool_of: PoolOf) -> None:
    two = [{"site": "here", "accelerator": chip, "quantity": 8} for chip in ("h100-sxm", "b200-sxm")]
    needed = 8 * (1275.0 + 1788.0)
    found = pool_of({"contracts.server.deliveries": two, **power(needed / 2, "server")})
    assert found.energized == pytest.approx(0.5)
