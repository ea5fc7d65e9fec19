"""Fits the model of coding agents' sessions to requests: laws by expectation and maximization, shares by counting.

What cannot be seen in a trace keeps the stated default. Nothing is tuned by hand: another trace takes the same path.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from ampacity.demand.agent_model import OPENING_STEPS, AgentModel, Context, Factors, Kind, SubAgents
from ampacity.demand.mixture import Mixture, fit_mixture
from ampacity.demand.service import fit_service

Floats = NDArray[np.float64]

FRESH_BELOW = 40_000
"""A session whose first request is smaller begins anew: tools, system prompt and a task, and nothing before. [token]"""
WINDOW = 200_000
"""The ordinary context window that vendors serve to coding agents. [token]"""
LARGE_LIMIT = 850_000.0
"""Where a window of a million tokens is compacted: assumed, at the same share as an ordinary one."""
LIMIT, LIMIT_SIGMA = 166_000.0, 0.06
"""Where an ordinary window is compacted, if the trace has too few compactions to tell."""
BLOCKS = (1024, 512, 256, 128, 64, 32, 16)
"""Sizes of cache blocks that are looked for. [token]"""
ENOUGH_SESSIONS, ENOUGH_ROWS = 20, 200
FEWEST_STEPS = 5
"""Sessions with fewer steps say nothing of how steps of a session are alike."""


def fit(frame: pl.DataFrame) -> AgentModel:
    """The model of the sessions in a frame of `requests.COLUMNS`.

    Raises ValueError below 20 sessions or 200 requests: their noise would be taken for structure.
    """
    main = _enriched(frame.filter(pl.col("agent") == 0))
    sessions = main.group_by("session", maintain_order=True).agg(
        steps=pl.len(), first=pl.col("input_tokens").first(), most=pl.col("input_tokens").max()
    )
    if len(sessions) < ENOUGH_SESSIONS or len(main) < ENOUGH_ROWS:
        raise ValueError(
            f"found {len(sessions)} sessions with {len(main)} requests; "
            f"a fit needs at least {ENOUGH_SESSIONS} and {ENOUGH_ROWS}"
        )
    limit, limit_sigma, full = _limit(main)
    main = _who_began(main)
    grown = main.filter((pl.col("growth") > 0) & (pl.col("step") > OPENING_STEPS))
    user = main.filter((pl.col("step") > 0) & pl.col("user_started"))
    tool = main.filter((pl.col("step") > 0) & ~pl.col("user_started"))
    output, growth = (fit_mixture(f[name], 4) for f, name in ((main, "output_tokens"), (grown, "growth")))
    return AgentModel(
        fresh=_kind(main, sessions, limit, full, fresh=True),
        resumed=_kind(main, sessions, limit, full, fresh=False),
        output=output,
        growth=growth,
        tool_gap=fit_mixture(_smooth(tool["gap_s"]), 4),
        user_gap=fit_mixture(_smooth(user["gap_s"] if len(user) else tool["gap_s"]), 3),
        first_turn=_turns(main, first=True),
        turn=_turns(main, first=False),
        factors=_factors(main, sessions),
        context=_context(main, limit, limit_sigma, full),
        sub_agents=_sub_agents(frame, len(sessions)),
        service=fit_service(frame),
    )


def _enriched(main: pl.DataFrame) -> pl.DataFrame:
    """The main agents' requests with the context, output and answer before, and how the context grew."""
    before = pl.col("input_tokens").shift().over("session")
    return main.with_columns(
        before=before,
        before_that=pl.col("input_tokens").shift(2).over("session").fill_null(before),
        growth=pl.col("input_tokens") - before,
        output_before=pl.col("output_tokens").shift().over("session"),
        uncached=pl.col("input_tokens") - pl.col("cached_tokens"),
    )


def _kind(main: pl.DataFrame, sessions: pl.DataFrame, limit: float, full: pl.DataFrame, *, fresh: bool) -> Kind:
    """The laws of fresh or resumed sessions; where there are fewer than five, those of all sessions."""
    own = sessions.filter((pl.col("first") < FRESH_BELOW) == fresh)
    used = own if len(own) >= 5 else sessions
    # only sessions that came to the limit tell: they were compacted there, or went on beyond it
    beyond = (used["first"] < 0.9 * limit) & (used["most"] > 1.25 * limit)
    tells = (beyond | used["session"].is_in(full["session"].unique().to_list())).to_numpy()
    share, slope = _odds(_normal_scores(used["steps"].to_numpy())[tells], beyond.to_numpy()[tells])
    opening = main.filter(pl.col("session").is_in(used["session"].to_list()) & (pl.col("step") <= OPENING_STEPS))
    return Kind(
        share=len(own) / len(sessions),
        first_input=fit_mixture(used["first"], 2),
        steps=fit_mixture(used["steps"], 2),
        opening=fit_mixture(opening.filter(pl.col("growth") > 0)["growth"], 3),
        large_share=share,
        large_slope=slope,
    )


def _odds(score: Floats, outgrew: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of sessions that outgrow an ordinary window at score 0, and the slope of its log-odds.

    As in a discriminant of two normal groups with equal variance; without ten of each, the share alone.
    """
    yes = int(outgrew.sum())
    no = len(outgrew) - yes
    share = (yes + 0.5) / (yes + no + 1.0) if yes + no else 0.2
    if min(yes, no) < 10:
        return share, 0.0
    low, high = score[~outgrew], score[outgrew]
    variance = (low.var() * no + high.var() * yes) / (no + yes)
    slope = float((high.mean() - low.mean()) / variance)
    middle = float((high.mean() + low.mean()) / 2)
    return 1.0 / (1.0 + no / yes * math.exp(slope * middle)), slope


def _limit(main: pl.DataFrame) -> tuple[float, float, pl.DataFrame]:
    """Where ordinary windows are compacted, its spread, and the compactions seen: drops of over 40 % near the limit.

    The limit lies between the last context and the one before it, which it had not yet cut: their middle is taken.
    """
    drops = main.filter((pl.col("input_tokens") < 0.6 * pl.col("before")) & (pl.col("before") < WINDOW))
    drops = drops.with_columns(crossed=(pl.col("before") + pl.min_horizontal("before_that", "before")) / 2)
    high = drops.filter(pl.col("before") > 0.5 * WINDOW)["crossed"]
    if len(high) < 10:
        return LIMIT, LIMIT_SIGMA, drops.clear()
    limit = float(np.median(high))
    near = drops.filter((pl.col("before") > 0.85 * limit) & (pl.col("before") < 1.25 * limit))
    sigma = float(np.std(np.log(near["crossed"].to_numpy() / limit)))
    return limit, max(sigma, 0.01), near


def _who_began(main: pl.DataFrame) -> pl.DataFrame:
    """Who began a step that the trace does not tell: the user, if the gap is likelier to be a user's.

    A step that was sent before the answer to the former one has no gap: the agent sends such, side by side.
    """
    known = main.filter((pl.col("step") > 0) & pl.col("user_started").is_not_null() & (pl.col("gap_s") > 0))
    user, tool = known.filter(pl.col("user_started")), known.filter(~pl.col("user_started"))
    if len(user) < 20 or len(tool) < 20:
        return main.with_columns(pl.col("user_started").fill_null(pl.col("gap_s") > 60.0).fill_null(False))
    laws = [(fit_mixture(_smooth(f["gap_s"]), 3), len(f) / len(known)) for f in (user, tool)]
    gap = np.exp(np.linspace(0.0, math.log(1e5), 400))
    user_density, tool_density = (share * np.diff(law.cdf(gap)) for law, share in laws)
    users = np.flatnonzero(user_density > tool_density)
    longer = float(gap[users[0]]) if len(users) else math.inf
    return main.with_columns(pl.col("user_started").fill_null(pl.col("gap_s") > longer).fill_null(False))


def _smooth(gaps: pl.Series) -> Floats:
    """Gaps as numbers, whole seconds spread over the second that they stand for. [s]"""
    values: Floats = gaps.drop_nulls().to_numpy().astype(np.float64)
    if len(values) and np.all(values == np.rint(values)):
        values = _spread(values)
    return np.maximum(values, 0.1)


def _spread(counts: Floats) -> Floats:
    """Whole numbers spread evenly over the unit around each, so that no law narrows onto one; no draw is needed."""
    golden_ratio = 0.6180339887498949
    return np.maximum(counts + (np.arange(len(counts)) * golden_ratio) % 1.0 - 0.5, 0.1)


def _turns(main: pl.DataFrame, *, first: bool) -> Mixture:
    """Requests in the first turn of a session or in its later ones, over turns that ended or were cut off by its end.

    A session's last turn is longer than what was seen of it, so the law is that of Kaplan and Meier (JASA 53, 1958).
    """
    turn = pl.col("user_started").fill_null(False).cum_sum().over("session")
    turns = main.with_columns(turn=turn).group_by("session", "turn", maintain_order=True).len()
    last = (pl.col("turn") == pl.col("turn").max()).over("session")
    turns = turns.with_columns(ended=~last).filter((pl.col("turn") == pl.col("turn").min().over("session")) == first)
    if len(turns) == 0:
        return fit_mixture(main.group_by("session").len()["len"], 1)
    length, ended = turns["len"].to_numpy(), turns["ended"].to_numpy()
    most = int(length.max())
    ends = np.bincount(length[ended], minlength=most + 1)[1:]
    at_risk = len(length) - np.cumsum(np.bincount(length, minlength=most + 1))[:-1]
    survival = np.cumprod(1.0 - ends / np.maximum(at_risk, 1))
    share = np.append(-np.diff(np.append(1.0, survival)), survival[-1])
    # what outlives everything seen is put at twice the longest
    longest = np.append(np.arange(1, most + 1), 2.0 * most)
    drawn = np.repeat(longest, np.rint(share / share.sum() * 10_000).astype(int))
    return fit_mixture(_spread(drawn), 3)


def _factors(main: pl.DataFrame, sessions: pl.DataFrame) -> Factors:
    """How steps of a session are alike, from the normal scores of output, growth and gap.

    A session's score is its mean over steps; of the variance between sessions the part is taken away that steps alone
    would cause. Scores of length are ranked among fresh and among resumed sessions.
    """
    kind = (sessions["first"] < FRESH_BELOW).to_numpy()
    length = np.empty(len(sessions))
    for k in (True, False):
        length[kind == k] = _normal_scores(sessions["steps"].to_numpy()[kind == k])
    at = dict(zip(sessions["session"].to_list(), range(len(sessions)), strict=True))
    owner = np.array([at[s] for s in main["session"].to_list()])
    scores = _step_scores(main)
    offset, slope, spread, within, means = [], [], [], [], []
    for score in scores:
        usable = ~np.isnan(score)
        number = np.bincount(owner[usable], minlength=len(at))
        mean = np.bincount(owner[usable], score[usable], minlength=len(at)) / np.maximum(number, 1)
        many = number >= FEWEST_STEPS
        residual = score[usable] - mean[owner[usable]]
        variance = float(np.sum(residual**2) / max(np.sum(np.maximum(number - 1, 0)), 1))
        # sessions count by their steps, so that over requests the scores drawn are standard normal again
        a, b = _line(length[many], mean[many], number[many])
        left = mean - a - b * length
        alone = variance * np.count_nonzero(many) / max(number[many].sum(), 1)
        between = float(np.average(left[many] ** 2, weights=number[many]) - alone) if many.any() else 0.0
        offset.append(a)
        slope.append(b)
        spread.append(math.sqrt(max(between, 1e-4)))
        within.append(math.sqrt(variance))
        means.append(np.where(many, left, np.nan))
    before = np.concatenate([[np.nan], scores[0][:-1]])
    before[main["step"].to_numpy() == 0] = np.nan
    alike = [means[i] + offset[i] + slope[i] * length for i in (0, 1)]
    follows = _correlation(scores[1] - alike[1][owner], before - alike[0][owner])
    return Factors(tuple(offset), tuple(slope), tuple(spread), tuple(within), _correlations(means), follows)


def _line(x: Floats, y: Floats, weight: NDArray[np.int64]) -> tuple[float, float]:
    """Intercept and slope of the weighted least-squares line; flat where all x are alike; 0 below three."""
    if len(x) < 3:
        return 0.0, 0.0
    mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
    spread = np.average((x - mean_x) ** 2, weights=weight)
    slope = float(np.average((x - mean_x) * (y - mean_y), weights=weight) / spread) if spread > 1e-6 else 0.0
    return float(mean_y - slope * mean_x), slope


def _step_scores(main: pl.DataFrame) -> list[Floats]:
    """Normal scores of output, growth and gap of each step, not a number where there is none; gaps by who began."""
    output = _normal_scores(main["output_tokens"].to_numpy())
    growth, gap = np.full(len(main), np.nan), np.full(len(main), np.nan)
    grew = ((main["growth"].fill_null(0) > 0) & (main["step"] > OPENING_STEPS)).to_numpy()
    growth[grew] = _normal_scores(main["growth"].fill_null(0).to_numpy()[grew])
    later = ((main["step"] > 0) & main["gap_s"].is_not_null()).to_numpy()
    user = main["user_started"].fill_null(False).to_numpy()
    values = main["gap_s"].fill_null(0.0).to_numpy()
    for rows in (later & user, later & ~user):
        gap[rows] = _normal_scores(values[rows])
    return [output, growth, gap]


def _normal_scores(values: NDArray[Any]) -> Floats:
    from scipy.stats import rankdata  # 0.4 s, which planning does without

    scores: Floats = ndtri((rankdata(values) - 0.5) / max(len(values), 1))
    return scores


def _correlation(x: Floats, y: Floats) -> float:
    """Correlation over the entries that are numbers; 0 if there are fewer than 20 or one is constant."""
    both = ~np.isnan(x + y)
    if both.sum() < 20 or min(np.std(x[both]), np.std(y[both])) < 1e-9:
        return 0.0
    return float(np.clip(np.corrcoef(x[both], y[both])[0, 1], -0.95, 0.95))


def _correlations(means: list[Floats]) -> tuple[tuple[float, ...], ...]:
    """Correlation of the sessions' scores, drawn toward independence until it can be one."""
    matrix = np.eye(len(means))
    for i in range(len(means)):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = _correlation(means[i], means[j])
    while np.linalg.eigvalsh(matrix)[0] < 1e-3:
        matrix = 0.9 * matrix + 0.1 * np.eye(len(means))
    return tuple(tuple(round(float(v), 4) for v in row) for row in matrix)


def _context(main: pl.DataFrame, limit: float, limit_sigma: float, full: pl.DataFrame) -> Context:
    """Cuts, breaks, and what of the context the cache keeps."""
    later = main.filter(pl.col("step") > 0)
    near_limit = (pl.col("before") > 0.85 * limit) & (pl.col("before") < 1.25 * limit)
    cut = later.filter((pl.col("growth") < 0) & ~(near_limit & (pl.col("input_tokens") < 0.6 * pl.col("before"))))
    grown = later.filter(pl.col("growth") > 0)
    whole = later.filter(pl.col("cached_tokens") > 0)["cached_tokens"].to_numpy()
    block = next((b for b in BLOCKS if len(whole) and np.mean(whole % b == 0) > 0.99), 1)
    kept = grown.filter(pl.col("cached_tokens") >= pl.col("before") - 4 * max(block, 16))
    behind = float((kept["before"] - kept["cached_tokens"]).median() or 0.0)  # type: ignore[arg-type]
    missed = grown.filter(pl.col("uncached") > pl.col("growth") + 1000)
    prefix = missed.filter((pl.col("cached_tokens") > 0) & (pl.col("cached_tokens") < FRESH_BELOW))["cached_tokens"]
    keep = (cut["input_tokens"] / cut["before"]).to_numpy()
    return Context(
        limit=limit,
        limit_sigma=limit_sigma,
        large_limit=LARGE_LIMIT,
        compacted_to=fit_mixture(full["input_tokens"], 2) if len(full) >= 10 else Mixture((1.0,), (10.598,), (0.555,)),
        cuts_per_token=_rates(cut, later.with_columns(exposed=pl.col("before").clip(0, limit))),
        cut_to=fit_mixture(keep, 2) if len(keep) else Mixture((1.0,), (-0.2,), (0.2,), most=1.0),
        break_share=_rates(missed, grown.with_columns(exposed=1.0)),
        prefix_tokens=int(prefix.median() or 0) // block * block,  # type: ignore[arg-type]
        block_tokens=block,
        tail_tokens=max(round(behind - (block - 1) / 2), 0),
    )


def _rates(events: pl.DataFrame, steps: pl.DataFrame) -> tuple[float, float]:
    """Events over what is exposed to them, at the agent's own steps and at the user's; alike below ten."""
    who, exposed = steps["user_started"].to_numpy(), steps["exposed"].to_numpy()
    by_user = int(events["user_started"].to_numpy().sum())
    overall = len(events) / max(float(exposed.sum()), 1.0)
    if by_user < 10:
        return overall, overall
    agents, users = float(exposed[~who].sum()), float(exposed[who].sum())
    return (len(events) - by_user) / max(agents, 1.0), by_user / max(users, 1.0)


def _sub_agents(frame: pl.DataFrame, sessions: int) -> SubAgents | None:
    """The laws of helpers; None if the trace has none."""
    rows = frame.filter(pl.col("agent") > 0)
    if len(rows) == 0:
        return None
    growth = pl.col("input_tokens").diff().over("session", "agent")
    rows = rows.with_columns(growth=growth)
    agents = rows.group_by("session", "agent").agg(steps=pl.len(), first=pl.col("input_tokens").first())
    having = agents["session"].n_unique()
    gaps = rows.filter(pl.col("step") > 0)["gap_s"].drop_nulls()
    return SubAgents(
        session_share=having / sessions,
        per_session=len(agents) / having,
        first_input=fit_mixture(agents["first"], 1),
        steps=fit_mixture(agents["steps"], 1),
        output=fit_mixture(rows["output_tokens"].clip(1), 2),
        growth=fit_mixture(rows.filter(pl.col("growth") > 0)["growth"], 2),
        gap=fit_mixture(_smooth(gaps), 2),
    )
