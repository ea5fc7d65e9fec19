"""Subscribers: how unlike they are, how many hours a week they work, when, and how their number grows.

People of a region are ranked by activity; a person's activity is the quantile of their rank, so it needs no memory and
no draw, and the same person is as heavy in every run. Who starts a session is drawn in proportion to activity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from ampacity.base.calendar import WEEK_H
from ampacity.demand import draws
from ampacity.demand.hourly import active_shares
from ampacity.demand.slow import slow_scores
from ampacity.scenario import lookup

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR_S = 3600.0
WINDOW_S = 600.0
MONTH_S = 365.25 / 12 * 86400.0


@dataclass(frozen=True)
class Region:
    """People who share a clock. share: of all people. time_zone: theirs. shape: a row set of `hour_shapes`."""

    name: str
    share: float
    time_zone: str
    shape: str = "office"


@dataclass(frozen=True)
class Population:
    """Subscribers. people: at the start. hours_per_week: active at measured intensity, mean over people [h/week].
    sigma: log-normal spread of people's activity. growth_per_month: of their number. swing_sd, swing_correlation: of
    the logarithm of the swing that all share, and its correlation from one ten minutes to the next."""

    people: float
    hours_per_week: float
    sigma: float
    regions: tuple[Region, ...]
    growth_per_month: float = 0.0
    swing_sd: float = 0.35
    swing_correlation: float = 0.875

    def __post_init__(self) -> None:
        total = sum(r.share for r in self.regions)
        wrong = [] if abs(total - 1) < 1e-6 else [f"shares of regions sum to {total:.4g}; expected 1"]
        for name in ("people", "hours_per_week", "sigma", "swing_sd"):
            if getattr(self, name) < 0:
                wrong.append(f"{name} is {getattr(self, name):.4g}; expected 0 or more")
        if not 0 <= self.swing_correlation < 1:
            wrong.append(f"swing_correlation is {self.swing_correlation:.4g}; expected 0 to below 1")
        if wrong:
            raise ValueError("; ".join(wrong))


@dataclass(frozen=True)
class Intensity:
    """Hours per week by both measures: active at measured intensity, and running as reported [h/week]; ratio:
    running over active, an assumption with its range."""

    active_hours: tuple[float, float, float]
    running_hours: tuple[float, float, float]
    ratio: tuple[float, float, float]


def stated(quantity: str) -> tuple[float, float, float]:
    """Low, value and high of one of the catalog's figures about subscribers. Raises KeyError."""
    latest = lookup.claims("demand/population", "population", "subscribers")[quantity][-1]
    return latest["low"], latest["value"], latest["high"]


def intensity() -> Intensity:
    """Hours per week of subscribers, by both measures, as the catalog states them."""
    return Intensity(stated("active_hours"), stated("running_hours"), stated("running_over_active"))


def activity(rank: ArrayLike, people: float, sigma: float) -> Floats:
    """Activity of the people of these ranks (0 = least active) in units of the mean."""
    share = (np.asarray(rank, dtype=np.float64) + 0.5) / people
    return np.asarray(np.exp(sigma * ndtri(share) - sigma**2 / 2))


def share_of_top(part: ArrayLike, sigma: float) -> Floats:
    """Share of all activity that the most active `part` of people have; both in [0, 1]. Log-normal in closed form."""
    return np.asarray(ndtr(ndtri(np.asarray(part, dtype=np.float64)) + sigma))


def rank_of(u: ArrayLike, people: ArrayLike, sigma: float) -> Ints:
    """Rank of who does something, drawn in proportion to activity, for uniform u in (0, 1)."""
    number = np.asarray(people, dtype=np.float64)
    return np.asarray(np.minimum(np.floor(share_of_top(u, sigma) * number), np.ceil(number) - 1), dtype=np.int64)


def active_people(p: Population, start_s: int, hours: int) -> Floats:
    """Expected number of people active at once in each hour from `start_s`, by region. [region, hour]"""
    people = _people(p, HOUR_S * (np.arange(hours, dtype=np.float64) + 0.5))
    mean = p.hours_per_week / WEEK_H
    active = np.stack([active_shares(mean, r.shape, r.time_zone, start_s, hours) for r in p.regions])
    return np.asarray(people * np.array([r.share for r in p.regions])[:, None] * active)


def _people(p: Population, t_s: Floats) -> Floats:
    """Number of people so long after the start."""
    return np.asarray(p.people * np.exp(t_s / MONTH_S * np.log1p(p.growth_per_month)))


def swing(p: Population, seed: int, window: Ints) -> Floats:
    """The swing that all share in consecutive ten-minute windows: log-normal, mean 1, correlated in time."""
    (z,) = slow_scores(seed, "swing", window, p.swing_correlation)
    return np.asarray(np.exp(p.swing_sd * z - p.swing_sd**2 / 2))


def session_starts(
    p: Population, seed: int, start_s: int, windows: tuple[int, int], active_hours_per_session: float
) -> pl.DataFrame:
    """Sessions that begin in the ten-minute windows [first, last) counted from `start_s`.

    session: a number of its own. t_s: begin, from `start_s` [s], rising. region: place in `p.regions`. user: rank in
    the region. Starts are Poisson given the swing; each window is drawn by its number, so any cut gives the same rows.
    """
    from scipy.stats import poisson  # 0.4 s, which planning does without

    number = np.arange(*windows, dtype=np.int64)
    hour = number // 6
    expected = active_people(p, start_s, int(hour[-1]) + 1)[:, hour] * swing(p, seed, number)
    mean = expected * (WINDOW_S / HOUR_S) / active_hours_per_session
    place = np.arange(len(p.regions))[:, None]
    count = np.asarray(poisson.ppf(draws.uniform(seed, "starts", number[None, :], place), mean), dtype=np.int64)
    region = np.repeat(np.broadcast_to(place, count.shape).ravel(), count.ravel())
    window = np.repeat(np.broadcast_to(number, count.shape).ravel(), count.ravel())
    first = np.cumsum(count.ravel()) - count.ravel()
    order = np.arange(len(window)) - np.repeat(first, count.ravel())
    session = ((window * len(p.regions) + region) << 24) + order
    t = (window + draws.uniform(seed, "start time", session)) * WINDOW_S
    u = draws.uniform(seed, "who", session)
    people = np.array([r.share for r in p.regions])[region] * _people(p, t)
    frame = pl.DataFrame({"session": session, "t_s": t, "region": region, "user": rank_of(u, people, p.sigma)})
    return frame.sort("t_s", "session")
