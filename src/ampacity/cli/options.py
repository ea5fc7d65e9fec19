"""Options that commands share, and what they mean."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ampacity.scenario.scenario import Scenario

ScenarioName = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A YAML file, or the name of a packaged scenario.")
]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay a value over a key.")]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="DAY", help="Use only what was known that day.")]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the draws from ranges.")]


def load_scenario(name: str, sets: list[str] | None, as_of: str | None) -> Scenario:
    """The scenario that the options describe. Raises Mistakes."""
    from ampacity.scenario.load import load

    return load(name, sets=sets or (), as_of=day(as_of))


def day(text: str | None) -> date | None:
    """A day like 2026-05-06; anything else is a usage error."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else None
    except ValueError as err:
        raise typer.BadParameter(f'"{text}" is no day; expected one like 2026-05-06', param_hint="--as-of") from err
