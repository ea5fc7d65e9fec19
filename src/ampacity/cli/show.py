"""`ampacity show`: one thing, with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import AsOf, Json, ScenarioName, Seed, Sets
from ampacity.cli.screen import tell

app = typer.Typer(help="Show one thing with its sources.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def accelerators(
    name: Annotated[str | None, typer.Argument(help="One of them; all if left out.")] = None,
    as_of: AsOf = None,
    json: Json = None,
) -> None:
    """Accelerators of the catalog: what they do, draw and cost, and who says so."""
    from ampacity.cli.options import day
    from ampacity.reporting.catalog_views import accelerator_view, accelerators_view

    view = accelerators_view(day(as_of)) if name is None else accelerator_view(name, day(as_of))
    tell(view, json)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="One of them; all if left out.")] = None, json: Json = None
) -> None:
    """Models of the catalog: their shapes, and where those are published."""
    from ampacity.reporting.catalog_views import model_view, models_view

    tell(models_view() if name is None else model_view(name), json)


@app.command()
def serving(
    model: Annotated[str | None, typer.Argument(help="A model of the catalog.")] = None,
    accelerators: Annotated[list[str] | None, typer.Argument(metavar="ACCELERATOR...", help="One or more.")] = None,
    isl: Annotated[int, typer.Option("--isl", help="Input tokens of a request.")] = 1024,
    osl: Annotated[int, typer.Option("--osl", help="Output tokens of a request.")] = 1024,
    cached: Annotated[int, typer.Option("--cached", help="Input tokens found in the prefix cache.")] = 0,
    slo: Annotated[str, typer.Option("--slo", help="Service level: means, at most.")] = "TTFT 2 s, TPOT 50 ms",
    engine: Annotated[
        str | None, typer.Option("--engine", help="vllm, sglang or trtllm; absent: the calibration's, or vllm.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="Of the weights: bf16, fp8, fp4, int4; absent: as published, or fp8."),
    ] = None,
    chips: Annotated[
        int | None, typer.Option("--chips", min=1, help="Accelerators that you have; absent: as many as it takes.")
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", metavar="FILE", help="Your own, as `calibrate serving` wrote it."),
    ] = None,
    drafts: Annotated[int, typer.Option("--drafts", help="Tokens guessed ahead (speculative decoding).")] = 0,
    acceptance: Annotated[float, typer.Option("--acceptance", help="Share of guesses that are right.")] = 0.7,
    errors: Annotated[bool, typer.Option("--errors", help="The model's errors against measurements.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Errors by accelerator, engine, model or precision.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the frontier as .html there; with --errors all of them, .md."
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Serving: the best layout of a model on an accelerator and why, the frontier, money, energy, expected error."""
    from ampacity.cli.options import page

    if errors:
        from ampacity.base.files import write_whole
        from ampacity.reporting.serving_errors_page import serving_errors_page
        from ampacity.reporting.serving_errors_view import serving_errors_view

        table = page(out, "table of errors is Markdown", (".md",))
        view = serving_errors_view(by)
        if table is not None:
            write_whole(table, serving_errors_page())
    else:
        from ampacity.cli.options import requests, service_level
        from ampacity.reporting.serving_view import Served, served, serving_view
        from ampacity.scenario.calibration_file import read_calibration

        if model is None or not accelerators:
            raise typer.BadParameter("needs a MODEL and an ACCELERATOR, or --errors")
        picture = page(out)
        own = None if calibration is None else read_calibration(calibration)
        if engine is None:
            engine = "vllm" if own is None else own.calibration.engine
        load = requests(engine.lower(), isl, osl, cached, drafts, acceptance)
        found = served(model, accelerators, load, service_level(slo), engine, precision, chips, own)
        view = serving_view(found)
        if picture is not None:
            from ampacity.reporting.serving_plot import save_frontier

            save_frontier([r for r in found if isinstance(r, Served)], picture)
    tell(view, json)


@app.command()
def limits(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A YAML file, a packaged scenario, or a dated preset.")
    ],
    sets: Sets = None,
    as_of: AsOf = None,
    json: Json = None,
    seed: Seed = 1,
) -> None:
    """Limits: of a scenario with what each window carries and why, or of a dated preset."""
    from ampacity.cli.options import load_scenario
    from ampacity.reporting.limit_views import limits_view, preset_view
    from ampacity.scenario import lookup

    if scenario in lookup.preset_names():
        view = preset_view(scenario)
    else:
        from ampacity.planner.plan import plan

        view = limits_view(plan(load_scenario(scenario, sets, as_of), seed=seed))
    tell(view, json)


@app.command()
def site(scenario: ScenarioName, sets: Sets = None, as_of: AsOf = None, json: Json = None) -> None:
    """Sites and fleets: power on every basis, per accelerator, against what is stated."""
    from ampacity.cli.options import load_scenario
    from ampacity.reporting.power_view import fleet_view

    tell(fleet_view(load_scenario(scenario, sets, as_of)), json)


@app.command()
def air(scenario: ScenarioName, sets: Sets = None, as_of: AsOf = None, json: Json = None, seed: Seed = 1) -> None:
    """Air: modelled emissions and water of every site, permits, and the fleet with and without its turbines."""
    from ampacity.cli.options import load_scenario
    from ampacity.planner.answer import answer
    from ampacity.reporting.air_view import air_view
    from ampacity.scenario.worlds import draw

    s = load_scenario(scenario, sets, as_of)
    tell(air_view(s, answer(draw(s, seed, 0))), json)


@app.command()
def utilization(
    scenario: ScenarioName, sets: Sets = None, as_of: AsOf = None, json: Json = None, seed: Seed = 1
) -> None:
    """Utilization: every ratio with its numerator and denominator, and the ladder of levers."""
    from ampacity.cli.options import load_scenario
    from ampacity.planner.answer import answer
    from ampacity.reporting.utilization_view import utilization_view
    from ampacity.scenario.worlds import draw

    s = load_scenario(scenario, sets, as_of)
    tell(utilization_view(s, answer(draw(s, seed, 0))), json)


@app.command()
def contracts(scenario: ScenarioName, sets: Sets = None, as_of: AsOf = None, json: Json = None, seed: Seed = 1) -> None:
    """Contracts: quantity, fee, price, exit and exposure of each; the largest supplier gone; concentration."""
    from ampacity.cli.options import load_scenario
    from ampacity.reporting.contract_view import contracts_view

    tell(contracts_view(load_scenario(scenario, sets, as_of), seed), json)


@app.command()
def orbit(scenario: ScenarioName, sets: Sets = None, as_of: AsOf = None, json: Json = None, seed: Seed = 1) -> None:
    """A site in orbit: shadow, mass, launches, upsets, attrition, cost by boundary, carbon, and what lies beside it."""
    from ampacity.cli.options import load_scenario
    from ampacity.planner.plan import plan
    from ampacity.reporting.orbit_view import orbit_view

    tell(orbit_view(plan(load_scenario(scenario, sets, as_of), seed=seed)), json)


@app.command()
def use(
    file: Annotated[Path, typer.Argument(metavar="JOURNAL", help="The journal of a live service, or its folder.")],
    days: Annotated[int, typer.Option("--days", min=1, help="Of the last so many days.")] = 30,
    json: Json = None,
) -> None:
    """Use: requests and tokens by kind of each subscriber, as a journal has it, or all of a folder."""
    from time import time

    from ampacity.console.folder import Folder
    from ampacity.console.keys import subscribers_of
    from ampacity.journal.opening import journals_at
    from ampacity.reporting.use_view import use_view

    keys = Folder(file if file.is_dir() else file.parent).keys
    names = {s.id: s.name for s in subscribers_of(keys)} if keys.exists() else {}
    tell(use_view(journals_at(file), days, int(time() * 1000), names), json)


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace, a log, or a folder of sessions.")],
    format: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Its format, if not told by content.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Any malformed row is an error.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write it as .parquet, .jsonl (Mooncake) or .csv (TraceLab replay)."
        ),
    ] = None,
    json: Json = None,
) -> None:
    """A trace of requests: whose load, how much of it cached, how bursty; logs are read for counts and times only."""
    from ampacity.demand.traces import read
    from ampacity.demand.traces.servegen import read_windows
    from ampacity.demand.traces.write import write
    from ampacity.reporting.trace_view import trace_view, windows_view

    name, wrote = format or read.detect(file), ""
    if name == read.WINDOWS and out is None:
        windows = read_windows(file)
        if strict and windows.malformed.count:
            raise windows.malformed.as_error(str(file))
        view = windows_view(windows)
    else:
        found = read.with_requests(read.read(file, name, strict))
        view = trace_view(found)
        if out is not None:
            wrote = f"written as {write(found, out)}: {out}"
    tell(view, json, after=wrote)
