"""An answer on one screen: the first sentence at once, progress, then sentences, numbers, and where to look next."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampacity.planner.plan import Plan
    from ampacity.reporting.catalog_views import View
    from ampacity.scenario.scenario import Scenario
    from ampacity.simulator.fleet_run import FleetRun
    from ampacity.simulator.twin import Weeks


def planned(s: Scenario, seed: int, *, show: bool, meanwhile: Callable[[], None] | None = None) -> Plan:
    """Plan a scenario, saying the first sentence as soon as it is known and showing progress after a second.

    meanwhile: begins what goes on beside, once the first sentence is said.
    """
    from ampacity.base.cores import cores
    from ampacity.planner.plan import plan
    from ampacity.scenario.worlds import draw

    shared = cores()
    if not show:
        if meanwhile is not None:
            meanwhile()
        return plan(s, seed=seed, processes=shared)
    began = time.monotonic()
    typer.echo(f"{headline(s)} · seed {seed}\n")
    say_what_is_compiled(draw(s, seed, 0))
    typer.echo("  " + _first(draw(s, seed, 0)))
    if meanwhile is not None:
        meanwhile()
    progress = Progress("worlds", began)
    p = plan(s, seed=seed, progress=progress, processes=shared)
    progress.close()
    return p


def request_by_request(p: Plan, seed: int, cells: int, *, show: bool) -> list[Weeks] | FleetRun:
    """What every request of a small fleet meets in its first weeks; of a larger one a sample, with progress.

    cells: of each pool of a larger one, none of it if 0.
    """
    from ampacity.base.compiled import is_compiled
    from ampacity.base.cores import cores
    from ampacity.planner.curves import capped
    from ampacity.reporting.twin_view import limits_found
    from ampacity.scenario.worlds import draw
    from ampacity.simulator.cell_loop import run_cell
    from ampacity.simulator.fleet_run import fleet_run
    from ampacity.simulator.twin import NOTHING_SERVED, twin, why_not

    s = draw(p.scenario, seed, 0)
    reason, caps = why_not(s), capped(p.central, p.scenario)
    if reason == NOTHING_SERVED or (reason and not cells):
        if show:
            typer.echo(f"  requests   not looked at one by one: {reason}")
        return []
    if show and not is_compiled(run_cell):
        typer.echo("  compiling the engine, once for this version: about a minute", err=True)
    if not reason:
        return twin(s, limits_found(p), seed, curves=caps)
    progress = Progress("looks at cells") if show else None
    found = fleet_run(s, limits_found(p), seed, cells=cells, processes=cores(), progress=progress, curves=caps)
    if progress is not None:
        progress.close()
    return found


def say_what_is_compiled(s: Scenario | None = None) -> None:
    """Announce the seconds that the first answer of a version takes to compile what it counts people's weeks with.

    What a scenario's closed form says is said before.
    """
    from ampacity.base.compiled import is_compiled
    from ampacity.demand.crossings import run
    from ampacity.planner.answer import carried
    from ampacity.reporting.words import with_no_limit
    from ampacity.scenario.announced import after

    if is_compiled(run, inlined=True):
        return
    if s is not None:
        found = carried(after(s), guarantee=None)
        for sentence in with_no_limit({load.model: load.unlimited_share for load in found.models}):
            typer.echo("  " + sentence)
    typer.echo("  compiling, once for this version: about ten seconds", err=True)


def _first(s: Scenario) -> str:
    """The first sentence, from the stated values alone."""
    from ampacity.planner.answer import carried
    from ampacity.reporting.verdict_words import first_condition
    from ampacity.reporting.words import first_sentence
    from ampacity.scenario.announced import after, changes

    a = carried(after(s), guarantee=False)
    if changes(s) and s.about == "public":
        return first_condition(s, a.models[0])
    return first_sentence(a, s.service_level.hours.value)


def headline(s: Scenario) -> str:
    """The scenario in one line: name, accelerators, people, models."""
    from ampacity.reporting.words import count
    from ampacity.scenario.pool import counted

    chips: dict[str, float] = {}
    for contract in counted(s):
        for d in contract.deliveries:
            chips[d.accelerator] = chips.get(d.accelerator, 0.0) + d.quantity.value
    fleet = " + ".join(f"{count(n)} x {name}" for name, n in chips.items())
    people = sum(t.people.value for t in s.tiers if t.kind == "subscribers")
    served = ", ".join(f"{p.model} {p.precision}" for p in {(p.model, p.precision): p for p in s.placements}.values())
    as_of = f" · as known on {s.as_of}" if s.as_of else ""
    return f"{s.name} · {fleet} · {count(people)} people · {served}{as_of}"


def say(p: Plan, following: list[tuple[str, str]]) -> None:
    """Everything after the first sentence."""
    from ampacity.reporting.words import rows, sentences

    said = sentences(p)
    conditional = p.verdict is not None and p.scenario.about == "public"
    for sentence in said if conditional else said[1:]:
        typer.echo("  " + sentence)
    typer.echo("")
    for word, line in rows(p):
        typer.echo(f"  {word:<10} {line}")
    for note in p.notes:
        typer.echo(f"  note       {note}")
    if following:
        typer.echo("\n  " + "     ".join(f"{word}: {what}" for word, what in following))


def shows(json: str | None, *, quiet: bool) -> bool:
    """Whether the screen is for people: not with `--quiet`, nor where standard output carries the JSON."""
    return not quiet and json != "-"


def tell(view: View, json: str | None, *, quiet: bool = False, after: str = "") -> None:
    """A view's data to where `--json` says, its text to the screen if that is for people, and `after` below it."""
    write_json(json, view.data)
    if shows(json, quiet=quiet):
        typer.echo(view.text)
        if after:
            typer.echo(f"\n  {after}")


def write_json(target: str | None, content: dict[str, Any]) -> None:
    """Write a result to a file, whole or not at all, or to standard output."""
    if target is None:
        return
    text = json.dumps(content, indent=2, allow_nan=False, default=str) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    from ampacity.base.files import write_whole

    write_whole(Path(target), text)


class Progress:
    """A bar on standard error once work has taken more than a second; nothing where nobody watches."""

    def __init__(self, what: str, began: float | None = None) -> None:
        self.what = what
        self.began = time.monotonic() if began is None else began
        self.bar: Any = None
        self.task: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None and time.monotonic() - self.began > 1.0 and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=total)
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
