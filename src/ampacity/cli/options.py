"""Options that commands share, and what they mean.

A command still lists those it takes: typer reads a function's own parameters and knows no group of them.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
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
        if re.search(r"\b(p\d+|median|max)\b", part, re.IGNORECASE):
            raise _no_level(part, "means only, no percentiles")
        if word.upper() not in ("TTFT", "TPOT"):
            raise _no_level(part, "no time of a request")
        if re.fullmatch(r"\d[\d,]*(\.\d+)?", quantity.strip()):
            usual = "ms" if word.upper() == "TPOT" or float(quantity.replace(",", "")) >= 50 else "s"
            words = f'"{part}": a number without a unit; did you mean "{word} {quantity.strip()} {usual}"?'
            raise typer.BadParameter(words, param_hint="--slo")
        try:
            seconds = to_base(quantity, "duration")
        except UnitError as err:
            # the unit that durations of a scenario are usually written in, hours, is none for a request
            raise _no_level(part, str(err).split("; did you mean")[0]) from err
        if seconds <= 0:
            raise _no_level(part, "times are above zero")
        found[f"{word.lower()}_s"] = seconds
    return Slo(**found)


def _no_level(part: str, why: str) -> typer.BadParameter:
    return typer.BadParameter(f'"{part}": {why}; for example "TTFT 2 s, TPOT 50 ms"', param_hint="--slo")


def page(
    name: str | None, what: str = "picture is a page", endings: tuple[str, ...] = (".html", ".htm")
) -> Path | None:
    """Where a page goes. what: it is, for the usage error that a name with another ending is."""
    if name is not None and not name.lower().endswith(endings):
        raise typer.BadParameter(f'"{name}": the {what}; give it a name that ends in {endings[0]}', param_hint="--out")
    return None if name is None else Path(name)


def requests(engine: str, isl: int, osl: int, cached: int, drafts: int, acceptance: float) -> Load:
    """The requests that the options describe; impossible ones are a usage error."""
    from dataclasses import replace

    from ampacity.inference.steady import usual_load

    try:
        load = usual_load(engine, isl, osl, cached)
        return replace(load, draft_tokens=drafts, acceptance=acceptance) if drafts else load
    except ValueError as err:
        raise typer.BadParameter(str(err)) from err
