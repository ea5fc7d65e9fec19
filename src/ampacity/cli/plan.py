"""`ampacity plan`: the limits that compute carries, and their hourly curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import AsOf, Json, Quiet, ScenarioName, Seed, Sets


def plan(
    scenario: ScenarioName,
    sets: Sets = None,
    as_of: AsOf = None,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for limits, curves, hours and waterfall as Parquet.")
    ] = None,
) -> None:
    """Find the largest limits that the compute carries, with an interval."""
    from ampacity.cli.options import load_scenario
    from ampacity.cli.screen import planned, say, shows, write_json
    from ampacity.reporting.result import result

    show = shows(json, quiet=quiet)
    p = planned(load_scenario(scenario, sets, as_of), seed, show=show)
    write_json(json, result(p))
    if output is not None:
        from ampacity.planner.frames import save

        save(p, output)
    if show:
        written = [("tables", f"{output}/")] if output is not None else []
        say(p, [*written, ("report", f"ampacity report {scenario}"), ("why", f"ampacity show limits {scenario}")])
