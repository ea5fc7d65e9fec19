"""Identities of the announced fleet: arithmetic on the catalog, each with the figure that a source or our notes print.

Sources: Epoch AI ai-chip-counts (275,796 H100e for 150k/50k/30k), SemiAnalysis all-in constants, NVIDIA datasheets.
"""

from __future__ import annotations

from datetime import date

import pytest

from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.catalog_nouns import catalog_accelerator
from ampacity.scenario.site import Site
from ampacity.supply.fleet import Fleet, compare, fleet_of

MIX = {"h100-sxm": 150_000, "h200-sxm": 50_000}
ROWS = [
    # GB200, TDP, server, IT, SemiAnalysis, Epoch chain [MW], FP8, BF16 [EFLOP/s], H100e, HBM [PB], [EB/s]
    (20_000, 164, 292, 336, 388, 400, 496, 248, 250_500, 22.8, 0.90),
    (30_000, 176, 310, 357, 409, 430, 546, 273, 275_796, 24.6, 0.98),
]


def chip(name: str) -> Accelerator:
    return catalog_accelerator(name, date(2026, 5, 6))


def site() -> Site:
    return Site.model_validate({"name": "memphis", **lookup.site_defaults()})


def announced(gb200: int) -> Fleet:
    return fleet_of(site(), {chip(name): n for name, n in {**MIX, "gb200-nvl72": gb200}.items()})


@pytest.mark.parametrize("row", ROWS)
def test_the_announced_fleet_on_every_basis(row: tuple[float, ...]) -> None:
    gb200, *powers = row[:6]
    f = announced(int(gb200))
    names = ("tdp", "server", "it", "all_in", "epoch_chain")
    assert [round((f.power_w[name] or 0) / 1e6) for name in names] == pytest.approx(powers, abs=1)


@pytest.mark.parametrize("row", ROWS)
def test_the_announced_fleet_in_arithmetic_and_memory(row: tuple[float, ...]) -> None:
    f = announced(int(row[0]))
    fp8, bf16, h100e, hbm, hbm_rate = row[6:]
    assert f.fp8_flops == pytest.approx(fp8 * 1e18, rel=2e-3)
    assert f.bf16_flops == pytest.approx(bf16 * 1e18, rel=2e-3)
    assert f.h100e == pytest.approx(h100e, rel=2e-4)
    assert f.hbm_bytes == pytest.approx(hbm * 1e15, rel=3e-3)
    assert f.hbm_bytes_per_s == pytest.approx(hbm_rate * 1e18, rel=5e-3)


def test_300_mw_is_a_server_figure_for_this_fleet_and_a_fifth_under_any_facility_figure() -> None:
    f = announced(20_000)
    stated = compare(f, "announced", 300e6)
    assert stated.per_accelerator_w == pytest.approx(1364, abs=1)
    assert stated.nearest == "server"
    assert stated.over["server"] == pytest.approx(1.03, abs=0.005)
    assert all(stated.over[basis] < 0.8 for basis in ("all_in", "epoch_chain", "site_chain"))
    assert f.each_w["h100-sxm"]["all_in"] == 1730.0
    assert (f.per_accelerator_w()["all_in"] or 0) == pytest.approx(1764, abs=1)


def test_a_figure_that_one_accelerator_lacks_is_not_known_for_the_fleet() -> None:
    f = fleet_of(site(), {chip("h100-sxm"): 8, chip("a100-sxm"): 8})
    assert f.fp8_flops is None
    assert f.h100e is None
    assert f.bf16_flops == pytest.approx(8 * (989 + 312) * 1e12)


def test_a_fleet_of_nothing_is_compared_with_nothing() -> None:
    with pytest.raises(ValueError, match="draws some"):
        compare(fleet_of(site(), {}), "announced", 300e6)
