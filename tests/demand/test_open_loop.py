"""Rows without sessions: Poisson times, measured lengths, heavy users."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.goodness import distance
from ampacity.demand.open_loop import RowLaw, Rows, all_rows, law_of, window_rows
from ampacity.demand.population import share_of_top
from ampacity.demand.sessions import generate, served

PEOPLE = 1_000_000


@pytest.fixture(scope="module")
def law() -> RowLaw:
    model = packaged_model()
    return law_of(served(generate(model, 1, np.arange(1500)), model.service).frame())


@pytest.fixture(scope="module")
def rows(law: RowLaw) -> Rows:
    return window_rows(law, 1, 3, 500.0, 600.0, PEOPLE, 1.28)


def test_times_of_a_window_are_uniform_and_rising(rows: Rows) -> None:
    assert (np.diff(rows.t_s) >= 0).all()
    assert stats.kstest((rows.t_s - 1800.0) / 600.0, "uniform").pvalue > 1e-4


def test_gaps_are_exponential(rows: Rows) -> None:
    gaps = np.diff(rows.t_s)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.02)
    assert stats.kstest(gaps / gaps.mean(), "expon").statistic < 0.005


def test_counts_of_windows_are_poisson(law: RowLaw) -> None:
    count = np.array([len(r) for r in all_rows(law, 2, np.full(3000, 2.0), 10.0, 1000, 1.0)])
    assert count.mean() == pytest.approx(20.0, abs=5 * np.sqrt(20 / 3000))
    assert count.var() / count.mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / 3000))


def test_requests_are_those_of_the_law_as_whole_requests(law: RowLaw, rows: Rows) -> None:
    for name in ("input_tokens", "cached_tokens", "output_tokens"):
        assert distance(getattr(rows, name).astype(float), getattr(law, name).astype(float)) < 0.006, name
    known = set(zip(law.input_tokens.tolist(), law.cached_tokens.tolist(), law.output_tokens.tolist(), strict=True))
    some = zip(rows.input_tokens[:500], rows.cached_tokens[:500], rows.output_tokens[:500], strict=True)
    assert {tuple(int(v) for v in row) for row in some} <= known


def test_the_heaviest_hundredth_makes_its_share_of_the_requests(rows: Rows) -> None:
    heavy = (rows.user >= 0.99 * PEOPLE).mean()
    assert heavy == pytest.approx(float(share_of_top(0.01, 1.28)), abs=0.004)
    assert rows.user.min() >= 0 and rows.user.max() < PEOPLE


def test_one_person_alone_makes_all_requests(law: RowLaw) -> None:
    assert (window_rows(law, 1, 0, 5.0, 60.0, 1, 1.0).user == 0).all()


def test_nobody_asking_makes_no_rows(law: RowLaw) -> None:
    assert len(window_rows(law, 1, 0, 0.0, 600.0, 10, 1.0)) == 0


@pytest.mark.parametrize("number", [0, 1 << 31])
def test_a_number_of_people_that_no_row_can_hold_is_refused(law: RowLaw, number: int) -> None:
    with pytest.raises(ValueError, match="people is"):
        window_rows(law, 1, 0, 1.0, 1.0, number, 1.0)
