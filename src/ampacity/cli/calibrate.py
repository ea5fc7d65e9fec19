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
    from ampacity.cli.screen import Progress, shows, tell
    from ampacity.demand.calibrate import calibrate, write
    from ampacity.demand.requests import read_requests
    from ampacity.reporting.calibration_view import calibration_view

    progress, show = Progress("partitions"), shows(json, quiet=quiet)
    found = calibrate(
        read_requests(trace), trace.name, seed, today(), repetitions, progress if show else lambda done, total: None
    )
    progress.close()
    path = output or Path(f"{trace.stem}.demand.yaml")
    write(found, path)
    following = f"model: {path}     in a scenario's tier: behaviour: {{like: {path}}}"
    tell(calibration_view(found), json, quiet=quiet, after=following)


@app.command()
def serving(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Results of a benchmark: JSON of a tool, or CSV.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Which model was measured.")] = None,
    accelerator: Annotated[str | None, typer.Option("--accelerator", help="On which accelerator.")] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", help='TP4, "TP8 EP8" or a number of chips; the fewest that fit if left out.'),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="vllm, sglang or trtllm.")] = "vllm",
    precision: Annotated[
        str | None, typer.Option("--precision", help="Of the weights: bf16, fp8, fp4 or int4; fp8 if left out.")
    ] = None,
    kv_precision: Annotated[
        str | None, typer.Option("--kv-precision", help="Of the cache; bf16 beside bf16 weights, else fp8.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; with --published the folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file to write if it is there.")] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Refit the catalog to the published points instead.")
    ] = False,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="Show MODEL ACCELERATOR beside NVIDIA's measured kernels instead.")
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fit the serving model to your own benchmark results, and say how good the fit is."""
    from ampacity.cli.calibrate_serving import USUAL_PRECISION, kernel_opinion, measured, refit
    from ampacity.cli.screen import shows, tell

    given = list(files or [])
    if published and kernels:
        raise typer.BadParameter("one at a time", param_hint="--published and --kernels")
    try:
        if published:
            view = refit(given, out or Path(), progress=shows(json, quiet=quiet))
        elif kernels:
            view = kernel_opinion(given, layout, engine, precision or USUAL_PRECISION, kv_precision)
        else:
            path = out or Path("my-serving.yaml")
            view = measured(given, model, accelerator, layout, engine, precision, kv_precision, path, force=force)
    except ModuleNotFoundError as err:
        if err.name != "aiconfigurator_core":
            raise
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from None
    tell(view, json, quiet=quiet)
