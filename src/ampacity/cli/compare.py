"""`ampacity compare`: two schemes of limits on the same subscribers, or on a person's own last month."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import Json, Quiet, Seed

OWN_LOGS = "own"


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A dated preset, a YAML file of limits, or a scenario.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    on: Annotated[
        str | None, typer.Option("--on", metavar="SCENARIO", help="Whose subscribers; by default the announcement's.")
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="PATH",
            help='Your own last month under both: logs or a trace file; "own" finds the logs of Claude Code. '
            "Counts and times are read, no text; nothing leaves this machine.",
        ),
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="TIER", help="With --log: only the plan that you have.")
    ] = None,
    worlds: Annotated[int, typer.Option("--worlds", min=1, max=10_000, help="Draws from the ranges.")] = 100,
    people: Annotated[int, typer.Option("--people", min=100, max=10_000_000, help="Subscribers drawn.")] = 4000,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the page as an HTML file.")] = None,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
) -> None:
    """Compare two schemes of limits: who is hit, which window binds, what it takes to serve, with intervals."""
    if log is not None:
        _own_month(a, b, on, log, plan, output, json, quiet)
        return
    if plan is not None:
        raise typer.BadParameter("a plan is chosen for one's own log; expected --log beside it", param_hint="--plan")
    from ampacity.cli.screen import Progress, say_what_is_compiled, shows, tell
    from ampacity.planner.compare import compare as compared
    from ampacity.reporting.compare_view import compare_view

    progress, show = Progress("worlds"), shows(json, quiet=quiet)
    if show:
        say_what_is_compiled()
    c = compared(a, b, on=on, seed=seed, worlds=worlds, people=people, progress=progress if show else None)
    progress.close()
    if output is not None:
        from ampacity.reporting.compare_page import compare_page

        compare_page(c).save(output)
    tell(compare_view(c), json, quiet=quiet, after=f"page: {output}" if output else "")


def _own_month(
    a: str, b: str, on: str | None, log: str, plan: str | None, output: Path | None, json: str | None, quiet: bool
) -> None:
    from ampacity.cli.screen import tell
    from ampacity.demand.traces import claude_code, read
    from ampacity.reporting.own_month_view import own_month_page, own_month_view
    from ampacity.scenario.mistakes import Mistake, Mistakes

    path = claude_code.own_logs() if log == OWN_LOGS and not Path(log).exists() else Path(log)
    trace = read.read(path)
    if (people := trace.frame["user"].drop_nulls().n_unique()) > 1:
        words = "this compares the month of one person; `simulate --trace` takes one of many"
        raise Mistakes([Mistake(str(path), 0, "people", str(people), words)])
    view = own_month_view(a, b, trace, on=on, plan=plan)
    if output is not None:
        own_month_page(view).save(output)
    tell(view, json, quiet=quiet, after=f"page: {output}" if output else "")
