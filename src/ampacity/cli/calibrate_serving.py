"""The three ways to calibrate the serving model, from words of the command line to a view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ampacity.scenario.mistakes import Mistake, Mistakes

if TYPE_CHECKING:
    from ampacity.inference.replica import Replica
    from ampacity.reporting.catalog_views import View

USUAL_PRECISION = "fp8"
CONTEXT_TOKENS = 8192
"""Context for which the fewest chips are looked for where nobody names a layout."""


def measured(
    files: list[str],
    model: str | None,
    accelerator: str | None,
    layout: str | None,
    engine: str,
    precision: str | None,
    kv_precision: str | None,
    out: Path,
    *,
    force: bool,
) -> View:
    """Fit a calibration to files of results and write it; a file that is there only with `force`. Raises Mistakes."""
    from ampacity.base.calendar import today
    from ampacity.base.files import write_whole
    from ampacity.inference.own_calibration import as_yaml, own_calibration
    from ampacity.inference.results.read import read_results
    from ampacity.reporting.catalog_views import View
    from ampacity.reporting.serving_calibration_view import own_view

    if not files:
        raise typer.BadParameter("name files of results, or ask for --published or --kernels", param_hint="FILE")
    paths = [Path(f) for f in files]
    wrong: list[Mistake] = []
    if out.exists() and not force:
        message = "is there already; --force replaces it, another --out keeps it"
        wrong.append(Mistake(out.name, 0, "file", "", message))
    found, unit = None, None
    try:
        found = read_results(paths)
    except Mistakes as err:
        wrong += err.mistakes
    try:
        unit = _replica(model, accelerator, layout, engine, precision or USUAL_PRECISION, kv_precision)
    except Mistakes as err:
        wrong += err.mistakes
    if wrong or found is None or unit is None:
        raise Mistakes(wrong)
    assumed = []
    if not layout:
        assumed.append(f"no --layout given; taken to be {unit[0].layout}, the fewest chips that fit.")
    if not precision:
        assumed.append(f"no --precision given; taken to be {USUAL_PRECISION}, with the cache {unit[1]}.")
    try:
        calibration = own_calibration(found, *unit, list(dict.fromkeys(p.name for p in paths)), today())
    except Mistakes as err:
        raise Mistakes([*err.mistakes, *(Mistake("options", 0, "assumed", "", text) for text in assumed)]) from err
    write_whole(out, as_yaml(calibration.calibration, calibration.catalog, calibration.own))
    view = own_view(calibration, assumed)
    following = f"\n\n  written  {out}     use it: placements: {{main: {{calibration: {out.name}}}}}"
    following += f"\n           or: ampacity show serving {unit[0].model.name} {unit[0].chip} --calibration {out}"
    return View(view.text + following, {**view.data, "file": str(out)})


def refit(given: list[str], folder: Path, *, progress: bool) -> View:
    """Refit the published points, write both tables and compare them with the package's. Raises Mistakes."""
    from ampacity.base.files import write_whole
    from ampacity.inference.calibration import published_calibration
    from ampacity.reporting.catalog_views import View
    from ampacity.reporting.serving_calibration_view import published_view

    if given:
        raise typer.BadParameter("--published takes no files", param_hint="FILE")
    if not folder.is_dir():
        raise Mistakes([Mistake("--out", 0, str(folder), "", "no such folder; the tables are written into one")])
    files = published_calibration(lambda text: typer.echo(f"  {text}", err=True) if progress else None)
    view = published_view(files)  # before writing: the folder may be the package's own
    for name, text in files.items():
        write_whole(folder / name, text)
    written = [str(folder / name) for name in files]
    return View(view.text + f"\n\n  written  {', '.join(written)}", {**view.data, "files": written})


def kernel_opinion(given: list[str], layout: str | None, engine: str, precision: str, kv_precision: str | None) -> View:
    """The fitted model beside NVIDIA's kernels. Raises Mistakes."""
    from ampacity.inference.kernel_database import NotInDatabase, kernel_times
    from ampacity.inference.step_time import step_time
    from ampacity.reporting.serving_calibration_view import kernels_view

    if len(given) != 2:
        raise typer.BadParameter("expected MODEL ACCELERATOR, such as llama-3.1-70b h100-sxm", param_hint="--kernels")
    unit, _ = _replica(given[0], given[1], layout, engine, precision, kv_precision)
    try:
        return kernels_view(step_time(unit), kernel_times(unit))
    except NotInDatabase as err:
        raise Mistakes([Mistake("--kernels", 0, " ".join(given), "", str(err))]) from err


def _replica(
    model: str | None, accelerator: str | None, layout: str | None, engine: str, precision: str, kv: str | None
) -> tuple[Replica, str]:
    """The replica that the options name, and the precision of its cache. Raises Mistakes with all that is wrong."""
    from ampacity.inference.layout_text import layout_from
    from ampacity.inference.operating_point import smallest_replica
    from ampacity.inference.replica import replica, usual_kv
    from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
    from ampacity.scenario.spelling import Spelling

    names = Spelling("options")
    model, accelerator = names.model(model, "--model"), names.accelerator(accelerator, "--accelerator")
    engine, precision = names.engine(engine, "--engine"), names.precision(precision, "--precision")
    kv = names.kv_precision(kv or usual_kv(precision), "--kv-precision")
    names.check()
    shape = catalog_model(model)
    chip = catalog_accelerator(accelerator)
    try:
        degrees = layout_from(layout, shape) if layout else None
    except ValueError as err:
        raise Mistakes([Mistake("options", 0, "--layout", layout or "", str(err))]) from err
    try:
        chips = degrees or smallest_replica(shape, chip, precision, kv, CONTEXT_TOKENS)
        return replica(shape, chip, precision, kv, chips, engine), kv
    except ValueError as err:
        raise Mistakes([Mistake("options", 0, "--precision", precision, str(err))]) from err
