"""The live service's own journal as a trace: what was asked of it and answered, counts and times only.

Requests that a window or the pools turned away, that never began, that expired or have not ended are set aside by
reason: no tokens of theirs were counted. `line` of a malformed row is its ordinal in the journal. What has been
forgotten is not in the trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from ampacity.demand.traces.rows import LATEST_S, MOST, Misfit, content
from ampacity.demand.traces.trace import (
    SHOWN_FAULTS,
    Malformed,
    Trace,
    arrivals_from_zero,
    canonical,
    gaps,
    ordinals,
    steps,
)
from ampacity.journal import opening
from ampacity.journal.read import requests, strays
from ampacity.journal.records import ABORTED, EXPIRED, NO_CAPACITY, RELEASED, RESERVING, Request
from ampacity.journal.schema import APPLICATION_ID, APPLICATION_ID_AT
from ampacity.scenario.mistakes import Mistake

NS_A_MS = 1_000_000
ENDED_WITHOUT_TOKENS = {RELEASED: "never began", EXPIRED: "expired"}
COLUMNS: dict[str, pl.DataType] = {
    "instant_ns": pl.Int64(),
    "who": pl.Int64(),
    "tier": pl.String(),
    "session_of": pl.Int64(),
    "model": pl.String(),
    "input_tokens": pl.Int64(),
    "cached_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "took_ms": pl.Int64(),
    "first_ms": pl.Int64(),
}


def is_journal(head: bytes) -> bool:
    """Whether a file that begins so is a journal of ours, whatever its version."""
    number = head[APPLICATION_ID_AT : APPLICATION_ID_AT + 4]
    return head.startswith(opening.MAGIC) and number == APPLICATION_ID.to_bytes(4, "big")


def read(path: Path) -> Trace:
    """A journal as a trace, also while it is written. Raises OSError, and Mistakes for what is none or damaged."""
    taken: list[tuple[object, ...]] = []
    aside: dict[str, int] = {}
    faults: list[Mistake] = []
    count = cut_short = 0
    with _plain(path) as file, opening.for_reading(file) as db:
        for request in requests(db):
            count += 1
            reason = _aside(request)
            if reason:
                aside[reason] = aside.get(reason, 0) + 1
                continue
            try:
                taken.append(_row(request))
                cut_short += request.end is not None and request.end.status == ABORTED
            except Misfit as err:
                faults.append(err.at(str(path), request.arrival.ordinal, private=False))
        for ordinal in strays(db):
            count += 1
            faults.append(Mistake(str(path), ordinal, "settlement", "", "the arrival that it names"))
    frame = pl.DataFrame(taken, schema=COLUMNS, orient="row")
    server_s = pl.when(pl.col("took_ms") >= 0).then(pl.col("took_ms") / 1000)  # a clock may have stepped back
    ttft_s = pl.when(pl.col("first_ms") >= 0).then(pl.col("first_ms") / 1000)  # not known: below 0
    ordered, start_s = arrivals_from_zero(frame.with_columns(server_s=server_s, ttft_s=ttft_s))
    named = ordered.with_columns(
        user=ordinals(_known(ordered, "who")),
        session=ordinals(_known(ordered, "session_of")),
        agent=pl.when(pl.col("session_of") != 0).then(pl.lit(0, pl.Int64)),
    )
    placed = named.with_columns(step=steps(), gap_s=gaps())
    malformed = Malformed(len(faults), tuple(faults[:SHOWN_FAULTS]))
    notes = (f"cut short, with what had been counted by then: {cut_short:,}",) if cut_short else ()
    return Trace(canonical(placed), "journal", str(path), "unix", count, start_s, malformed, aside, notes=notes)


def _aside(request: Request) -> str:
    """Why no tokens of a request were counted; nothing if they were."""
    if request.arrival.outcome == NO_CAPACITY:
        return "no capacity"
    if request.arrival.outcome not in RESERVING:
        return "refused by a limit"
    if request.end is None:
        return "not ended yet"
    return ENDED_WITHOUT_TOKENS.get(request.end.status, "")


def _row(request: Request) -> tuple[object, ...]:
    """The columns of one request. Raises Misfit for what is no count or no instant."""
    asked, end = request.arrival, request.end
    assert end is not None
    for key in ("uncached", "written", "read", "output"):
        if not _within(getattr(end, key), MOST):
            raise Misfit(key, getattr(end, key), "a whole number, 0 or more")
    for when, instant in (("arrival", asked.now_ms), ("end", end.now_ms)):
        if not _within(instant, LATEST_S * 1000):
            raise Misfit(f"now_ms of its {when}", instant, "milliseconds since 1970")
    whole_input = end.uncached + end.written + end.read
    if whole_input >= MOST:
        raise Misfit("input", whole_input, f"fewer than {MOST:,} tokens")
    return (
        asked.now_ms * NS_A_MS,
        asked.subscriber,
        asked.tier or None,
        asked.session,
        asked.family or None,
        whole_input,
        end.read,
        end.output,
        end.now_ms - asked.now_ms,
        end.first_token_ms,
    )


def _within(value: object, most: int) -> bool:
    return isinstance(value, int) and 0 <= value < most


def _known(frame: pl.DataFrame, column: str) -> pl.Series:
    """Who, where 0 is nobody."""
    return frame.select(pl.when(pl.col(column) != 0).then(column)).to_series()


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The file itself, or what was packed in it, for as long as it is read."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if not packed:
        yield path
        return
    with TemporaryDirectory() as folder:
        unpacked = Path(folder, path.name.removesuffix(".gz"))
        unpacked.write_bytes(content(path))
        yield unpacked
