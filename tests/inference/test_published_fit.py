"""The fit to the published points: the catalog's tables follow from them, and what they say of its errors holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ampacity.inference.coefficients import PATHS, coefficients
from ampacity.inference.cross_validation import SPLITS
from ampacity.inference.published import installed
from ampacity.scenario import lookup

BY_POINTS = pytest.mark.skipif(not installed(), reason="the measured points come with aiconfigurator-core")


def error(split: str, column: str) -> float:
    (row,) = (r for r in lookup.table("serving_errors") if r["split"] == split and r["by"] == "all")
    return float(row[column])


@pytest.fixture(scope="module")
def refit() -> tuple[Any, Any]:
    """The table of all points, and the fit to all of it from its plain start."""
    from ampacity.inference.fit import fit, table
    from ampacity.inference.offline import offline_points
    from ampacity.inference.published import points

    t = table(points(), offline_points())
    return t, fit(t)


def test_every_split_is_in_the_catalog() -> None:
    assert {r["split"] for r in lookup.table("serving_errors")} == set(SPLITS)


@pytest.mark.parametrize("chip", ["h100-sxm", "h200-sxm", "b200-sxm", "b300-sxm", "gb200-nvl72", "mi300x"])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize("precision", ["bf16", "fp8", "fp4", "int4"])
def test_efficiencies_lie_within_zero_and_one(chip: str, engine: str, precision: str) -> None:
    c = coefficients(engine, chip, "NVIDIA" if chip != "mi300x" else "AMD", precision)
    assert all(0 < e <= 1 for e in c.efficiencies.values())
    assert len(c.cost) == len(PATHS) and min(c.cost) > 0


@pytest.mark.slow
@BY_POINTS
def test_refitting_the_published_points_gives_the_catalog(refit: tuple[Any, Any]) -> None:
    from ampacity.inference.fit import Fit, parameters, predicted

    t, again = refit
    packaged = {
        (r["path"], r["factor"], r["level"]): float(r["log_shift"]) for r in lookup.table("serving_coefficients")
    }
    assert set(packaged) <= set(parameters(t))
    own = Fit(np.array([packaged.get(key, 0.0) for key in parameters(t)]))
    np.testing.assert_allclose(predicted(t, again), predicted(t, own), rtol=0.01)


@pytest.mark.slow
@BY_POINTS
def test_one_fold_of_configurations_left_out_errs_as_the_catalog_says(refit: tuple[Any, Any]) -> None:
    """Recomputed by hand: an eighth of the configurations, by the hash of their names, predicted by the rest."""
    from zlib import crc32

    from ampacity.inference.fit import fit, predicted

    t, whole = refit
    one = np.array([crc32(p.group.encode()) % 8 == 0 for p in t.points])
    out = np.concatenate([one, one, np.zeros(len(t.offline), dtype=bool)])
    assert 200 < one.sum() < 500
    seen = fit(t, np.flatnonzero(~out), start=whole)
    n = len(t.points)
    off = np.abs(predicted(t, seen)[:n][one] / t.measured[:n][one] - 1)
    assert np.median(off) <= 0.12
    assert np.quantile(off, 0.9) <= 0.38
    assert np.median(off) == pytest.approx(error("configuration left out", "tpot_median"), abs=0.03)
