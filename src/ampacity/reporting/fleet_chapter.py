"""The chapter of the page on what a sampled fleet's requests meet."""

from __future__ import annotations

import numpy as np

from ampacity.reporting.chapter import Chapter, Exhibit, Table
from ampacity.reporting.fleet_plots import busy, busy_by_load, first_tokens
from ampacity.reporting.fleet_view import by_window, failing, pools, shares, times
from ampacity.reporting.fleet_words import ASSUMED, between_samples, fleet_sentences
from ampacity.reporting.words import share
from ampacity.simulator.fleet_run import FleetRun

FEWEST_STRATA = 3
"""Of fewer, a figure over load shows nothing."""


def fleet_chapter(r: FleetRun) -> Chapter:
    """Sentences, what is assumed, two figures, tables of refusals, pools and causes."""
    said = [*fleet_sentences(r), *between_samples(r), *ASSUMED]
    bars = "" if r.whole else " Bar: 90 % of samples."
    ttft = Exhibit(
        "first-tokens",
        "; ".join(f"{row[0]}: half within {row[2]}, 99 in 100 within {row[4]}" for row in times(r)[1:]) + ".",
        f"Dot: the estimate.{bars}",
        first_tokens(r),
        _table("How long answers take, in brackets 90 % of samples", times(r)),
    )
    tables = [
        _table("Found in memory; refused, as a share of all attempts; good, as a share of answers", shares(r)),
        _table("Attempts that windows refuse", by_window(r), 2),
        _table(
            "Share of replicas' time in which an iteration runs, how much of it is useful, MFU and MBU while it runs",
            pools(r),
        ),
        _table("What fails: minutes of a month, to be expected", failing(r), 2),
    ]
    exhibits = [ttft]
    if len(busy_by_load(r)[0]) >= FEWEST_STRATA:
        exhibits.append(_busy(r))
    filled = [t for t in tables if t.rows]
    return Chapter("requests", "Request by request", said, exhibits, filled)


def _busy(r: FleetRun) -> Exhibit:
    load, found = busy_by_load(r)
    told = [[share(x) if np.isfinite(x) else "" for x in row] for row in found.T]
    rows = [(share(x), *row) for x, row in zip(load, told, strict=True)]
    names = [p.pool.name for p in r.fleet.pools]
    table = Table("Busy share by pool, in hours of rising load", ("Load", *names), rows, text_columns=0)
    says = "; ".join(
        f"{name}: {share(own[0])} of the time in the quietest hours, {share(own[-1])} in the busiest"
        for name, own in ((n, f[np.isfinite(f)]) for n, f in zip(names, found, strict=True))
        if len(own)
    )
    caption = (
        "Each point: a stratum of hours. An iteration that runs for few requests makes a replica busy, so busy rises "
        "before the capacity is used."
    )
    return Exhibit("busy-by-load", says + ".", caption, busy(r), table)


def _table(caption: str, rows: list[list[str]], text_columns: int = 1) -> Table:
    heads = [head[:1].upper() + head[1:] for head in rows[0]]
    return Table(caption, tuple(heads), [tuple(row) for row in rows[1:]], text_columns)
