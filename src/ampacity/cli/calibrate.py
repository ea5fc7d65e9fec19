"""`ampacity calibrate`: fit what the program assumes to what somebody has measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import Json, Quiet, Seed

USUAL_OUT = "my-serving.yaml"
USUAL_KNOWN = "40%"

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
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Results of a benchmark: JSON of a tool, or CSV. Or the log of a run of vLLM."
        ),
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
    known: Annotated[
        str | None, typer.Option("--known", help="Of a log: the share of the run that is fitted; 40% if left out.")
    ] = None,
    max_sequences: Annotated[
        int | None, typer.Option("--max-sequences", min=1, help="Of a log without meta.json: vLLM's max_num_seqs.")
    ] = None,
    token_budget: Annotated[
        int | None, typer.Option("--token-budget", min=1, help="The same: its max_num_batched_tokens.")
    ] = None,
    kv_blocks: Annotated[
        int | None, typer.Option("--kv-blocks", min=1, help="The same: blocks of its cache, of 16 tokens.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Of a log: which describes a model or an accelerator of your own.")
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
    """Fit the serving model to your own benchmark results or to the log of a run, and say how good the fit is."""
    from ampacity.cli.calibrate_log import Said, known_share, logged, logs_among
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
        elif logs_among(given):
            bounds = (max_sequences, token_budget, kv_blocks)
            said = Said(model, accelerator, layout, engine, precision, kv_precision, *bounds, scenario)
            view = logged(given[0], said, known_share(known or USUAL_KNOWN), out or Path(USUAL_OUT), force=force)
        else:
            _only_of_logs(known, max_sequences, token_budget, kv_blocks, scenario)
            path = out or Path(USUAL_OUT)
            view = measured(given, model, accelerator, layout, engine, precision, kv_precision, path, force=force)
    except ModuleNotFoundError as err:
        if err.name != "aiconfigurator_core":
            raise
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from None
    tell(view, json, quiet=quiet)


@app.command()
def forecast(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="What a gateway recorded; or its folder.")],
    foretold: Annotated[
        Path | None,
        typer.Option("--forecast", metavar="FILE", help="What was forecast of it; by default forecast.json beside it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where what is learned goes; by default learned.forecast.json here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file to write if it is there.")] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Hold a forecast against a gateway's journal, and learn from the difference."""
    from ampacity.cli.calibrate_forecast import USUAL_OUT, forecast_held
    from ampacity.cli.screen import tell

    path = out or Path(USUAL_OUT)
    beside = journal if journal.is_dir() else journal.parent
    view = forecast_held(journal, foretold or beside / "forecast.json", path, force=force)
    tell(view, json, quiet=quiet, after=f"written  {path}     the next forecast takes it up")


def _only_of_logs(*given: object) -> None:
    """Options that say something of a log alone are usage errors beside results."""
    if any(x is not None for x in given):
        named = "--known, --max-sequences, --token-budget, --kv-blocks, --scenario"
        raise typer.BadParameter("only with the log of a run, one JSON object a request", param_hint=named)
