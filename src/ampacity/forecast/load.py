"""A load: who asks what, and when. The same for a forecast and for whoever sends it to a gateway.

A line is one thing after another: a request is asked when the one before it has ended and its pause is over. A client
that is refused goes on to its next step, unless it is told to try again soon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ampacity.base.streams import normal, uniform

OUTPUT_MOST = 1024
"""What every request allows itself to write. [token]"""
FASTER_MOST = 4
"""How many times shorter pauses may be than they were drawn; steps are drawn for that."""
INPUT_LEAST = 64
"""Of a request, so that its words have a place in its body. [token]"""


class Step(msgspec.Struct, frozen=True):
    """A request. pause_ms: after the end of the one before it. conversation: whose context it goes on with."""

    pause_ms: int
    conversation: str
    input_tokens: int
    output_tokens: int


class Line(msgspec.Struct, frozen=True):
    """What one subscriber asks one thing after another. begins_ms: when its first pause begins."""

    subscriber: int
    tier: str
    begins_ms: int
    steps: tuple[Step, ...]


class Load(msgspec.Struct, frozen=True):
    """All lines.

    alias: what is asked for. lasts_ms: nothing is asked later. retries: how often a client tries a request again that
    was refused with `x-should-retry: true`; wait_most_ms: and if it need not wait longer than this.
    """

    alias: str
    lasts_ms: int
    lines: tuple[Line, ...]
    retries: int = 1
    wait_most_ms: int = 60_000

    @property
    def tier_of(self) -> dict[int, str]:
        """The tier of each subscriber."""
        return {line.subscriber: line.tier for line in self.lines}


class Habits(msgspec.Struct, frozen=True):
    """How people of a tier ask.

    people: how many. lines: what each does at once. Medians with spreads of their logarithms: pause between two
    requests [s], first prompt and what a step adds to it [token], answer [token]. steps: of a conversation, mean.
    """

    people: int
    lines: int = 1
    pause_s: float = 3.0
    pause_spread: float = 0.6
    first_tokens: float = 1200.0
    more_tokens: float = 250.0
    input_spread: float = 0.7
    output_tokens: float = 90.0
    output_spread: float = 0.6
    steps: float = 6.0


def drawn_load(alias: str, tiers: Mapping[str, Sequence[Habits]], seconds: float, seed: int = 1) -> Load:
    """A load drawn by key: the same for the same seed, and whoever is there stays who they are if others are added.

    tiers: of each tier the habits of its people.
    """
    lines: list[Line] = []
    who = 0
    for tier, groups in tiers.items():
        for group, habits in enumerate(groups):
            for person in range(habits.people):
                who += 1
                for n in range(habits.lines):
                    key = f"{tier}/{group}/{person}/{n}"
                    begins_ms = round(uniform(seed, key, "begins") * seconds * 300)
                    steps = tuple(_steps(habits, seed, key, seconds))
                    lines.append(Line(who, tier, begins_ms, steps))
    return Load(alias, round(seconds * 1000), tuple(lines))


def _steps(h: Habits, seed: int, key: str, seconds: float) -> Iterator[Step]:
    """More than can be asked in that time: answers take time, too."""
    left_ms, number, talk, context = seconds * 1000, 0, 0, 0

    def drawn(median: float, spread: float, what: str) -> float:
        return median * math.exp(spread * normal(seed, key, what, number))

    while left_ms > 0:
        pause_ms = drawn(h.pause_s * 1000, h.pause_spread, "pause")
        if context == 0 or uniform(seed, key, "ends", number) < 1 / h.steps:
            talk += 1
            context = 0
            new = drawn(h.first_tokens, h.input_spread, "first")
        else:
            new = drawn(h.more_tokens, h.input_spread, "more")
        tokens = max(context + round(new), INPUT_LEAST)
        output = min(max(round(drawn(h.output_tokens, h.output_spread, "output")), 2), OUTPUT_MOST)
        yield Step(round(pause_ms), f"{key}/{talk}", tokens, output)
        context = tokens + output
        left_ms -= pause_ms / FASTER_MOST
        number += 1
