"""What subscribers want before any limit, at session granularity: when they work, how long, at which pace.

A stretch of work keeps one pace, so what a window has left falls on a straight line in it. Stretches of one person may
overlap: that is work side by side. Every number is a hash of (seed, purpose, subscriber, stretch), so two schemes meet
the same people with the same wishes, and any portion of the people gives the rows that all of them together give.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, pdtr, pdtrik

from ampacity.base.calendar import hours_of_week
from ampacity.demand import draws
from ampacity.demand.hourly import clock_of, week_shape
from ampacity.demand.population import activity
from ampacity.scenario.tier import Behaviour

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

HOUR_MS = 3_600_000
MEAN_SUMMED, FAR_TAIL = 200.0, 1e-9
_HALF = 2.0**-32


@dataclass(frozen=True)
class Habits:
    """How the people of a tier work.

    people: how many subscribers are drawn. active_share: of the time, mean over people [0 to 1]. stretch_ms: mean
    length of a stretch, exponential. sigma_between, sigma_within: log-normal spread of people's activity, and of the
    paces of one person's stretches. start_ms: the first instant. hour_weights: relative activity in each hour from it,
    mean 1. by_draw: a person is not in the middle of their rank's part of all people but anywhere in it, by a draw of
    their own: few people then want on the mean what many want, the most active few included.
    """

    people: int
    active_share: float
    stretch_ms: float
    sigma_between: float
    sigma_within: float
    start_ms: int
    hour_weights: Floats
    by_draw: bool = False

    @property
    def end_ms(self) -> int:
        """The instant after the last hour."""
        return self.start_ms + len(self.hour_weights) * HOUR_MS


@dataclass(frozen=True)
class Stretches:
    """Work that people want, in order of subscriber and begin.

    first: where each subscriber's stretches begin, one entry more than people. begin_ms, active_ms: begin and length
    [ms]. pace: tokens per second over the tier's mean, log-normal with mean 1. reaction: uniform numbers that decide
    what becomes of a stretch that is stopped. delay: exponential numbers of mean 1. family: uniform numbers that
    decide which model is asked.
    """

    first: Ints
    begin_ms: Ints
    active_ms: Ints
    pace: Floats
    reaction: Floats
    delay: Floats
    family: Floats

    @property
    def wanted_ms(self) -> float:
        """All work: length times pace, summed. [ms at the mean pace]"""
        return float(np.dot(self.active_ms, self.pace))


def habits(b: Behaviour, people: int, start_s: int, hours: int, time_zone: str, swings: Floats | None = None) -> Habits:
    """The habits of a behaviour, its people living by `time_zone`. swings: what all share, one entry an hour."""
    weights = week_shape(b.shape)[list(hours_of_week(start_s, hours, clock_of(b.shape, time_zone)))]
    return Habits(
        people=people,
        active_share=b.active_share.value,
        stretch_ms=b.bout_s.value * 1000.0,
        sigma_between=b.sigma_between.value,
        sigma_within=b.sigma_within.value,
        start_ms=start_s * 1000,
        hour_weights=np.asarray(weights if swings is None else weights * swings, dtype=np.float64),
    )


def swings_of(seed: int, sd: float, hours: int) -> Floats:
    """The swing that all people share, hour by hour: log-normal with mean 1."""
    z = draws.normal(seed, "hourly swing", np.arange(hours, dtype=np.int64))
    return np.asarray(np.exp(sd * z - sd**2 / 2))


def stretches(h: Habits, seed: int, name: str = "", begin: int = 0, end: int | None = None) -> Stretches:
    """The stretches of subscribers `begin` to `end` (all, by default) of a tier called `name`."""
    rank = np.arange(begin, h.people if end is None else end, dtype=np.int64)
    person = draws.bits(seed, "stretches", name, rank)
    hours_ms = np.sum(h.hour_weights) * HOUR_MS
    place = rank + draws.as_uniform(draws.then(person, "place")) - 0.5 if h.by_draw else rank
    mean = activity(place, h.people, h.sigma_between) * h.active_share * hours_ms / h.stretch_ms
    count = poisson_at(draws.as_uniform(draws.then(person, "how many")), mean)
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    owner = np.repeat(np.arange(len(rank)), count)
    index = np.arange(first[-1]) - first[owner]
    each = draws.then(np.repeat(person, count), index)
    when, length = _halves(draws.then(each, "when"))
    pace, family = _halves(draws.then(each, "pace"))
    reaction, delay = _halves(draws.then(each, "reaction"))
    return Stretches(
        first=first,
        begin_ms=h.start_ms + _sorted_within(owner, _instant_ms(h.hour_weights, when)),
        active_ms=np.maximum(np.rint(-np.log(length) * h.stretch_ms), 1.0).astype(np.int64),
        pace=np.exp(h.sigma_within * ndtri(pace) - h.sigma_within**2 / 2),
        reaction=reaction,
        delay=-np.log(delay),
        family=family,
    )


def poisson_at(u: Floats, mean: Floats) -> Ints:
    """The quantile of a Poisson law at u in (0, 1): the least number whose cumulated probability reaches it.

    Terms are summed for all at once, which takes a tenth of an inverse gamma function; that is for far tails and large
    means, where the sum would lose digits.
    """
    found = np.zeros(len(u), dtype=np.int64)
    far = (mean > MEAN_SUMMED) | (u > 1.0 - FAR_TAIL)
    near = np.ceil(pdtrik(u[far], mean[far]))
    before = np.maximum(near - 1.0, 0.0)
    found[far] = np.where(pdtr(before, mean[far]) >= u[far], before, near)
    left = np.flatnonzero(~far)
    chance = np.exp(-mean[left])
    summed, number = chance.copy(), 0
    while len(left):
        lacking = summed < u[left]
        found[left[~lacking]] = number
        left, chance, summed = left[lacking], chance[lacking], summed[lacking]
        number += 1
        chance = chance * (mean[left] / number)
        summed = summed + chance
    return found


def _halves(word: Words) -> tuple[Floats, Floats]:
    """Two uniform numbers in (0, 1), of 32 bits each, from one word."""
    upper = ((word >> np.uint64(32)).astype(np.float64) + 0.5) * _HALF
    lower = ((word & np.uint64(0xFFFFFFFF)).astype(np.float64) + 0.5) * _HALF
    return upper, lower


def _instant_ms(hour_weights: Floats, u: Floats) -> Ints:
    """When, after the start, the share `u` of all activity has passed."""
    passed = np.concatenate([[0.0], np.cumsum(hour_weights)])
    return np.asarray(np.interp(u * passed[-1], passed, np.arange(len(passed)) * float(HOUR_MS)), dtype=np.int64)


def _sorted_within(owner: NDArray[np.int64], ms: Ints) -> Ints:
    """Instants in rising order for each owner; stretches of a person are alike, so only the instants are ordered."""
    span = 1 << 40
    return np.asarray(np.sort(owner * span + ms) - owner * span, dtype=np.int64)
