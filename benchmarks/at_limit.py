"""What demand under a limit costs: a million subscribers over four weeks, from crossing to crossing, on one core.

The plans are those of the announcement's scenario, in its proportions, under the limits of 26 March 2026.
"""

from __future__ import annotations

import time
from typing import Any

import ampacity as amp
from ampacity.base.calendar import utc_s
from ampacity.demand.at_limit import PEOPLE_AT_ONCE, Met, Scheme, kinds_of, met
from ampacity.demand.reactions import stated
from ampacity.demand.stretches import habits, stretches
from ampacity.policy.rows import compile_limit
from measure import arguments, publish

ZONE, HOURS = "America/Los_Angeles", 4 * 168


def measured(people: int) -> dict[str, Any]:
    """CPU seconds of drawing what people want and of running it under two schemes, and how much that was."""
    s = amp.load("colossus-1")
    tiers = [t for t in s.tiers if t.kind == "subscribers"]
    everyone = sum(t.people.value for t in tiers)
    start = utc_s(s.start, ZONE)
    drawing = running = 0.0
    count = stops = 0
    for t in tiers:
        h = habits(t, max(round(people * t.people.value / everyone), 100), start, HOURS, ZONE)
        rules = compile_limit(s.limit(str(t.limit)), start, start + HOURS * 3600)
        met(h, stretches(h, 1, t.name, 0, 10), kinds_of(t.behaviour), Scheme(rules), stated())  # compiled before
        for begin in range(0, h.people, PEOPLE_AT_ONCE):
            began = time.process_time()
            wanted = stretches(h, 1, t.name, begin, min(begin + PEOPLE_AT_ONCE, h.people))
            drawn = time.process_time()
            found: Met = met(h, wanted, kinds_of(t.behaviour), Scheme(rules), stated())
            drawing, running = drawing + drawn - began, running + time.process_time() - drawn
            count, stops = count + len(wanted.pace), stops + int(found.refused.sum())
    return {
        "subscribers": people,
        "stretches of work": count,
        "stops": stops,
        "CPU s, drawing what is wanted": drawing,
        "CPU s, under one scheme": running,
        "CPU s, both": drawing + running,
        "CPU s, drawing once and two schemes": drawing + 2 * running,
        "ns a stretch, under one scheme": 1e9 * running / count,
    }


if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    publish("demand under a limit, four weeks", measured(20_000 if asked.smoke else 1_000_000), asked.json)
