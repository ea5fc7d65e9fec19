"""A model's cell that was run: what came out of it, whatever is said of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.model_cell import ModelCell, bring_to_now, busy_ps, step_of
from ampacity.simulator.request_rows import request_rows
from ampacity.simulator.sampled import WINDOWS, Shares, run_sampled, shares
from ampacity.simulator.watch import Watched


@dataclass(frozen=True)
class Ran:
    """What the requests of a model met, from instant 0 to `span_ps`.

    setup: whom it served, on what. seen: short windows, iteration by iteration.
    """

    setup: ModelCell
    cell: Cell
    result: CellResult
    span_ps: int
    seen: tuple[Watched, ...]

    @property
    def replicas(self) -> int:
        """Of all pools."""
        return sum(self.setup.replicas_of)

    @property
    def replicas_there(self) -> float:
        """How many of them there were on the mean: fewer where they come and go with the load."""
        scaling = self.setup.scaling
        if scaling is None or not self.span_ps:
            return self.replicas
        stay = self.replicas - self.setup.replicas_of[scaling.pool]
        return stay + self.result.scaled.here_ps / self.span_ps

    @property
    def busy_share(self) -> float:
        """Share of the time of the replicas that were there in which an iteration ran. [0 to 1]"""
        return self.result.busy_ps / (self.replicas_there * self.span_ps) if self.span_ps else 0.0

    @cached_property
    def requests(self) -> pl.DataFrame:
        """A row for every request, see `request_rows`."""
        return request_rows(self.setup, self.cell)

    def pool_busy(self) -> list[float]:
        """Share of the time of each pool's replicas in which an iteration ran. [0 to 1]"""
        busy = busy_ps(self.cell)
        ends = np.cumsum(self.setup.replicas_of)
        parts = np.split(busy, ends[:-1])
        return [float(part.sum()) / (len(part) * self.span_ps) if self.span_ps else 0.0 for part in parts]

    def pool_shares(self) -> list[Shares | None]:
        """What the windows say of each pool's busy time; None where nothing was seen."""
        begin, found = 0, []
        for pool, many in zip(self.setup.supply, self.setup.replicas_of, strict=True):
            own = [w for w in self.seen if begin <= w.replica < begin + many]
            found.append(shares(step_of(pool), own))
            begin += many
        return found

    def tokens(self, tier: str | None = None) -> dict[str, int]:
        """Tokens of the answered requests by kind. [token]"""
        r = self.result
        hit = r.count(at.HIT, tier)
        read = min(hit, r.count(at.INPUT_TOKENS, tier))  # a request that gave way finds what it had again
        return {
            "uncached_input": r.count(at.INPUT_TOKENS, tier) - read,
            "cached_input": read,
            "output": r.count(at.OUTPUT_TOKENS, tier),
        }


def ran(setup: ModelCell, until_ps: int | None = None, seed: int = 1, windows: int = WINDOWS) -> Ran:
    """Run a model's cell up to an instant, or until the last answer. [ps]

    windows: that are looked at iteration by iteration; 0: none. Without an end the run is made twice, since windows are
    laid over all of it.
    """
    if until_ps is None:
        first = setup.open(keep=True)
        first.run()
        # the last token comes out at this instant
        until_ps = int(np.asarray(first.found.met).reshape(-1, at.MET_FIELDS)[:, at.MET_FINISH_PS].max(initial=0)) + 1
    assert until_ps <= FOREVER_PS
    cell = setup.open(keep=True)
    seen = run_sampled(cell, until_ps, seed, windows)
    bring_to_now(cell)
    return Ran(setup, cell, cell.result(), until_ps, tuple(seen))
