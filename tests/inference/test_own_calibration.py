"""A calibration to one's own loads: what it recovers, what it refuses, and that a scenario's placement gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.coefficients import ALL_PATHS, FIRST, catalog_digest, shifted
from ampacity.inference.layout import Layout
from ampacity.inference.loop import measure, schedule
from ampacity.inference.own_calibration import OwnCalibration, as_yaml, own_calibration
from ampacity.inference.own_fit import SHIFTS
from ampacity.inference.own_loads import TPOT, TTFT, loads, predicted, protocol
from ampacity.inference.replica import Replica
from ampacity.inference.results.measurement import Measurement
from ampacity.inference.results.read import Results
from ampacity.inference.step_time import StepTime, step_time
from ampacity.inference.work import EFFICIENCIES, PATHS
from ampacity.reporting.serving_calibration_view import own_view
from ampacity.scenario.calibration import Calibration, Shifts
from ampacity.scenario.mistakes import Mistakes

GRID = [(i, o, c) for i, o in ((1024, 1024), (8192, 512), (128, 2048), (4096, 128)) for c in (1, 4, 16, 64, 128)]
NEW = [(2048, 512, 8), (512, 512, 96), (6000, 300, 32)]
TRUTHS = {
    "slower": Shifts(all=0.26, first=0.2),
    "faster": Shifts(all=-0.2, kernel_us=-0.4),
    "another kernel": Shifts(all=0.1, dense_memory=0.3, prefill_attention=0.4, kernel_us=0.5, first=0.5),
}


@pytest.fixture(scope="module")
def unit(on: Callable[..., StepTime]) -> Replica:
    return on("llama-3.1-70b", "h100-sxm", Layout(4)).replica


def calibration(shifts: Shifts) -> Calibration:
    return Calibration(
        date=date(2026, 11, 22),
        sources=("test",),
        points=1,
        model="llama-3.1-70b",
        accelerator="h100-sxm",
        engine="vllm",
        precision="fp8",
        shifts=shifts,
    )


def measured(r: Replica, shifts: Shifts, grid: list[tuple[int, int, int]], noise: float = 0.0) -> list[Measurement]:
    """What a replica with those shifts would measure: every request of every load, stepped through the loop."""
    step = step_time(r, calibration=calibration(shifts))
    draw = np.random.Generator(np.random.Philox(key=5))
    found = []
    for i, (isl, osl, c) in enumerate(grid, 1):
        m = Measurement("made.csv", i, isl, osl, c, 10 * c, 0.8, 1.0, 1.0, None)
        first = sum(cost * n for cost, n in zip(step.coefficients.first, (1, isl, c), strict=True))
        got = measure(schedule(protocol(m, r)), step.seconds, first)
        off = np.exp(noise * draw.standard_normal(2))
        found.append(
            replace(
                m,
                ttft_s=float(got.ttft_s.mean() * off[0]),
                tpot_s=float(got.tpot_s.mean() * off[1]),
                tokens_per_s=got.output_tokens_per_s,
            )
        )
    return found


def fitted(r: Replica, ms: list[Measurement]) -> OwnCalibration:
    return own_calibration(Results(tuple(ms), (), len(ms)), r, "fp8", ["made.csv"], date(2026, 11, 22))


def errors(c: OwnCalibration, r: Replica, shifts: Shifts, kind: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Errors on loads that the fit has not seen."""
    new = loads(measured(r, shifts, NEW), r)
    return np.abs(predicted(new, c.own) / new.measured - 1)[new.kind == kind]


@pytest.mark.parametrize("name", TRUTHS)
def test_twenty_loads_give_the_predictions_of_the_truth_within_three_per_cent(unit: Replica, name: str) -> None:
    truth = TRUTHS[name]
    found = fitted(unit, measured(unit, truth, GRID))
    assert found.calibration.tpot.before is not None and found.calibration.tpot.before > 0.1
    assert errors(found, unit, truth, TPOT).max() <= 0.03
    assert errors(found, unit, truth, TTFT).max() <= 0.03
    assert found.calibration.tpot.left_out is not None and found.calibration.tpot.left_out <= 0.03


def test_three_noisy_loads_move_everything_together(unit: Replica) -> None:
    truth = TRUTHS["slower"]
    found = fitted(unit, measured(unit, truth, [GRID[2], GRID[8], GRID[16]], noise=0.05))
    shifts = found.calibration.shifts
    assert shifts.all == pytest.approx(0.26, abs=0.06)
    assert max(abs(getattr(shifts, path)) for path in PATHS) < 0.1
    assert errors(found, unit, truth, TPOT).max() <= 0.1
    assert found.helps


def test_one_load_says_that_nothing_says_how_good_it_is(unit: Replica) -> None:
    found = fitted(unit, measured(unit, TRUTHS["slower"], GRID[7:8]))
    assert found.calibration.points == 1
    assert found.calibration.tpot.left_out is None
    assert found.calibration.label == "calibrated on 1 point of your own"


def test_a_part_that_the_fit_makes_worse_stays_as_the_catalog_has_it(unit: Replica) -> None:
    """TPOT is 30 % slower in all loads; TTFT is the catalog's but for one load, which drags the fit of the others."""
    slower, calm = (measured(unit, truth, GRID[5:9]) for truth in (TRUTHS["slower"], Shifts()))
    ms = [replace(m, ttft_s=other.ttft_s) for m, other in zip(slower, calm, strict=True)]
    ms[1] = replace(ms[1], ttft_s=6 * (ms[1].ttft_s or 0.0))
    found = fitted(unit, ms)
    (kept,) = found.fit.kept
    assert kept[0] is True
    assert found.calibration.ttft.before is not None and kept[1] > found.calibration.ttft.before
    shifts = found.calibration.shifts
    assert shifts.first == 0 and all(getattr(shifts, name) == 0 for name in FIRST)
    assert shifts.all > 0.1
    assert "the first token's costs stay as the catalog has them" in own_view(found).text


def test_throughput_alone_is_enough(unit: Replica) -> None:
    truth = TRUTHS["slower"]
    ms = [replace(m, ttft_s=None, tpot_s=None) for m in measured(unit, truth, GRID)]
    assert errors(fitted(unit, ms), unit, truth, TPOT).max() <= 0.03


def test_a_load_that_the_catalog_predicts_leaves_the_catalog_alone(unit: Replica) -> None:
    found = fitted(unit, measured(unit, Shifts(), GRID[:6]))
    assert found.calibration.tpot.before == pytest.approx(0, abs=2e-3)
    np.testing.assert_allclose(found.own, found.catalog, rtol=0.02)


def test_an_outlier_does_not_carry_the_fit_away(unit: Replica) -> None:
    truth = TRUTHS["slower"]
    ms = measured(unit, truth, GRID)
    assert ms[4].tpot_s is not None
    ms[4] = replace(ms[4], tpot_s=5 * ms[4].tpot_s)
    assert errors(fitted(unit, ms), unit, truth, TPOT).max() <= 0.08


@given(cost=st.floats(1.0001, 50), shift=st.floats(-10, 10))
def test_an_efficiency_never_passes_one_and_a_shift_of_zero_changes_nothing(cost: float, shift: float) -> None:
    assert shifted(cost, shift, is_efficiency=True) >= 1.0
    assert shifted(cost, 0.0, is_efficiency=True) == pytest.approx(cost)
    assert shifted(cost, -1e-6, True) <= shifted(cost, 0.0, True) <= shifted(cost, 1e-6, True)
    assert shifted(cost, shift, is_efficiency=False) == pytest.approx(cost * np.exp(shift))


@settings(max_examples=15)
@given(
    size=st.integers(1, 4), factor=st.floats(1.0, 30.0), seed=st.integers(0, 99), speed=st.sampled_from((0.5, 1.0, 5.0))
)
def test_whatever_possible_was_measured_efficiencies_stay_within_zero_and_one(
    unit: Replica, size: int, factor: float, seed: int, speed: float
) -> None:
    draw = np.random.default_rng(seed)
    grid = [GRID[i] for i in draw.choice(len(GRID), size, replace=False)]
    ms = [
        replace(m, tpot_s=m.tpot_s and m.tpot_s * factor, ttft_s=m.ttft_s and m.ttft_s * speed)
        for m in measured(unit, Shifts(), grid)
    ]
    try:
        found = fitted(unit, ms)
    except Mistakes as told:
        assert "faster than the chips can be" in told.as_text()
        return
    efficiencies = 1 / found.own[: len(EFFICIENCIES)]
    assert ((efficiencies > 0) & (efficiencies <= 1)).all()
    assert np.isfinite(found.own).all()


def test_a_load_faster_than_the_chips_is_refused_by_name_with_what_it_would_need(unit: Replica) -> None:
    ms = measured(unit, Shifts(), GRID[:3])
    ms[1] = replace(ms[1], tpot_s=0.004)
    with pytest.raises(Mistakes) as told:
        fitted(unit, ms)
    (mistake,) = told.value.mistakes
    assert (mistake.file, mistake.line, mistake.key, mistake.found) == ("made.csv", 2, "tpot", "4.00 ms")
    # 70.6e9 numbers of a byte and the head's at two, on four chips of 3.35 TB/s
    least_ms = unit.weight_bytes / 4 / 3.35e12 * 1e3
    assert "reading the weights" in mistake.message
    assert 0.95 * least_ms < float(mistake.message.split("needs ")[1].split(" ms")[0]) < 1.2 * least_ms


def test_a_time_in_seconds_is_asked_about_and_shown_with_its_digits(unit: Replica) -> None:
    (one,) = measured(unit, Shifts(), GRID[:1])
    assert one.tpot_s is not None
    with pytest.raises(Mistakes, match="seconds where ms belong") as told:
        fitted(unit, [replace(one, tpot_s=one.tpot_s / 1e3)])
    (mistake,) = told.value.mistakes
    assert mistake.found == f"{one.tpot_s:.3g} ms"
    with pytest.raises(Mistakes, match="another model, precision, layout or load"):
        fitted(unit, [replace(one, tpot_s=one.tpot_s / 5)])


def test_a_throughput_beyond_the_peak_says_what_the_most_would_be(unit: Replica) -> None:
    (one,) = measured(unit, Shifts(), GRID[:1])
    with pytest.raises(Mistakes, match=r"at most .* token/s"):
        fitted(unit, [replace(one, ttft_s=None, tpot_s=None, tokens_per_s=5000.0)])


def test_a_layout_that_cannot_hold_the_model_is_refused(on: Callable[..., StepTime], unit: Replica) -> None:
    ms = measured(unit, Shifts(), GRID[:1])
    small = on("llama-3.1-70b", "h100-sxm", Layout(1), precision="bf16", kv="bf16").replica
    with pytest.raises(Mistakes, match="does not fit on 1 x h100-sxm"):
        fitted(small, ms)


def test_no_row_of_use_is_refused_with_every_reason(unit: Replica) -> None:
    with pytest.raises(Mistakes, match="none of 2 is of use"):
        own_calibration(Results((), (), 2), unit, "fp8", ["a"], date(2026, 1, 1))


def test_the_names_of_shifts_are_the_names_of_paths() -> None:
    assert tuple(Shifts.model_fields) == SHIFTS == ("all", "first", *PATHS, *FIRST)


def test_a_step_time_takes_the_calibration(unit: Replica) -> None:
    own = fitted(unit, measured(unit, TRUTHS["slower"], GRID[:5])).calibration
    calm, changed = step_time(unit), step_time(unit, calibration=own)
    assert float(changed.seconds(8, 8192)) > 1.15 * float(calm.seconds(8, 8192))
    assert changed.coefficients.label == "calibrated on 5 points of your own"
    assert changed.coefficients.expected_error == own.tpot.left_out


def test_a_calibration_from_other_coefficients_says_so(unit: Replica) -> None:
    own = fitted(unit, measured(unit, TRUTHS["slower"], GRID[:2])).calibration
    assert own.catalog == catalog_digest()
    stale = own.model_copy(update={"catalog": "00000000"})
    assert "calibrate again" in step_time(unit, calibration=stale).coefficients.label


def test_the_file_says_what_the_fit_found(unit: Replica) -> None:
    found = fitted(unit, measured(unit, TRUTHS["another kernel"], GRID[:8]))
    text = as_yaml(found.calibration, found.catalog, found.own)
    assert "model: llama-3.1-70b" in text and 'layout: "TP4"' in text
    i = ALL_PATHS.index("dense_memory")
    assert f"efficiency {1 / found.catalog[i]:.2f} becomes {1 / found.own[i]:.2f}" in text
