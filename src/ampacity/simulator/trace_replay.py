"""A real trace as scripts of a cell: sessions in a closed loop where their gaps are known, else requests as they came.

What a request can find in memory is what the trace says a cache held of it, or follows from its prefix blocks
(`reused.py`). What cannot be replayed is left out, counted by its reason, and never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.base.streams import uniform
from ampacity.demand.traces.trace import Trace
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_terms import CellTier, Routing
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S
from ampacity.simulator.limits_in_time import NO_LIMITS
from ampacity.simulator.model_cell import ModelCell, context_most, replicas_in
from ampacity.simulator.reused import Reused, in_sessions, reused
from ampacity.simulator.rows import Ints
from ampacity.simulator.scripts import Scripts, checked
from ampacity.supply.capacity import PoolCapacity

Floats = NDArray[np.float64]
LONGEST_S = FOREVER_PS // PS_PER_S // 2
CONTEXTS_MOST = 1 << 22
"""Contexts on all replicas that requests of no session may have: 64 bytes each, 256 MiB."""
NO_ANSWER = "without an answer of at least one token"
TOO_LONG = "of more context than a replica holds"
FOLLOWED = "that follow one of more context than a replica holds"
NO_ARRIVAL = "without an instant of arrival"


@dataclass(frozen=True)
class Replay:
    """A trace, ready to be run.

    cell: its requests and the replicas. row: of each step of the scripts, the row of the trace's frame. closed: whether
    a session's next request follows the answer to the one before. notes: what else there is to say of it.
    """

    cell: ModelCell
    row: Ints
    closed: bool
    notes: tuple[str, ...]


def replay(trace: Trace, supply: tuple[PoolCapacity, ...], model: str, speed: float = 1.0, seed: int = 1) -> Replay:
    """Lay a trace out for the replicas of a model. speed: how much faster requests, or sessions, come [> 0].

    Raises Mistakes if the trace has neither instants on a clock that all share nor sessions with gaps, or if nothing of
    it fits.
    """
    if not speed > 0:
        raise ValueError(f"a speed of {speed:g}: above 0")
    frame = _rows(trace)
    closed = _has_gaps(frame)
    if not closed and not trace.shared_clock:
        message = "arrivals on one clock, or sessions with the gaps after their answers, are needed to replay a trace"
        raise Mistakes([Mistake(trace.source, 0, "t_s, gap_s", "neither", message)])
    frame, left_out = _fitting(frame, context_most(supply), closed=closed, timed=trace.shared_clock)
    if not frame.height:
        message = "; ".join(f"{n:,} {reason}" for reason, n in left_out.items()) or "the trace has no request"
        raise Mistakes([Mistake(trace.source, 0, "requests", "none that can be replayed", message)])
    frame = frame if closed else _side_by_side(in_sessions(frame, trace))
    found = reused(frame, trace)
    notes = list(found.notes)
    if closed:
        begin_s, said = _begins_s(frame, trace, seed)
        notes += said
        scripts = _sessions(frame, begin_s / speed, found)
    else:
        session, said = _sessions_of_their_own(found.session, sum(replicas_in(p) for p in supply))
        notes += said
        scripts = _singly(frame, speed, replace(found, session=session))
    tiers = _tiers(frame)
    cell = ModelCell(
        model=model,
        supply=supply,
        scripts=scripts,
        routing=Routing("soonest"),
        tiers=tuple(CellTier(name) for name in tiers),
        limits=NO_LIMITS,
        epoch_ms=1,
        seed=seed,
        left_out=left_out,
    )
    return Replay(cell, frame["row"].to_numpy(), closed, tuple(notes))


def _rows(trace: Trace) -> pl.DataFrame:
    """The requests with their row in the trace."""
    return trace.frame.with_row_index("row").with_columns(
        pl.col("row").cast(pl.Int64), pl.col("agent").fill_null(0), pl.col("tier").fill_null("all")
    )


def _has_gaps(frame: pl.DataFrame) -> bool:
    """Whether most requests that follow another one of their session and agent have a gap."""
    follows = frame.filter(pl.col("session").is_not_null()).with_columns(
        place=pl.int_range(pl.len()).over("session", "agent")
    )
    later = follows.filter(pl.col("place") > 0)
    return 2 * int(later["gap_s"].is_not_null().sum()) > later.height


def _fitting(frame: pl.DataFrame, most: int, *, closed: bool, timed: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """Requests that can be replayed, session by session or by arrival, and how many cannot, by reason."""
    reasons: dict[str, int] = {}

    def without(wrong: pl.Expr, reason: str) -> None:
        nonlocal frame
        many = int(frame.select(wrong.fill_null(True).sum()).item())
        if many:
            reasons[reason] = many
            frame = frame.filter(~wrong.fill_null(True))

    without((pl.col("input_tokens") < 1) | (pl.col("output_tokens") < 1), NO_ANSWER)
    if timed and not closed:
        without(pl.col("t_s").is_null() | pl.col("t_s").is_nan(), NO_ARRIVAL)
    over = pl.col("input_tokens") + pl.col("output_tokens") > most
    if closed:
        frame = frame.with_columns(
            session=pl.coalesce("session", -1 - pl.col("row"))  # a request of no session is a session of one
        ).sort("session", "agent", "row", maintain_order=True)
        passed = over.cast(pl.Int64).cum_sum().over("session", "agent") > 0
        frame = frame.with_columns(passed=passed, over=over)
        without(pl.col("over"), TOO_LONG)
        without(pl.col("passed"), FOLLOWED)
        return frame.drop("passed", "over"), reasons
    without(over, TOO_LONG)
    return frame.sort("t_s", "row", maintain_order=True), reasons


def _side_by_side(frame: pl.DataFrame) -> pl.DataFrame:
    """Requests of one session beside each other, which is how a replica tells what they have in common."""
    own = pl.coalesce("session", -1 - pl.col("row"))
    return frame.sort(pl.col("t_s").min().over(own), own, "t_s", "row", maintain_order=True)


def _begins_s(frame: pl.DataFrame, trace: Trace, seed: int) -> tuple[Floats, list[str]]:
    """When each agent of the sorted frame begins [s], and how that is known where the trace does not say it."""
    agents = frame.group_by("session", "agent", maintain_order=True).agg(
        pl.col("t_s").first(), (pl.col("gap_s").fill_null(0) + pl.col("server_s").fill_null(0)).sum().alias("length_s")
    )
    at_s = agents["t_s"].to_numpy().astype(np.float64)
    if trace.shared_clock:
        first = agents.select(pl.col("t_s").min().over("session")).to_series().to_numpy()
        at_s = np.where(np.isnan(at_s), first, at_s)
        return np.nan_to_num(at_s), []
    main = agents.select(pl.col("length_s").max().over("session")).to_series().to_numpy()
    longest = float(main.max())
    numbers, keys = agents["session"].to_list(), agents["agent"].to_list()
    begin = np.array([uniform(seed, "session begins", n) * longest for n in numbers])
    within = np.array([uniform(seed, "agent begins", n, k) for n, k in zip(numbers, keys, strict=True)]) * main
    within = np.where(agents["agent"].to_numpy() == 0, 0.0, within)
    note = f"when sessions began is not known: they begin by chance within {longest / 3600:.3g} h, the longest of them"
    helped = np.isnan(at_s) & (agents["agent"].to_numpy() > 0)
    also = ["when sub-agents began is not known: they begin by chance within their session"] if helped.any() else []
    return begin + np.where(np.isnan(at_s), within, np.maximum(at_s, 0.0)), [note, *also]


def _sessions(frame: pl.DataFrame, begin_s: Floats, found: Reused) -> Scripts:
    """Every agent of a session in a closed loop; the frame is sorted by session and agent."""
    first = frame.select(pl.int_range(pl.len()).over("session", "agent") == 0).to_series().to_numpy()
    steps = _steps(frame, found)
    steps[:, at.ASK_GAP_PS] = np.where(first, 0, _ps(_gaps_s(frame)))
    begins = np.flatnonzero(first)
    agents = np.zeros((len(begins) + 1, at.AGENT_FIELDS), np.int64)
    agents[1:, at.STEP], agents[1:, at.LAST] = begins, np.append(begins[1:], len(steps))
    agents[1:, at.CONTEXT] = np.arange(1, len(begins) + 1)
    return _scripts(frame, agents, steps, _ps(begin_s), found, len(begins))


def _sessions_of_their_own(session: Ints, replicas: int) -> tuple[Ints, list[str]]:
    """Sessions with one of its own for each request of none: one that gives way for want of memory and comes back finds
    what nobody took of its blocks. Not where so many would fill this computer's memory, which is said."""
    alone = session == 0
    if (int(session.max(initial=0)) + int(alone.sum())) * replicas > CONTEXTS_MOST:
        return session, ["a request that gives way for want of memory is computed anew, whatever is left of it"]
    return np.where(alone, session.max(initial=0) + np.cumsum(alone), session), []


def _singly(frame: pl.DataFrame, speed: float, found: Reused) -> Scripts:
    """Every request at its instant. Those of one session lie side by side and are known as one to the replicas."""
    steps = _steps(frame, found)
    agents = np.zeros((len(steps) + 1, at.AGENT_FIELDS), np.int64)
    agents[1:, at.STEP] = np.arange(len(steps))
    agents[1:, at.LAST] = agents[1:, at.STEP] + 1
    agents[1:, at.CONTEXT] = found.session
    at_s = frame["t_s"].to_numpy().astype(np.float64)
    return _scripts(frame, agents, steps, _ps((at_s - at_s.min()) / speed), found, int(found.session.max(initial=0)))


def _steps(frame: pl.DataFrame, found: Reused) -> Ints:
    steps = np.zeros((frame.height, at.ASK_FIELDS), np.int64)
    steps[:, at.ASK_INPUT] = frame["input_tokens"].to_numpy()
    steps[:, at.ASK_OUTPUT] = frame["output_tokens"].to_numpy()
    steps[:, at.ASK_REUSABLE] = np.clip(found.reusable, 0, steps[:, at.ASK_INPUT] - 1)
    return steps


def _scripts(frame: pl.DataFrame, agents: Ints, steps: Ints, begin_ps: Ints, found: Reused, contexts: int) -> Scripts:
    first = agents[1:, at.STEP]
    names = {name: i for i, name in enumerate(_tiers(frame))}
    agents[1:, at.TIER] = np.array([names[t] for t in frame["tier"].to_list()], np.int64)[first]
    group = found.group[first]
    agents[1:, at.SHARES] = np.where(group > 0, contexts + group, 0)
    numbers = np.arange(1, len(agents))
    order = np.lexsort((numbers, begin_ps))
    starts = np.column_stack([begin_ps[order], numbers[order]])
    return checked(Scripts(starts, agents, steps, contexts, found.shared_tokens))


def _tiers(frame: pl.DataFrame) -> list[str]:
    return [str(t) for t in frame["tier"].unique().sort().to_list()]


def _gaps_s(frame: pl.DataFrame) -> Floats:
    """Gaps after answers; where one is not known, what is left of the time between two requests after the answer."""
    between = pl.col("t_s").diff().over("session", "agent") - pl.col("server_s").shift().over("session", "agent")
    gap = pl.coalesce("gap_s", between.clip(0), pl.lit(0.0)).fill_nan(0.0).clip(0.0)
    return frame.select(gap).to_series().to_numpy().astype(np.float64)


def _ps(seconds: Floats) -> Ints:
    """Whole microseconds as picoseconds."""
    return np.rint(np.minimum(seconds, LONGEST_S) * 1e6).astype(np.int64) * (PS_PER_S // 1_000_000)
