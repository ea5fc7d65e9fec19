"""What a sampled fleet says in sentences, and how estimates are written: a value, and in brackets where 90 % lie."""

from __future__ import annotations

import math
from collections.abc import Callable

from ampacity.reporting.fleet_frames import OVERLOADED, found_share, served, share_of_attempts
from ampacity.reporting.twin_view import mix_sentences
from ampacity.reporting.words import count, digits, share
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import GOOD_TTFT_S
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.fleet_run import FleetRun
from ampacity.simulator.of_scenario import other_mixes
from ampacity.simulator.shedding import QUEUE_S
from ampacity.simulator.strata import CELL_REPLICAS

SLOW_S = {0.9: 10.0, 0.99: 60.0}
"""First tokens are slow if one in ten, or one in a hundred, takes longer. [s]"""
ONE_IN = {0.9: "A tenth", 0.99: "A hundredth"}
TOLD_SHARE = 5e-4
"""Refusals of fewer attempts are in the table alone."""
ASSUMED = (
    f"Cells are of at most {CELL_REPLICAS} replicas with people of their own; nothing is routed between them, and a "
    "cell is given its share of its model's work, by how many sessions each pool carries. A replica takes half as many "
    "requests again as its batch at full load has, and who has a context there; others wait, and are refused (529) "
    f"after {QUEUE_S:.0f} s.",
    "What fails is drawn for the whole fleet by the catalog's causes, so cells that share a feed, a release or a login "
    "fail together. Windows are as full as the people's weeks before the hour leave them.",
)


def fleet_sentences(r: FleetRun) -> list[str]:
    """How much was looked at for how much; what is slow, refused and good; what failures take."""
    mixes = mix_sentences(other_mixes(r.fleet.setting.s))
    return [looked_at(r), *mixes, *_slow(r), *_refused(r), goodput(r), *_failing(r)]


def looked_at(r: FleetRun) -> str:
    """Requests that were looked at, of how many that they stand for, in how many cells and hours."""
    many = r.sample.requests
    span = hours_in_words(len(r.hours))
    if r.whole:
        which = "the busiest hour" if len(r.hours) == 1 else f"the {len(r.hours)} busiest hours"
        return f"{count(many)} requests, every one of {which}, in all {count(r.cells)} cells of the fleet."
    stands = r.sample.total(at.ANSWERED)
    cells = len({(w.pool, w.cell) for w in r.sample.seen})
    each = round(r.sample.looks / max(cells, 1))
    return (
        f"{count(many)} requests were looked at one by one, for {spread(stands, big)} in {span}: {count(cells)} of "
        f"{count(r.cells)} cells, {each} hours of each, of quiet hours and of busy ones."
    )


def goodput(r: FleetRun) -> str:
    """Which share of answers is good, with both bounds."""
    level = digits(1000 * r.fleet.setting.s.service_level.tpot_s, 2)
    return (
        f"{spread(r.sample.good_share(), share)} of answers are good: the first token within {GOOD_TTFT_S} s, the "
        f"others at {level} ms each or faster, as the service level says."
    )


def between_samples(r: FleetRun) -> list[str]:
    """What the sampling leaves, and apart what drawing anew does that all cells share."""
    shocks = r.shocks
    here = "Nothing is left to sampling" if r.whole else "The intervals hold what sampling leaves"
    few = ", ".join(r.sample.scarce)
    scarce = f"A part of the sample sees next to nobody in {few}: intervals of what is asked there are wide."
    return [
        *([scarce] if few else []),
        f"{here}; what all cells meet at once is in none of them. Drawn {shocks.seeds} times, the swing that all "
        f"people share makes it {spread(r.swings, big)} requests; shared causes leave the door open in "
        f"{spread(shocks.door, share)} of four weeks, and the mean replica up in {spread(shocks.up, share)} of them.",
    ]


def rate(r: FleetRun) -> str:
    """How fast it was."""
    s = r.sample
    return (
        f"{count(s.with_warm_up)} requests, with those that warm memory up, in {digits(r.wall_s)} s and "
        f"{digits(s.cpu_s)} CPU s: {digits(s.with_warm_up / max(s.cpu_s, 1e-9))} a CPU second, "
        f"{digits(s.with_warm_up / max(r.wall_s, 1e-9))} a second."
    )


def spread(e: Estimate, write: Callable[[float], str]) -> str:
    """A value with its interval: "94 % (93 to 95 %)"; alone where there is none, or both ends read like it."""
    value = write(e.value)
    if math.isnan(e.low) or math.isnan(e.high):
        return value
    low, high = write(e.low), write(e.high)
    if low == high == value:
        return value
    # the unit once, if both ends have it
    unit = high.rpartition(" ")[2] if " " in high else ""
    return f"{value} ({low.removesuffix(f' {unit}') if unit else low} to {high})"


def seconds(x: float) -> str:
    """A time in ms below a second: "450 ms", "1.2 s"; nothing if nobody had one."""
    if math.isnan(x):
        return ""
    return f"{digits(1000 * x, 2)} ms" if x < 1 else f"{digits(x, 2)} s"


def big(x: float) -> str:
    """A number of requests: "8.2 billion"."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if x >= size:
            return f"{digits(x / size, 2)} {word}"
    return count(round(x))


def hours_in_words(hours: int) -> str:
    """A span that begins with the scenario: "four weeks", "36 hours"."""
    return "four weeks" if hours == 4 * 168 else "an hour" if hours == 1 else f"{hours} hours"


def _slow(r: FleetRun) -> list[str]:
    said = []
    for tier in served(r):
        slow = [q for q, bound in SLOW_S.items() if r.sample.quantile_s(at.TTFT, q, tier.name).value > bound]
        if slow:
            said.append(
                f"{ONE_IN[slow[0]]} of the first tokens of {tier.name} take more than "
                f"{spread(r.sample.quantile_s(at.TTFT, slow[0], tier.name), seconds)}; "
                f"{spread(found_share(r, tier.name), share)} of their input is found in memory, the rest is computed."
            )
    return said


def _refused(r: FleetRun) -> list[str]:
    said = []
    for tier in served(r):
        name = tier.name
        found = share_of_attempts(r, [at.REFUSALS], name)
        if found.value >= TOLD_SHARE:
            places = range(len(r.windows(name)))
            first = max(places, key=lambda p: r.sample.total(at.BY_WINDOW + p, name).value)
            said.append(
                f"Windows refuse {spread(found, share)} of the attempts of {name} (429), the "
                f"{r.windows(name)[first].name} one most of them."
            )
    lacking = share_of_attempts(r, list(OVERLOADED.values()))
    if lacking.value > 0:
        why = max(OVERLOADED, key=lambda word: r.sample.total(OVERLOADED[word]).value).replace("_", " ")
        said.append(f"For want of capacity {spread(lacking, share)} of all attempts are refused (529): mostly, {why}.")
    return said


def _failing(r: FleetRun) -> list[str]:
    down = [d for d in r.disruptions if d.does in ("down", "drain")]
    own, shared = (sum(d.replica_min for d in down if d.shared is kind) for kind in (False, True))
    shut = sum(d.replica_min for d in r.disruptions if d.does == "close")
    return [
        f"The mean replica is expected to be down {count(round(own))} minutes a month by failures of its own nodes, "
        f"{count(round(shared))} by shared causes; the door is closed {count(round(shut))} minutes."
    ]
