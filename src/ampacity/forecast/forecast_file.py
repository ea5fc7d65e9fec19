"""A forecast as it is kept: what it was asked and what it says, written before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ampacity.base.files import write_whole
from ampacity.emulation.pools import ServingPool
from ampacity.forecast.foretell import foretell
from ampacity.forecast.happenings import Happening
from ampacity.forecast.learned import NOTHING_LEARNED, Learned
from ampacity.forecast.load import Load
from ampacity.forecast.met import Figures, Met, figures, figures_of_draws
from ampacity.policy.terms import Terms

DRAWS = 9


class Forecast(msgspec.Struct, frozen=True):
    """All of it.

    terms: their text. learned: what it knew of earlier journals. draws: what every request meets, in each of them.
    refused_between: the least and the largest share of refusals among the draws; ttft_p99_between: likewise [ms].
    """

    scenario: str
    seed: int
    terms: str
    load: Load
    happenings: tuple[Happening, ...]
    learned: Learned
    figures: Figures
    refused_between: tuple[float, float]
    ttft_p99_between: tuple[float, float]
    draws: tuple[tuple[Met, ...], ...]

    @property
    def rows(self) -> list[Met]:
        """Of all draws."""
        return [r for draw in self.draws for r in draw]

    def write(self, path: Path) -> None:
        """As JSON."""
        write_whole(path, msgspec.json.encode(self))


def forecast_of(
    terms: Terms,
    pools: Mapping[str, ServingPool],
    load: Load,
    happenings: tuple[Happening, ...] = (),
    *,
    seed: int = 1,
    learned: Learned = NOTHING_LEARNED,
    draws: int = DRAWS,
) -> Forecast:
    """The forecast of a load. Raises ValueError and KeyError as `foretell` does."""
    met = tuple(
        foretell(terms, pools, load, happenings, seed=seed, learned=learned, draw=draw) for draw in range(1, draws + 1)
    )
    each = [figures(rows) for rows in met]
    shares, tails = [f.refused_share for f in each], [f.ttft_ms[2] for f in each]
    return Forecast(
        scenario=terms.name,
        seed=seed,
        terms=terms.text(),
        load=load,
        happenings=happenings,
        learned=learned,
        figures=figures_of_draws(met),
        refused_between=(min(shares), max(shares)),
        ttft_p99_between=(min(tails), max(tails)),
        draws=met,
    )


def read_forecast(path: Path) -> Forecast:
    """From a file. Raises OSError, and ValueError if it is no forecast."""
    return msgspec.json.decode(path.read_bytes(), type=Forecast)
