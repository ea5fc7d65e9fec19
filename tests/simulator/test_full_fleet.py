"""A small fleet of which every cell is looked at in every hour: what samples of it say, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import stdtrit

from ampacity.scenario.load import load
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import Seen
from ampacity.simulator.estimate import Estimate, Sample
from ampacity.simulator.fleet import Fleet, Setting, fleet, known, seen_in
from ampacity.simulator.known_activity import Known
from ampacity.simulator.strata import Look, every_look, looks

MOST, HOURS = 2, 24
"""Replicas of a cell: 14 cells a pool."""
SAMPLES = {"cell-hours": 100, "known activity": 250}
SCENARIO = """
scenario: two-pools
start: 2026-06-02
horizon: 1 week
worlds: 1
service_level: {hours: 99 %, tpot: 50 ms}
sites:
  here: {time_zone: America/New_York, pue: 1.3, carbon: egrid-us, electricity: 60 USD/MWh}
contracts:
  bought:
    start: 2026-06-02
    deliveries:
      - {site: here, accelerator: h200-sxm, quantity: 28}
      - {site: here, accelerator: a100-sxm, quantity: 28}
    fee: {monthly: 200000 USD/month}
placements:
  small: {model: llama-3.1-8b, contract: bought, precision: bf16}
limits:
  team: {windows: {five-hour: {length: 5 h, tokens: 5 Mtoken}}}
tiers:
  developers: {people: 2000, model: llama-3.1-8b, limit: team, behaviour: {like: coding-agent}}
  chat: {kind: api, people: 8000, model: llama-3.1-8b, behaviour: {like: chat}}
  tools: {kind: api, people: 60, model: llama-3.1-8b, behaviour: {like: api-client, shape: flat}}
"""
TIERS, POOLS = ("developers", "chat", "tools"), ("a", "b")
FIGURES: dict[str, Callable[[Sample], Estimate]] = {
    "asked": lambda s: s.total(at.ASKED),
    "asked by chat": lambda s: s.total(at.ASKED, "chat"),
    "asked by clients who are in every cell": lambda s: s.total(at.ASKED, "tools"),
    "output": lambda s: s.total(at.OUTPUT_TOKENS),
    "refused": lambda s: s.ratio([at.REFUSALS], [at.ASKED]),
    "found": lambda s: s.ratio([at.HIT], [at.INPUT_TOKENS]),
    "TTFT p50": lambda s: s.quantile_s(at.TTFT, 0.5),
    "TTFT p90": lambda s: s.quantile_s(at.TTFT, 0.9),
}
Told = dict[tuple[str, str], list[Estimate]]


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    path = tmp_path_factory.mktemp("scenario") / "two-pools.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return fleet(Setting(load(path), {}))


@pytest.fixture(scope="module")
def every(laid_out: Fleet) -> dict[tuple[int, int, int], Seen]:
    found = {}
    for one in every_look(laid_out.replicas, list(range(HOURS)), MOST):
        seen = seen_in(laid_out, one)
        assert seen is not None
        found[one.pool, one.cell, one.hour] = seen
    return found


Gather = Callable[[list[Look], int, "Known | None"], Sample]


@pytest.fixture(scope="module")
def gather(every: dict[tuple[int, int, int], Seen]) -> Gather:
    def sample(wanted: list[Look], replicates: int, by: Known | None) -> Sample:
        s = Sample.empty(TIERS, POOLS, wanted, replicates, by)
        for one in wanted:
            s.add(one, every[one.pool, one.cell, one.hour])
        return s

    return sample


@pytest.fixture(scope="module")
def truth(laid_out: Fleet, gather: Gather) -> Sample:
    return gather(every_look(laid_out.replicas, list(range(HOURS)), MOST), 1, None)


@pytest.fixture(scope="module")
def told(laid_out: Fleet, gather: Gather) -> Told:
    """What samples say, with and without what is known."""
    found: Told = {(name, way): [] for name in FIGURES for way in SAMPLES}
    for (way, many), by in zip(SAMPLES.items(), (None, known(laid_out, HOURS)), strict=True):
        for seed in range(many):
            s = gather(looks(laid_out.load[:HOURS], laid_out.replicas, seed, most=MOST), 5, by)
            for name, figure in FIGURES.items():
                found[name, way].append(figure(s))
    return found


def test_known_activity_is_what_is_asked_but_for_windows_and_chance(laid_out: Fleet, truth: Sample) -> None:
    active, asked = known(laid_out, HOURS).active.sum(axis=0), truth.by_hour[:, :, at.ASKED]
    correlations = [np.corrcoef(active[i], asked[:, i])[0, 1] for i in range(len(TIERS))]
    assert correlations == [pytest.approx(1.0, abs=off) for off in (0.2, 0.01, 0.4)]


@pytest.mark.parametrize("name", FIGURES)
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent_of_samples(
    truth: Sample, told: Told, name: str
) -> None:
    """Two standard errors of a share of so many samples either way."""
    right = FIGURES[name](truth).value
    wider = float(stdtrit(4, 0.975) / stdtrit(4, 0.95))
    for way, many in SAMPLES.items():
        chance = 2 * float(np.sqrt(0.95 * 0.05 / many))
        held = [abs(np.log(right / e.value)) <= wider * np.log(e.value / e.low) for e in told[name, way]]
        assert 0.93 - chance <= np.mean(held) <= 0.97 + chance


@pytest.mark.parametrize("name", FIGURES)
def test_samples_are_right_on_the_mean(truth: Sample, told: Told, name: str) -> None:
    """Within three standard errors of the mean of these samples, and a hundredth for ratios."""
    for way, many in SAMPLES.items():
        values = np.array([e.value for e in told[name, way]]) / FIGURES[name](truth).value
        assert values.mean() == pytest.approx(1.0, abs=3 * values.std() / np.sqrt(many) + 0.01)


def test_what_is_known_makes_totals_more_certain_and_no_ratio_less(told: Told) -> None:
    def narrower(name: str) -> float:
        """Standard error over that of the same samples without."""
        with_it, without = (np.std([e.value for e in told[name, w][:100]]) for w in ("known activity", "cell-hours"))
        return float(with_it / without)

    assert narrower("asked") < 0.9
    assert narrower("asked by chat") < 0.95
    assert narrower("asked by clients who are in every cell") < 0.95
    for name in ("refused", "found", "TTFT p50", "TTFT p90"):
        assert narrower(name) < 1.1


def test_all_cells_of_all_hours_are_exactly_themselves(laid_out: Fleet, gather: Gather, truth: Sample) -> None:
    """Known activity of all that was looked at adds up to itself."""
    by = gather(every_look(laid_out.replicas, list(range(HOURS)), MOST), 1, known(laid_out, HOURS))
    assert by.factors.together == pytest.approx(1.0, rel=1e-12)
    assert by.total(at.ASKED).value == pytest.approx(truth.total(at.ASKED).value, rel=1e-12)
