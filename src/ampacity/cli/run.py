"""`ampacity run`: check, plan and report in one go: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import AsOf, Json, Quiet, ScenarioName, Seed, Sets


def run(
    scenario: ScenarioName,
    sets: Sets = None,
    as_of: AsOf = None,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
    cells: Annotated[
        int, typer.Option("--cells", min=0, help="Of a fleet that is sampled: cells of each pool; 0: no requests.")
    ] = 5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the report goes; by default NAME.html here.")
    ] = None,
) -> None:
    """Check a scenario, find its limits, answer on one screen, and write the report."""
    from ampacity.cli.options import load_scenario
    from ampacity.cli.screen import planned, request_by_request, say, shows, write_json
    from ampacity.simulator.compile_ahead import Ahead

    s = load_scenario(scenario, sets, as_of)
    show = shows(json, quiet=quiet)
    ahead = Ahead()
    p = planned(s, seed, show=show, meanwhile=ahead.start if cells else None)
    from ampacity.reporting.result import result
    from ampacity.reporting.twin_told import told

    if show:
        say(p, [])
    if ahead.goes_on:
        if show:
            typer.echo("  compiling the engine, once for this version: a minute since the first sentence", err=True)
        ahead.wait()
    requests = told(request_by_request(p, seed, cells, show=show))
    if show:
        if requests.sentences:
            typer.echo("\n" + "\n".join(f"  {sentence}" for sentence in requests.sentences) + "\n")
        for word, line in requests.rows:
            typer.echo(f"  {word:<10} {line}")
    found = result(p)
    write_json(json, {**found, "answer": [*found["answer"], *requests.sentences], **requests.data})
    path = output or Path(f"{s.name}.html")
    from ampacity.reporting.page import report

    report(p, requests=requests.chapter).save(path)
    if show:
        typer.echo(f"\n  report: {path}     why: ampacity show limits {scenario}")
