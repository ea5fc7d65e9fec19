"""The closed form of a limit against the Monte Carlo that it stands for: same question, same answer, CPU seconds."""

from __future__ import annotations

import numpy as np

from ampacity.planner.active_load import Capacity, Sources, Takes, carried_share
from measure import arguments, cpu_s, publish

PEOPLE, ACTIVE, TAKERS, CAP, SIGMA, SWING = 50, 0.17, 0.1, 11.0, 1.28, 0.35


def closed_form(capacity: float) -> float:
    """Share of hours carried, by the equivalent binomial."""
    sources = Sources(np.array([float(PEOPLE)]), np.array([[ACTIVE]]), SWING)
    # who wants X, log-normal with mean 1, draws it in CAP / X of the time where that is more than the cap
    z = np.linspace(-8.0, 8.0, 801)
    weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    wants = np.exp(SIGMA * z - SIGMA**2 / 2)
    mean = TAKERS * CAP + (1 - TAKERS) * float(weight @ np.minimum(wants, CAP))
    second = TAKERS * CAP**2 + (1 - TAKERS) * float(weight @ (wants * np.minimum(wants, CAP)))
    takes = Takes(np.array([mean]), np.array([second]))
    return carried_share(sources, takes, Capacity(np.array([capacity]), np.array([1e9]), 1.0, np.array([1.0])))


def monte_carlo(capacity: float, hours: int, seed: int) -> float:
    """The same, by drawing who is active in each hour and what each of them takes."""
    rng = np.random.default_rng(seed)
    swing = np.exp(rng.normal(0, SWING, hours) - SWING**2 / 2)
    active = rng.binomial(PEOPLE, np.minimum(ACTIVE * swing, 1.0))
    load = np.zeros(hours)
    for person in range(active.max()):
        there = active > person
        taker = rng.random(hours) < TAKERS
        wants = np.exp(rng.normal(-(SIGMA**2) / 2, SIGMA, hours))
        burning = rng.random(hours) < np.minimum(CAP / wants, 1.0)
        load += there * np.where(taker, CAP, np.where(burning, wants, 0.0))
    return float(np.mean(load <= capacity))


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    hours, repeats = (20_000, 1) if options.smoke else (1_000_000, 3)
    capacity = 61.9
    ours, oracle = closed_form(capacity), monte_carlo(capacity, hours, 1)
    fast = cpu_s(lambda: [closed_form(capacity) for _ in range(100)], repeats) / 100
    slow = cpu_s(lambda: monte_carlo(capacity, hours, 1), repeats)
    publish(
        "limits: closed form against Monte Carlo",
        {
            "share of hours carried, closed form": ours,
            f"share of hours carried, Monte Carlo over {hours:,} hours": oracle,
            "difference, percentage points": 100 * abs(ours - oracle),
            "closed form, CPU s": fast,
            "Monte Carlo, CPU s": slow,
            "ratio": slow / fast,
        },
        options.json,
    )


if __name__ == "__main__":
    main()
