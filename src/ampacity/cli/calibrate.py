"""`ampacity calibrate`: fit what the program assumes to what somebody has measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import Json, Quiet, Seed

app = typer.Typer(help="Fit the program's assumptions to measurements.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def calibrate() -> None:
    """Fit the program's assumptions to measurements."""


@app.command()
def demand(
    trace: Annotated[
        Path, typer.Argument(metavar="TRACE", help="Requests of sessions, in any format that `show trace` reads.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the model goes; by default NAME.demand.yaml here.")
    ] = None,
    repetitions: Annotated[
        int, typer.Option("--repetitions", min=0, help="Random partitions that the noise is measured on.")
    ] = 30,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
) -> None:
    """Fit the sessions of coding agents to a trace, and say how good the fit is."""
    from ampacity.base.calendar import today
    from ampacity.cli.screen import Progress, write_json
    from ampacity.demand.calibrate import calibrate, write
    from ampacity.demand.requests import read_requests
    from ampacity.reporting.calibration_view import calibration_view

    show = not quiet and json != "-"
    progress = Progress("partitions")
    found = calibrate(
        read_requests(trace), trace.name, seed, today(), repetitions, progress if show else lambda done, total: None
    )
    progress.close()
    path = output or Path(f"{trace.stem}.demand.yaml")
    write(found, path)
    view = calibration_view(found)
    write_json(json, view.data)
    if show:
        typer.echo(view.text)
        typer.echo(f"\n  model: {path}")
