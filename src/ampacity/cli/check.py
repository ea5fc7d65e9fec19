"""`ampacity check`: every mistake of a scenario at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ampacity.cli.options import AsOf, Json, Quiet, Sets

if TYPE_CHECKING:
    from ampacity.scenario.scenario import Scenario


def check(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="A YAML file or a packaged name.")] = None,
    sets: Sets = None,
    as_of: AsOf = None,
    json: Json = None,
    quiet: Quiet = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a scenario instead.")] = False,
) -> None:
    """Say everything that is wrong with a scenario: file, line, key, found, expected. Exit code 1 if anything is."""
    from ampacity.cli.options import day
    from ampacity.cli.screen import tell, write_json

    if schema:
        from ampacity.scenario.schema import json_schema

        write_json(json or "-", json_schema())
        return
    if scenario is None:
        raise typer.BadParameter("name a scenario, or ask for --schema", param_hint="SCENARIO")
    from ampacity.reporting.catalog_views import View
    from ampacity.scenario.load import load
    from ampacity.scenario.mistakes import Mistakes
    from ampacity.scenario.worlds import ranges

    try:
        s = load(scenario, sets=sets or (), as_of=day(as_of))
    except Mistakes as found:
        fields = ("file", "line", "key", "found", "message")
        mistakes = [{f: getattr(m, f) for f in fields} for m in found.mistakes]
        write_json(json, {"ok": False, "mistakes": mistakes})
        if not json:
            typer.echo(found.as_text(), err=True)
        raise typer.Exit(1) from None
    unknown = len(list(ranges(s)))
    parts = ", ".join(_count(len(found), noun) for found, noun in _collections(s))
    text = f"{s.name}: no mistakes. {parts}; {unknown} of its numbers are ranges."
    tell(View(text, {"ok": True, "mistakes": [], "scenario_hash": s.digest()}), json, quiet=quiet)


def _collections(s: Scenario) -> list[tuple[tuple[object, ...], str]]:
    return [(s.sites, "site"), (s.contracts, "contract"), (s.placements, "placement"), (s.tiers, "tier")]


def _count(many: int, noun: str) -> str:
    return f"{many} {noun}" + ("" if many == 1 else "s")
