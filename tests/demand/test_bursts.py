"""Bursts: found again from what they drew, and following a public trace that no renewal law follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ampacity.demand.bursts import BurstLaw, bursts, fit_bursts
from ampacity.demand.goodness import distance
from ampacity.demand.mixture import Mixture

LAW = BurstLaw(
    size=Mixture((1.0,), (3.0,), (0.8,)),
    inside=Mixture((1.0,), (-3.0,), (0.5,), most=0.9),
    alike=0.5,
    between=Mixture((1.0,), (3.0,), (0.5,), least=1.5),
    split_s=1.0,
)


def dispersion(t: np.ndarray, width: float) -> float:
    count = np.bincount((t // width).astype(int))
    return float(count.var() / count.mean())


def test_times_rise_from_zero() -> None:
    t = bursts(LAW, 1, 100)
    assert t[0] == 0.0
    assert (np.diff(t) > 0).all()


def test_a_law_is_found_again_from_what_it_drew() -> None:
    found = fit_bursts(bursts(LAW, 1, 3000))
    assert found.size.mean == pytest.approx(LAW.size.mean, rel=0.06)
    assert found.inside.median == pytest.approx(LAW.inside.median, rel=0.05)
    assert found.between.median == pytest.approx(LAW.between.median, rel=0.05)
    assert found.alike == pytest.approx(LAW.alike, abs=0.05)


def test_fewer_bursts_drawn_are_the_first_of_more() -> None:
    few = bursts(LAW, 1, 10)
    assert (bursts(LAW, 1, 50)[: len(few)] == few).all()


def test_steady_traffic_has_no_bursts_to_fit() -> None:
    with pytest.raises(ValueError, match="found 1 bursts"):
        fit_bursts(np.arange(100) * 0.5)


def test_code_completions_are_followed_in_gaps_and_in_dispersion(shared: Callable[[str], Path]) -> None:
    trace = pl.read_csv(shared("demand/azure2023/AzureLLMInferenceTrace_code.csv"))
    t = np.sort(trace["TIMESTAMP"].str.slice(0, 26).str.to_datetime().dt.epoch("us").to_numpy() / 1e6)
    law = fit_bursts(t)
    drawn = [bursts(law, seed, 141) for seed in range(15)]
    assert np.median([distance(np.diff(x), np.diff(t)) for x in drawn]) < 0.10
    for width in (1.0, 10.0, 60.0):
        ours = np.median([dispersion(x, width) for x in drawn])
        assert ours == pytest.approx(dispersion(t - t[0], width), rel=0.30), width
