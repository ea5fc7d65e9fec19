"""From files of results to a calibration, with what it was worth; and that calibration as the text of a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

import numpy as np

from ampacity.inference.coefficients import ALL_PATHS, LEAST_SHIFT, Coefficients, catalog_digest, coefficients
from ampacity.inference.own_fit import SHIFTS, OwnFit, median_error, own_fit, shifted_costs
from ampacity.inference.own_loads import TPOT, TTFT, Loads, costs, impossible, loads
from ampacity.inference.replica import Replica
from ampacity.inference.results.measurement import Measurement
from ampacity.inference.results.read import Results
from ampacity.inference.work import EFFICIENCIES, Array
from ampacity.scenario.calibration import Calibration, Errors, Shifts
from ampacity.scenario.mistakes import Mistake, Mistakes


@dataclass(frozen=True)
class OwnCalibration:
    """calibration: what a scenario names. loads, fit: what it comes from. catalog, own: costs of ALL_PATHS before and
    after. left_out: rows of the files that were not used, and why. rows: how many the files have. repeated: copies of
    a row, each beside the first.
    """

    calibration: Calibration
    loads: Loads
    fit: OwnFit
    catalog: Array
    own: Array
    left_out: tuple[Mistake, ...]
    rows: int
    repeated: tuple[tuple[Measurement, Measurement], ...] = ()

    @property
    def loads_alone(self) -> bool:
        """Whether there is one load alone, so that none can be left out."""
        return len(self.loads.measurements) == 1

    @property
    def helps(self) -> bool:
        """Whether loads left out of the fit are predicted better with shifts than without; of one load, unknown."""
        return not self.fit.kept

    def times_catalog(self, ttft: bool) -> float | None:
        """How many times what the catalog says was measured, in the median; None if it was not."""
        own = (self.loads.kind == TTFT) == ttft
        ratios = self.loads.measured[own] / self.fit.before[own]
        return float(np.median(ratios)) if len(ratios) else None


def own_calibration(results: Results, r: Replica, kv_precision: str, sources: list[str], on: date) -> OwnCalibration:
    """Fit results of a replica. Raises Mistakes if no row is of use, or if one is faster than the chips can be."""
    if not results.measurements:
        nothing = Mistake("results", 0, "rows", "", f"none of {results.rows} is of use; a calibration needs at least 1")
        raise Mistakes([*results.left_out, nothing])
    if not r.sequences(_largest(results.measurements)):
        message = f"{r.model.name} {r.precision} with such a request does not fit on {r.accelerators} x {r.chip}"
        wrong = Mistake("results", 0, "layout", str(r.layout), f"{message}; is it another layout or precision?")
        raise Mistakes([wrong])
    t = loads(results.measurements, r)
    if wrong_rows := impossible(t, r):
        raise Mistakes(wrong_rows)
    base = coefficients(r.engine, r.chip, r.vendor, r.precision)
    catalog = costs(base)
    f = own_fit(t, catalog)
    return OwnCalibration(
        calibration=_calibration(t, f, r, kv_precision, sources, on, base, len(results.left_out_rows)),
        loads=t,
        fit=f,
        catalog=catalog,
        own=shifted_costs(catalog, f.shifts),
        left_out=results.left_out,
        rows=results.rows,
        repeated=results.repeated,
    )


def as_yaml(own: Calibration, catalog: Array, fitted: Array) -> str:
    """The calibration as a file: what it is of, how good it is, and its shifts with what they come to.

    catalog, fitted: costs of ALL_PATHS before and after the shifts.
    """

    def listed(e: Errors) -> str:
        return "{" + ", ".join(f"{k}: {v:.4f}" for k, v in e if v is not None) + "}"

    lines = [
        "# Written by `ampacity calibrate serving`. A placement names it: {calibration: THIS-FILE.yaml}",
        "kind: serving",
        f"date: {own.date}",
        "sources: [" + ", ".join(_quoted(s) for s in own.sources) + "]",
        f"points: {own.points}",
        f"left_out: {own.left_out}    # rows that were of no use",
        f"model: {own.model}",
        f"accelerator: {own.accelerator}",
        f"engine: {own.engine}",
        f"version: {_quoted(own.version)}    # of the engine in the catalog, from whose coefficients the shifts count",
        f"catalog: {_quoted(own.catalog)}    # hash of those coefficients",
        f"precision: {own.precision}",
        f"kv_precision: {own.kv_precision}",
        f"layout: {_quoted(own.layout)}",
        "# median errors as shares: with the catalog alone, with the shifts, of what the fit did not see",
        f"tpot: {listed(own.tpot)}",
        f"ttft: {listed(own.ttft)}",
        *_prompts(own),
        "# logarithms of what each path costs over what the catalog says; all and first add to those below them",
        "shifts:",
    ]
    for name, value in own.shifts:
        if value:
            lines.append(f"  {name}: {value:.4f}{_comes_to(name, catalog, fitted)}")
    if lines[-1] == "shifts:":
        lines[-1] = "shifts: {}"
    return "\n".join(lines) + "\n"


def _prompts(own: Calibration) -> list[str]:
    if not own.prompts_beside_reading:
        return []
    return ["prompts_beside_reading: true    # their products come on top of reading the weights; silent: the longer"]


def _comes_to(name: str, catalog: Array, fitted: Array) -> str:
    if name not in ALL_PATHS:
        return ""
    i = ALL_PATHS.index(name)
    before, after = float(catalog[i]), float(fitted[i])
    if name in EFFICIENCIES:
        return f"    # efficiency {1 / before:.2f} becomes {1 / after:.2f}"
    return f"    # {before:.3g} becomes {after:.3g}"


def _calibration(
    t: Loads, f: OwnFit, r: Replica, kv_precision: str, sources: list[str], on: date, base: Coefficients, left_out: int
) -> Calibration:
    def errors(ttft: bool) -> Errors:
        found = {k: median_error(t, p, ttft) for k, p in (("before", f.before), ("after", f.after))}
        return Errors(**found, left_out=median_error(t, f.left_out, ttft))

    shifts = {n: round(float(x), 4) for n, x in zip(SHIFTS, f.shifts, strict=True) if abs(x) >= LEAST_SHIFT}
    return Calibration.model_validate(
        {
            "date": on,
            "sources": sources,
            "points": len(t.measurements),
            "left_out": left_out,
            "model": r.model.name,
            "accelerator": r.chip,
            "engine": r.engine,
            "version": base.version,
            "catalog": catalog_digest(),
            "precision": r.precision,
            "kv_precision": kv_precision,
            "layout": str(r.layout),
            "tpot": errors(ttft=False),
            "ttft": errors(ttft=True),
            "shifts": Shifts(**shifts),
        }
    )


def point_rows(c: OwnCalibration) -> list[dict[str, object]]:
    """Every measured number with its predictions, for programs. [s]"""
    names = {TPOT: "tpot_s", TTFT: "ttft_s"}
    rows: list[dict[str, object]] = []
    for i, kind in enumerate(c.loads.kind):
        m: Measurement = c.loads.measurements[c.loads.load[i]]
        rows.append(
            {
                "file": m.file,
                "row": m.line,
                "quantity": names.get(int(kind), "all_requests_s"),
                "measured": float(c.loads.measured[i]),
                "before": float(c.fit.before[i]),
                "after": float(c.fit.after[i]),
                "left_out": None if c.loads_alone else float(c.fit.left_out[i]),
            }
        )
    return rows


def _largest(measurements: tuple[Measurement, ...]) -> float:
    """Tokens of context of the largest single request."""
    return max(m.input_tokens + m.output_tokens for m in measurements)


def _quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
