"""`ampacity report`: the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import AsOf, Json, Quiet, ScenarioName, Seed, Sets


def report(
    scenario: ScenarioName,
    sets: Sets = None,
    as_of: AsOf = None,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file; by default NAME.html here.")
    ] = None,
) -> None:
    """Write one self-contained page: the answer in words, waterfall, hours, limits, cost, assumptions and sources.

    Of a scenario that is served, also what was simulated of it beside what its journal measured.
    """
    from ampacity.cli.options import load_scenario
    from ampacity.cli.screen import tell
    from ampacity.console.folder import folder_of
    from ampacity.forecast.chapter import measured_chapter
    from ampacity.planner.plan import plan
    from ampacity.reporting.catalog_views import View
    from ampacity.reporting.page import report as page
    from ampacity.reporting.result import result

    p = plan(load_scenario(scenario, sets, as_of), seed=seed)
    path, service = output or Path(f"{p.scenario.name}.html"), folder_of(scenario).path
    measured = measured_chapter(service, p.record.scenario_hash)
    page(p, measured=measured).save(path)
    words = str(path) if measured is None else f"{path}     with what {service.name} measured"
    data = result(p) if measured is None else result(p) | {"measured": list(measured.said)}
    tell(View(words, data), json, quiet=quiet)
