"""Options that commands share, and what they mean."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ampacity.inference.best_layout import Slo
    from ampacity.inference.steady import Load
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


def service_level(text: str) -> Slo:
    """A service level like "TTFT 2 s, TPOT 50 ms", either of which may be left out; anything else is a usage error."""
    from ampacity.base.units import UnitError, to_base
    from ampacity.inference.best_layout import Slo

    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, _, quantity = part.partition(" ")
        key = f"{word.lower()}_s"
        try:
            seconds = to_base(quantity, "duration")
        except UnitError as err:
            raise typer.BadParameter(f'"{part}": {err}', param_hint="--slo") from err
        if key not in ("ttft_s", "tpot_s") or seconds <= 0:
            raise typer.BadParameter(f'"{part}"; expected times above zero, "TTFT 2 s, TPOT 50 ms"', param_hint="--slo")
        found[key] = seconds
    return Slo(**found)


def requests(engine: str, isl: int, osl: int, cached: int, drafts: int, acceptance: float) -> Load:
    """The requests that the options describe; impossible ones are a usage error."""
    from dataclasses import replace

    from ampacity.inference.steady import usual_load

    try:
        load = usual_load(engine, isl, osl, cached)
        return replace(load, draft_tokens=drafts, acceptance=acceptance) if drafts else load
    except ValueError as err:
        raise typer.BadParameter(str(err)) from err
