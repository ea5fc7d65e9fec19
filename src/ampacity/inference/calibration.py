"""The refit of the published points as the two tables of the catalog: coefficients, and how far off they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

import numpy as np

from ampacity.inference.coefficients import LEAST_SHIFT
from ampacity.inference.cross_validation import SPLITS, Errors, validate
from ampacity.inference.fit import Fit, Table, fit, parameters, table
from ampacity.inference.offline import offline_points
from ampacity.inference.published import SOURCE, points
from ampacity.inference.work import Array

Progress = Callable[[str], None]
COEFFICIENTS, ERRORS = "serving_coefficients.csv", "serving_errors.csv"


def published_calibration(progress: Progress) -> dict[str, str]:
    """Refit and cross-validate on the published points; the text of each file by its name. Takes a few minutes."""
    progress("reading the measured points and running their protocols")
    t = table(points(), offline_points())
    progress(f"fitting {len(t.points):,} points")
    whole = fit(t)
    rows = []
    for split, errors in zip(SPLITS, validate(t, whole), strict=True):
        progress(f"{split}: median error of TPOT {np.nanmedian(np.abs(errors.tpot)):.1%}")
        rows += list(_error_rows(t, errors))
    return {COEFFICIENTS: _text(list(coefficient_rows(t, whole))), ERRORS: _text(rows)}


def coefficient_rows(t: Table, f: Fit) -> Iterator[dict[str, object]]:
    """A row a shift: what it belongs to, its value, and how many points bear on it."""
    for (path, factor, level), shift in zip(parameters(t), f.shifts, strict=True):
        if factor != "all" and abs(shift) < LEAST_SHIFT:
            continue
        own = t.level[factor][len(t.points) :]  # each point once, and the offline ones
        count = np.count_nonzero(own == t.levels[factor].index(level))
        yield {
            "path": path,
            "factor": factor,
            "level": level,
            "log_shift": f"{shift:.4f}",
            "points": count,
            "source": f"{SOURCE}; serving_points.csv" if factor == "all" else "",
        }


def _error_rows(t: Table, e: Errors) -> Iterator[dict[str, object]]:
    predicted = ~np.isnan(e.tpot)
    yield _row(e, "all", "", predicted)
    for suite in sorted({p.suite for p in t.offline}):
        own = e.offline[[p.suite == suite for p in t.offline]]
        if not np.isnan(own).any():
            yield _offline_row(e, suite, own)
    for by in ("accelerator", "engine", "model", "precision"):
        values = np.array([getattr(p, by) for p in t.points])
        for value in np.unique(values[predicted]):
            yield _row(e, by, str(value), predicted & (values == value))


def _row(e: Errors, by: str, level: str, rows: Array) -> dict[str, object]:
    found: dict[str, object] = {"split": e.split, "by": by, "level": level, "points": int(np.count_nonzero(rows))}
    for name, values in (("tpot", e.tpot), ("ttft", e.ttft), ("throughput", e.throughput)):
        own = values[rows.astype(bool)]
        found[f"{name}_median"] = f"{np.median(np.abs(own)):.3f}"
        found[f"{name}_p90"] = f"{np.quantile(np.abs(own), 0.9):.3f}"
        found[f"{name}_low"], found[f"{name}_high"] = (f"{x:.3f}" for x in np.quantile(own, (0.05, 0.95)))
    return found


def _offline_row(e: Errors, suite: str, own: Array) -> dict[str, object]:
    """Throughput alone: nobody measures when a token comes."""
    low, high = np.quantile(own, (0.05, 0.95))
    names = [f"{name}_{of}" for name in ("tpot", "ttft") for of in ("median", "p90", "low", "high")]
    return {"split": e.split, "by": "offline", "level": suite, "points": len(own), **dict.fromkeys(names, "")} | {
        "throughput_median": f"{np.median(np.abs(own)):.3f}",
        "throughput_p90": f"{np.quantile(np.abs(own), 0.9):.3f}",
        "throughput_low": f"{low:.3f}",
        "throughput_high": f"{high:.3f}",
    }


def _text(rows: list[dict[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
