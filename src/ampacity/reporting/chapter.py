"""What a chapter of the report is made of: sentences, figures, tables. How they look is left to the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ampacity.planner.interval import Interval
from ampacity.planner.plan import Plan
from ampacity.reporting.sources import Claim
from ampacity.reporting.words import one_world

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Table:
    """A table of texts. text_columns: how many columns, from the left, are words; the others are numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text_columns: int = 1


@dataclass(frozen=True)
class Exhibit:
    """A figure with what it says in one sentence, for those who do not see it, and the same numbers as a table."""

    name: str
    says: str
    caption: str
    figure: Figure
    table: Table


@dataclass(frozen=True)
class Chapter:
    """A heading, sentences, then figures and tables. facts: pairs of a word and its value. claims: the sources."""

    key: str
    title: str
    said: Sequence[str]
    exhibits: Sequence[Exhibit] = ()
    tables: Sequence[Table] = ()
    facts: Sequence[tuple[str, str]] = ()
    claims: Sequence[Claim] = ()
    notes: Sequence[str] = ()


def day_in_words(day: date) -> str:
    """A day as people write it: "6 May 2026"."""
    return f"{day.day} {day:%B %Y}"


def between(p: Plan, i: Interval, write: Callable[[float], str]) -> str:
    """The 90 % interval, or why there is none."""
    return "one world" if one_world(p) else f"{write(i.low)} to {write(i.high)}"


def what_is_drawn(p: Plan) -> str:
    """What dots and bars of an interval figure are."""
    return "Dot: at the stated values." if one_world(p) else "Dot: at the stated values. Bar: 90 % of worlds."


def view_chapter(
    key: str,
    title: str,
    sentences: Sequence[str],
    tables: Sequence[Table] = (),
    *,
    exhibits: Sequence[Exhibit] = (),
    notes: Sequence[str] = (),
) -> Chapter | None:
    """What a view has to say and its tables as a chapter; nothing where it has neither.

    Tables without a row are left out, so a view need not ask whether it found anything.
    """
    filled = [t for t in tables if t.rows]
    drawn = [e for e in exhibits if e.table.rows]
    if not (sentences or filled or drawn):
        return None
    return Chapter(key, title, list(sentences), drawn, filled, notes=notes)
