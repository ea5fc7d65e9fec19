"""A forecast as it is kept: what it was asked, what it says, and when it was written, before anything ran."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ampacity.base.files import write_whole
from ampacity.forecast.happenings import Happening
from ampacity.forecast.learned import NOTHING_LEARNED, Learned
from ampacity.forecast.load import Load
from ampacity.forecast.met import Figures, Met, figures


class Forecast(msgspec.Struct, frozen=True):
    """All of it. terms: their text. learned: what it knew of earlier journals. rows: what every request meets."""

    scenario: str
    seed: int
    terms: str
    load: Load
    happenings: tuple[Happening, ...]
    rows: tuple[Met, ...]
    figures: Figures
    learned: Learned = NOTHING_LEARNED

    def write(self, path: Path) -> None:
        """As JSON."""
        write_whole(path, msgspec.json.encode(self))


def forecast_of(
    scenario: str,
    seed: int,
    terms: str,
    load: Load,
    happenings: tuple[Happening, ...],
    rows: tuple[Met, ...],
    learned: Learned = NOTHING_LEARNED,
) -> Forecast:
    """A forecast with its figures."""
    return Forecast(scenario, seed, terms, load, happenings, rows, figures(rows), learned)


def read_forecast(path: Path) -> Forecast:
    """From a file. Raises OSError, and ValueError if it is no forecast."""
    return msgspec.json.decode(path.read_bytes(), type=Forecast)
