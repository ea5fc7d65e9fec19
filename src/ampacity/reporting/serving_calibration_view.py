"""The serving model beside measurements, in words: one's own, the published ones, and measured kernels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ampacity.inference.calibration import COEFFICIENTS, ERRORS
from ampacity.inference.kernel_database import KernelTimes
from ampacity.inference.own_calibration import OwnCalibration, point_rows
from ampacity.inference.step_time import StepTime
from ampacity.reporting.catalog_views import View
from ampacity.reporting.serving_calibration_words import changes, verdict, warnings
from ampacity.scenario import lookup
from ampacity.scenario.calibration import Errors
from ampacity.scenario.mistakes import Mistake

SHOWN = 8
GRID = (
    (1, 1024, 0),
    (8, 1024, 0),
    (64, 1024, 0),
    (256, 1024, 0),
    (8, 8192, 0),
    (64, 8192, 0),
    (0, 0, 512),
    (0, 0, 4096),
    (32, 2048, 2048),
)
"""Iterations to compare: sequences, context of each, tokens of prefill."""


def own_view(c: OwnCalibration, assumed: Sequence[str] = ()) -> View:
    """What to doubt first; errors before, after and left out; what the shifts come to; what was left out and why.

    assumed: what nobody said and the fit rests on, in words.
    """
    own = c.calibration
    doubts = warnings(c, assumed)
    lines = [
        f"{own.model} {own.precision} on {own.accelerator} ({own.layout}, {own.engine}): {_loads(own.points)} measured",
        "",
        *(f"  Warning: {doubt}" for doubt in doubts),
        "  " + verdict(c),
        "",
        "  median error         catalog    calibrated    left out",
        f"  time per token     {_errors(own.tpot)}",
        f"  first token        {_errors(own.ttft)}",
        "",
        "  " + changes(c),
    ]
    if c.left_out:
        lines += ["", f"  {own.left_out} row{'s' * (own.left_out != 1)} of no use, left out:"]
        lines += [f"    {_where(m)}: {m.message}" for m in c.left_out[:SHOWN]]
        if len(c.left_out) > SHOWN:
            lines.append(f"    and {len(c.left_out) - SHOWN} more")
    data = {
        "calibration": own.model_dump(mode="json"),
        "helps": c.helps,
        "warnings": doubts,
        "measured": point_rows(c),
        "left_out": [asdict(m) for m in c.left_out],
    }
    return View("\n".join(lines), data)


def published_view(files: dict[str, str]) -> View:
    """Whether a refit of the published points is the catalog's, and its errors."""
    same = {name: _same(name, text) for name, text in files.items()}
    rows = [row for row in csv.DictReader(io.StringIO(files[ERRORS])) if row["by"] == "all"]
    verdict = (
        "The refit is what the package has, to the last digit."
        if all(same.values())
        else f"The refit differs from what the package has: shifts by {_largest_difference(files):.4f} at most."
    )
    lines = [verdict, "", "  median error                time per token   first token   throughput    points"]
    for row in rows:
        medians = "".join(f"{100 * float(row[k + '_median']):>13.1f} %" for k in ("tpot", "ttft", "throughput"))
        lines.append(f"  {row['split']:<27}{medians}{int(row['points']):>10,}")
    return View("\n".join(lines), {"equal": same, "errors": rows})


def kernels_view(fitted: StepTime, kernels: KernelTimes) -> View:
    """Iterations by the fitted model and by measured kernels, side by side."""
    rows = []
    for b, context, p in GRID:
        at = (b, b * context, p, p * p / 2)
        one, other = float(fitted.seconds(*at)), float(kernels.seconds(*at))
        rows.append(
            {"decoding": b, "context": context, "prefill": p, "fitted_s": one, "kernels_s": other, "ratio": one / other}
        )
    off = float(np.median([abs(r["ratio"] - 1) for r in rows]))
    r = fitted.replica
    lines = [
        f"{r.model.name} {r.precision} on {r.accelerators} x {r.chip} ({r.layout}, {r.engine})",
        "",
        "  decoding  context  prefill     fitted    kernels   fitted / kernels",
        *(
            f"  {x['decoding']:>8,} {x['context']:>8,} {x['prefill']:>8,}  {1e3 * x['fitted_s']:>6.2f} ms  "
            f"{1e3 * x['kernels_s']:>6.2f} ms   {x['ratio']:.2f}"
            for x in rows
        ),
        "",
        f"  The two differ by {100 * off:.0f} % in the median of these iterations.",
        f"  fitted: {fitted.coefficients.label}, {r.engine} {fitted.coefficients.version}",
        f"  kernels: {kernels.source}",
    ]
    data = {"replica": {"model": r.model.name, "accelerator": r.chip, "layout": str(r.layout), "engine": r.engine}}
    return View("\n".join(lines), {**data, "source": kernels.source, "median_difference": off, "iterations": rows})


def _loads(n: int) -> str:
    return "1 load" if n == 1 else f"{n} loads"


def _errors(e: Errors) -> str:
    return "   ".join(f"{'-':>9}" if x is None else f"{100 * x:>7.1f} %" for x in (e.before, e.after, e.left_out))


def _where(m: Mistake) -> str:
    row = f", row {m.line}" if m.line else ""
    return f"{m.file}{row}, {m.key}" + (f" ({m.found})" if m.found else "")


def _same(name: str, text: str) -> bool:
    return (lookup.CATALOG / name).read_text(encoding="utf-8") == text


def _largest_difference(files: dict[str, str]) -> float:
    """Largest difference of a shift between the refit and the package."""
    packaged, refit = (
        {(r["path"], r["factor"], r["level"]): float(r["log_shift"]) for r in rows}
        for rows in (lookup.table("serving_coefficients"), csv.DictReader(io.StringIO(files[COEFFICIENTS])))
    )
    return max(abs(packaged.get(key, 0.0) - refit.get(key, 0.0)) for key in packaged | refit)
