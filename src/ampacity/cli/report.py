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
    """Write one self-contained page: the answer in words, waterfall, hours, limits, cost, assumptions and sources."""
    from ampacity.cli.options import load_scenario
    from ampacity.cli.screen import tell
    from ampacity.planner.plan import plan
    from ampacity.reporting.catalog_views import View
    from ampacity.reporting.page import report as page
    from ampacity.reporting.result import result

    p = plan(load_scenario(scenario, sets, as_of), seed=seed)
    path = output or Path(f"{p.scenario.name}.html")
    page(p).save(path)
    tell(View(str(path), result(p)), json, quiet=quiet)
