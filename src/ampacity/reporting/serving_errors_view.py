"""How far off the serving model is, where it was held against measurements that it had not seen."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.inference.coefficients import FAMILY, MEASURED
from ampacity.inference.survey import Operation
from ampacity.reporting.calibrated import calibrated_by, elsewhere
from ampacity.reporting.catalog_views import View
from ampacity.scenario import lookup
from ampacity.scenario.calibration import Calibration
from ampacity.scenario.mistakes import Mistake, Mistakes

CONFIGURATION, MODEL, ACCELERATOR = "configuration left out", "model left out", "accelerator left out"
OWN = "own load left out"
BY = ("accelerator", "engine", "model", "precision")
FIGURES = ("tpot", "ttft", "throughput")


@dataclass(frozen=True)
class Expected:
    """Error to expect: median and 90th percentile of the absolute relative error; None if never measured.

    median, p90: of TPOT; ttft_median, ttft_p90: of TTFT. split: what was left out of the fit when it was found.
    """

    split: str
    median: float | None
    p90: float | None
    words: str
    ttft_median: float | None = None
    ttft_p90: float | None = None


def expected_error(o: Operation, own: Calibration | None = None) -> Expected:
    """The error that goes with an operation's label: of the fit's own accelerators, of one left out, or unknown.

    A model that no measurement is of has the error of models left out, whatever the accelerator. own: the calibration
    that the operation's times come from; its error is that of its loads.
    """
    label, accelerator, model = o.coefficients.label, o.replica.chip, o.replica.model.name
    if own is not None:
        words = calibrated_by(own) + elsewhere(own, o.replica)
        return Expected(OWN, own.tpot.expected, None, words, own.ttft.expected)
    if label == MEASURED:
        seen = any(row["by"] == "model" and row["level"] == model for row in lookup.table("serving_errors"))
        split = CONFIGURATION if seen else MODEL
        row = _row(split, "accelerator", accelerator)
        of = (
            "with this accelerator's configurations left out"
            if seen
            else "with models left out, as this one never was in"
        )
        return _expected(split, row, of)
    row = _row(ACCELERATOR, "all", "")
    if label == FAMILY:
        return _expected(ACCELERATOR, row, "with accelerators left out")
    p90 = float(row["tpot_p90"])
    return Expected(
        "none",
        None,
        None,
        f"never held against measurements here; count on a TPOT more than {100 * p90:.0f} % off, a TTFT further still",
    )


def serving_errors_view(by: str | None = None) -> View:
    """The cross-validated errors, in all or by one of BY. Raises Mistakes for another word."""
    if by is not None and by not in BY:
        raise Mistakes([Mistake("show serving", 0, "--by", by, f"errors are known by {', '.join(BY)}")])
    shown = (by,) if by else ("all", "offline")
    rows = [row for row in lookup.table("serving_errors") if row["by"] in shown]
    lines = ["error of the serving model against measurements: median and 90th percentile, absolute", ""]
    wide = max(len(row["level"]) for row in rows)
    head = "  ".join(f"{name.upper() if name != 'throughput' else name:^18}" for name in FIGURES)
    kinds = "  ".join(f"{'median':>8} {'p90':>9}" for _ in FIGURES)
    lines.append(f"  {'':<24} {'':<{wide}} {'':>7}  {head}".rstrip())
    lines.append(f"  {'left out of the fit':<24} {'':<{wide}} {'points':>7}  {kinds}")
    for row in rows:
        cells = "  ".join(_cell(row, figure) for figure in FIGURES)
        lines.append(f"  {row['split']:<24} {row['level']:<{wide}} {int(row['points']):>7,}  {cells}")
    lines.append("\n  " + _source())
    return View("\n".join(lines), {"by": by or "all", "errors": [_numbers(row) for row in rows]})


def _numbers(row: dict[str, str]) -> dict[str, object]:
    words = ("split", "by", "level")
    return {k: v if k in words else int(v) if k == "points" else float(v) if v else None for k, v in row.items()}


def _cell(row: dict[str, str], figure: str) -> str:
    median, p90 = row[f"{figure}_median"], row[f"{figure}_p90"]
    return f"{100 * float(median):>6.1f} % {100 * float(p90):>7.1f} %" if median else f"{'':>18}"


def _source() -> str:
    row = next(row for row in lookup.table("serving_coefficients") if row["source"])
    return f"source: {row['source']}; again: ampacity calibrate serving --published"


def _row(split: str, by: str, level: str) -> dict[str, str]:
    rows = [row for row in lookup.table("serving_errors") if row["split"] == split]
    own = next((row for row in rows if (row["by"], row["level"]) == (by, level)), None)
    return own or next(row for row in rows if row["by"] == "all")


def _expected(split: str, row: dict[str, str], of: str) -> Expected:
    figures = ("tpot_median", "tpot_p90", "ttft_median", "ttft_p90")
    median, p90, first, first_p90 = (float(row[name]) for name in figures)
    words = (
        f"TPOT off by {100 * median:.0f} % (median), {100 * p90:.0f} % (nine in ten within), "
        f"TTFT by {100 * first:.0f} %, {100 * first_p90:.0f} %, {of}"
    )
    return Expected(split, median, p90, words, first, first_p90)
