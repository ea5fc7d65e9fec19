"""What demand under a limit costs: a million subscribers over four weeks, from crossing to crossing, on one core.

The plans are those of the announcement's scenario, in its proportions, under the limits of 26 March 2026.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import ampacity as amp
from ampacity.base.calendar import utc_s
from ampacity.demand.at_limit import Scheme, kinds_of, under_each
from ampacity.demand.reactions import stated
from ampacity.demand.stretches import habits
from ampacity.policy.rows import compile_limit
from measure import arguments, publish

ZONE, HOURS, HOUR_MS = "America/Los_Angeles", 4 * 168, 3_600_000


def measured(people: int) -> dict[str, Any]:
    """CPU seconds of drawing what people want and of running it under two schemes, and how much that was."""
    s = amp.load("colossus-1")
    tiers = [t for t in s.tiers if t.kind == "subscribers"]
    everyone = sum(t.people.value for t in tiers)
    start = utc_s(s.start, ZONE)
    drawing = one = two = work_ms = 0.0
    stops = 0
    for t in tiers:
        h = habits(t.behaviour, max(round(people * t.people.value / everyone), 100), start, HOURS, ZONE)
        rules = compile_limit(s.limit(str(t.limit)), start, start + HOURS * 3600)
        kinds, case = kinds_of(t.behaviour), (Scheme(rules), stated())
        under_each(replace(h, people=10), kinds, [case], 1, t.name)  # compiled before
        marks = [time.process_time()]
        for cases in ([], [case], [case, case]):
            found = under_each(h, kinds, cases, 1, t.name)
            marks.append(time.process_time())
        drawing, one, two = (total + b - a for total, (a, b) in zip((drawing, one, two), pairwise(marks), strict=True))
        stops += int(found[0].refused.sum())
        work_ms += found[0].wanted
    return {
        "subscribers": people,
        "session-hours wanted": work_ms / HOUR_MS,
        "stops": stops,
        "CPU s, drawing what is wanted": drawing,
        "CPU s, under one scheme": one - drawing,
        "CPU s, both": one,
        "CPU s, drawing once and two schemes": two,
    }


if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    publish("demand under a limit, four weeks", measured(20_000 if asked.smoke else 1_000_000), asked.json)
