"""What a plan's own requests meet, told beside it: every one of a small fleet's, or a sample of a large one's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ampacity.reporting.chapter import Chapter
from ampacity.reporting.fleet_chapter import fleet_chapter
from ampacity.reporting.fleet_view import fleet_data, fleet_rows
from ampacity.reporting.fleet_words import fleet_sentences
from ampacity.reporting.twin_view import twin_chapter, twin_data, twin_rows, twin_sentences
from ampacity.simulator.fleet_run import FleetRun
from ampacity.simulator.twin import Weeks


@dataclass(frozen=True)
class Told:
    """sentences and rows: for the screen. data: under the keys `requests` and `fleet`, one of which is empty. chapter:
    of the page; None where nothing was looked at."""

    sentences: Sequence[str]
    rows: Sequence[tuple[str, str]]
    data: dict[str, Any]
    chapter: Chapter | None


def told(found: Sequence[Weeks] | FleetRun) -> Told:
    """The same of either."""
    if isinstance(found, FleetRun):
        data = {"requests": {}, "fleet": fleet_data(found)}
        return Told(fleet_sentences(found), fleet_rows(found), data, fleet_chapter(found))
    every = {"requests": twin_data(found), "fleet": None}
    return Told(twin_sentences(found), twin_rows(found), every, twin_chapter(found))
