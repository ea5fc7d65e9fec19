"""`ampacity simulate`: what every request meets, of a scenario's own people or of a trace."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ampacity.cli.options import AsOf, Json, Quiet, Seed, Sets

if TYPE_CHECKING:
    from ampacity.cli.screen import Progress
    from ampacity.reporting.simulated import Simulated
    from ampacity.scenario.scenario import Scenario
    from ampacity.simulator.fleet import Workers


class Engine(StrEnum):
    """Where the looks of a sampled fleet are worked out."""

    PROCESSES = "processes"
    RAY = "ray"


Hours = Annotated[
    int | None,
    typer.Option(
        "--hours", min=1, help="So many hours from the start, or the busiest with --cells all; else four weeks."
    ),
]
Cells = Annotated[
    str | None,
    typer.Option("--cells", metavar="N|all", help="Of a fleet that is sampled: cells of each pool, 5 if left out."),
]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="That share a sampled fleet; one for each processor.")
]
EngineName = Annotated[
    Engine, typer.Option("--engine", help="Of a sampled fleet: processes of this machine, or a cluster of Ray.")
]
TraceFile = Annotated[
    Path | None, typer.Option("--trace", metavar="FILE", help="Replay this trace instead of the scenario's people.")
]
ReplayFile = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="JOURNAL",
        help="Decide again on all that a live service decided, and compare; or its folder.",
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", help="Of --trace: on the replicas of which model, if there are several.")
]
Speed = Annotated[float, typer.Option("--speed", help="Of --trace: how much faster requests come.")]
RequestFile = Annotated[
    Path | None, typer.Option("--requests", metavar="FILE.parquet", help="Write every request as a row.")
]
PerfettoFile = Annotated[
    Path | None,
    typer.Option("--perfetto", metavar="FILE.json", help="Write a span of one replica for ui.perfetto.dev."),
]
ReplicaNumber = Annotated[
    int | None, typer.Option("--replica", min=0, help="Of --perfetto: which; by default the one that answers most.")
]
Span = Annotated[str, typer.Option("--span", help="Of --perfetto: how long, from the instant with most requests.")]
Event = Annotated[
    str | None, typer.Option("--event", metavar="KIND:NAME", help="Rehearse: reclaim:CONTRACT or outage:SITE.")
]
Notice = Annotated[
    str | None, typer.Option("--notice", help="Of --event: said so long before; the contract's if left out.")
]
Lasting = Annotated[str | None, typer.Option("--for", help="Of --event: for so long; for good if left out.")]
AtHour = Annotated[
    int | None, typer.Option("--at", metavar="HOUR", help="Of --event: from the start; the busiest if left out.")
]


def simulate(
    scenario: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="A YAML file, or a packaged scenario; none with --replay.")
    ] = None,
    sets: Sets = None,
    as_of: AsOf = None,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
    hours: Hours = None,
    cells: Cells = None,
    processes: Processes = None,
    engine: EngineName = Engine.PROCESSES,
    trace: TraceFile = None,
    model: Model = None,
    speed: Speed = 1.0,
    requests: RequestFile = None,
    perfetto: PerfettoFile = None,
    replica: ReplicaNumber = None,
    span: Span = "60 s",
    event: Event = None,
    notice: Notice = None,
    lasting: Lasting = None,
    at: AtHour = None,
    replay: ReplayFile = None,
) -> None:
    """Let every request happen: what people, or a trace, meet on the replicas; of a large fleet, in a sample."""
    from ampacity.cli.options import load_scenario
    from ampacity.cli.screen import Progress, headline, shows, tell

    if replay is not None:
        if scenario is not None or sets or trace or event or hours or requests or perfetto:
            raise typer.BadParameter("a journal says all of it; nothing else goes with it", param_hint="--replay")
        _replay(replay, json, quiet=quiet)
        return
    if scenario is None:
        raise typer.BadParameter("name a scenario, or a journal with --replay", param_hint="SCENARIO")
    _agree(trace, hours, model, speed, perfetto, replica)
    if event is None and (notice is not None or lasting is not None or at is not None):
        raise typer.BadParameter("only with --event", param_hint="--notice, --for, --at")
    if event is not None and (trace or hours or requests or perfetto):
        raise typer.BadParameter(
            "an event is rehearsed without them", param_hint="--trace, --hours, --requests, --perfetto"
        )
    many, workers = _cells(cells, trace), _workers(engine, processes)
    if trace is not None and workers is not None:
        raise typer.BadParameter("a trace is replayed in one process", param_hint="--processes, --engine")
    span_ps = _span_ps(span)
    s = load_scenario(scenario, sets, as_of)
    show = shows(json, quiet=quiet)
    if event is not None:
        from ampacity.cli.rehearse import rehearse

        if many == "all":
            raise typer.BadParameter("a rehearsal looks at some cells of each pool", param_hint="--cells")
        if show:
            _announce()
        rehearse(s, event, notice, lasting, at, many or 5, workers, seed, json, quiet=quiet)
        return
    if trace is None and (requests is not None or perfetto is not None):
        _every_request_is_kept(s, seed)
    if show:
        typer.echo(f"{headline(s)} · seed {seed}\n")
        _announce()
    progress = Progress("looks") if show else None
    r = _simulated(s, seed, hours, trace, model, speed, many, workers, progress)
    if progress is not None:
        progress.close()
    from ampacity.reporting.simulate_view import simulate_view

    written = []
    if requests is not None:
        from ampacity.reporting.request_file import write_requests

        write_requests(r, requests)
        written.append(f"requests: {requests}")
    if perfetto is not None:
        written.append(f"perfetto: {perfetto} ({_write_perfetto(r, perfetto, replica, span_ps)})")
    tell(simulate_view(r), json, quiet=quiet, after="     ".join(written))


def _replay(path: Path, json: str | None, *, quiet: bool) -> None:
    """Decide again on what a journal holds, or each of a folder's; exit code 1 if a decision was another."""
    from ampacity.cli.screen import tell
    from ampacity.journal.opening import journals_at
    from ampacity.reporting.replay_view import replay_view
    from ampacity.simulator.journal_replay import replay

    found = {journal.name: replay(journal) for journal in journals_at(path)}
    tell(replay_view(found), json, quiet=quiet)
    if any(one.differing for one in found.values()):
        raise typer.Exit(1)


def _simulated(
    s: Scenario,
    seed: int,
    hours: int | None,
    trace: Path | None,
    model: str | None,
    speed: float,
    cells: int | Literal["all"] | None,
    processes: Workers,
    progress: Progress | None,
) -> Simulated:
    """The run. What cannot be looked at ends here, in one sentence and with exit code 2."""
    from ampacity.demand.traces.read import read, with_requests
    from ampacity.reporting.simulated import TooLarge, simulate

    given = with_requests(read(trace)) if trace is not None else None
    try:
        return simulate(
            s,
            seed=seed,
            hours=hours,
            trace=given,
            model=model,
            speed=speed,
            cells=cells,
            processes=processes,
            progress=progress,
        )
    except TooLarge as err:
        typer.echo(f"{s.name}: not every request can be looked at: {err}", err=True)
        raise typer.Exit(2) from None
    except ValueError as err:
        if type(err) is not ValueError:
            raise
        raise typer.BadParameter(str(err)) from err


def _workers(engine: Engine, processes: int | None) -> Workers:
    """Who shares the looks. A cluster that nothing speaks to here is a usage error."""
    if engine is Engine.PROCESSES:
        return processes
    if processes is not None:
        raise typer.BadParameter(
            "a cluster has as many as it has; only with --engine processes", param_hint="--processes"
        )
    if find_spec("ray") is None:
        raise typer.BadParameter("ray is not installed; pip install 'ampacity[ray]'", param_hint="--engine")
    return "ray"


def _agree(
    trace: Path | None, hours: int | None, model: str | None, speed: float, perfetto: Path | None, replica: int | None
) -> None:
    """Options that have no effect without another, or none beside it, are usage errors."""
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"{speed:g}: above 0", param_hint="--speed")
    if trace is None and (model is not None or speed != 1.0):
        raise typer.BadParameter("only with --trace", param_hint="--model, --speed")
    if trace is not None and hours is not None:
        raise typer.BadParameter("a trace is replayed whole", param_hint="--hours")
    if perfetto is None and replica is not None:
        raise typer.BadParameter("only with --perfetto", param_hint="--replica")


def _cells(text: str | None, trace: Path | None) -> int | Literal["all"] | None:
    """A number of cells from 1 on, or all of them."""
    if text is None:
        return None
    if trace is not None:
        raise typer.BadParameter("a trace is replayed on every replica", param_hint="--cells")
    if text == "all":
        return "all"
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f'"{text}": a number from 1 on, or all', param_hint="--cells")
    return int(text)


def _every_request_is_kept(s: Scenario, seed: int) -> None:
    """Rows of requests and spans of a replica are those of a fleet of which every request is looked at."""
    from ampacity.scenario.announced import after
    from ampacity.scenario.worlds import draw
    from ampacity.simulator.twin import why_not

    if reason := why_not(after(draw(s, seed, 0))):
        raise typer.BadParameter(f"not of a fleet that is sampled: {reason}", param_hint="--requests, --perfetto")


def _span_ps(text: str) -> int:
    from ampacity.base.units import UnitError, to_base

    try:
        seconds = to_base(text, "duration")
    except UnitError as err:
        raise typer.BadParameter(f'"{text}": {err}', param_hint="--span") from err
    if not 0 < seconds <= 3600:
        raise typer.BadParameter(f'"{text}": above 0, at most 1 h', param_hint="--span")
    return round(seconds * 1e6) * 1_000_000


def _announce() -> None:
    from ampacity.base.compiled import is_compiled
    from ampacity.simulator.cell_loop import run_cell

    if not is_compiled(run_cell):
        typer.echo("  compiling the engine, once for this version: about a minute", err=True)


def _write_perfetto(r: Simulated, path: Path, replica: int | None, span_ps: int) -> str:
    """Write the span of a replica of the model with most requests; says which it was."""
    from json import dumps

    from ampacity.base.files import write_whole
    from ampacity.simulator import cell_rows as at
    from ampacity.simulator.perfetto import busiest, closely, perfetto

    run = max(r.runs, key=lambda run: run.result.count(at.ANSWERED))
    try:
        chosen, begin_ps = busiest(run, replica)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--replica") from err
    seen = closely(run, chosen, begin_ps, span_ps)
    write_whole(path, dumps(perfetto(run, seen), allow_nan=False) + "\n")
    return f"replica {chosen}, {len(seen.iterations):,} iterations from {begin_ps / 1e12:,.0f} s on"
