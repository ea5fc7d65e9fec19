"""A rehearsed reclaim or outage in words, tables and data: sentences first, then who met what."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from ampacity.reporting.catalog_views import View
from ampacity.reporting.words import count, digits, share, tokens
from ampacity.simulator import leaving, minutes
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.recovery import AS_BEFORE, THROTTLED_SHARE, THROTTLED_TTFT_S, Recovery
from ampacity.simulator.rehearsed import AFTER_H, EVENT_MIN, Rehearsal, estimate

SHOWN_MIN = (0, 1, 2, 3, 5, 10, 15, 30, 60, 90)
"""Minutes of the table; the JSON has all."""

NOTHING_STAYS = (
    "Nothing else serves anybody: until it is back every request is refused (529). There is no service left to look "
    "at, and what follows the return is not looked at."
)


def rehearsal_view(r: Rehearsal, start_s: int, record: dict[str, Any], name: str) -> View:
    """The answer on one screen. start_s: when hour 0 begins, from 1970."""
    lines = [f"  {said}" for said in rehearsal_sentences(r, start_s)]
    for table in (_tiers(r), _course(r)) if r.stay else ():
        lines += ["", *_aligned(table)]
    said = rehearsal_sentences(r, start_s)
    return View("\n".join(lines), {"scenario": name, "record": record, "answer": said, "rehearsal": data(r, start_s)})


def rehearsal_sentences(r: Rehearsal, start_s: int) -> list[str]:
    """What goes and what that is of all; what became of requests in flight; who is throttled; when it is over."""
    if not r.stay:
        return [_what(r, start_s), _flight(r), NOTHING_STAYS]
    return [_what(r, start_s), _flight(r), _throttled(r), _over(r)]


def data(r: Rehearsal, start_s: int) -> dict[str, Any]:
    """All of it for programs. Minutes count from the event; figures are of the whole fleet."""
    g = r.going
    best, least, most = r.minutes_to_recover()
    return {
        "event": {
            "kind": g.kind,
            "subject": g.subject,
            "notice_s": g.notice_s,
            "for_s": None if math.isinf(g.for_s) else g.for_s,
            "on_kill": g.kills,
            "hour": r.hour,
            "at": _at(r, start_s).isoformat(),
        },
        "pools": {"gone": list(r.gone), "stay": list(r.stay)},
        "cells": {"gone": r.cells[0], "stay": r.cells[1]},
        "requests_looked_at": r.requests,
        "share_of_work_gone": r.share_gone,
        "load": {"before": _finite(r.load_before), "after": _finite(r.load_after)},
        "in_flight": in_flight(r),
        "throttled": [_one(t, r) for t in r.order],
        "tiers": [_one(t, r) for t in r.tiers],
        "all": _recovered(r.all),
        "recovers": r.recovers,
        "minutes_to_recover": best,
        "minutes_to_recover_leaving_out_one": {"least": least, "most": most},
        "bounds": {
            "refused_share": THROTTLED_SHARE,
            "ttft_p99_s": THROTTLED_TTFT_S,
            "as_before_times": AS_BEFORE,
            "hours_after": AFTER_H,
        },
        "minutes": _minutes(r),
    }


def in_flight(r: Rehearsal) -> dict[str, dict[str, float | None]]:
    """Requests on the replicas that go, at the event, and what became of them; each with its 90 % interval."""
    broken, given_up = (r.fates[:, :, f].sum(axis=1) for f in (leaving.BROKEN_OFF, leaving.GIVEN_UP))
    handed = r.fates[:, :, leaving.HANDED_OVER].sum(axis=1)
    anew = broken - given_up + (handed if r.going.kills == "recompute" else 0.0)
    return {
        "at_the_event": _figure(r.fate(leaving.IN_FLIGHT)),
        "finished_in_time": _figure(r.fate(leaving.FINISHED)),
        "resumed": _figure(estimate(handed if r.going.kills == "resume" else 0.0 * handed)),
        "recomputed": _figure(estimate(anew)),
        "lost": _figure(r.fate(leaving.GIVEN_UP)),
        "broken_off": _figure(r.fate(leaving.BROKEN_OFF)),
        "output_tokens_wasted": _figure(r.fate(leaving.WASTED_TOKENS)),
        "in_queue": _figure(r.fate(leaving.WAITING)),
    }


def _what(r: Rehearsal, start_s: int) -> str:
    g = r.going
    when = f"{_at(r, start_s):%A %d %B %Y, %H:%M} UTC"
    told = f"with {_span(g.notice_s)} of notice" if g.notice_s else "without notice"
    back = "" if math.isinf(g.for_s) else f", for {_span(g.for_s)}"
    verb = "is taken back" if g.kind == "reclaim" else "is out"
    parts = ", ".join(f"{share(x)} of {model}" for model, x in r.share_gone.items() if x > 0)
    after = "nothing is left" if math.isinf(r.load_after) else f"{share(r.load_after)}"
    return (
        f"{g.subject} {verb} {told}{back} on {when}: {parts} is served there. Of what the fullest pool carries at the "
        f"service level people want {share(r.load_before)} before, {after} after."
    )


def _flight(r: Rehearsal) -> str:
    f = in_flight(r)
    whole = f["at_the_event"]["value"] or 0.0
    words = {
        "finished_in_time": "are answered before it ends",
        "resumed": "are handed to other replicas with what had come out",
        "recomputed": "break off and are computed anew when clients ask again"
        if r.going.kills == "lose" and r.stay
        else "break off"
        if not r.stay
        else "are computed anew elsewhere",
        "lost": "are never asked again",
    }
    parts = [f"{count(round(f[k]['value'] or 0.0))} {said}" for k, said in words.items() if (f[k]["value"] or 0) >= 0.5]
    wasted = f["output_tokens_wasted"]["value"] or 0.0
    lost = f"; {tokens(wasted)} tokens of output are lost" if wasted else ""
    return f"Of {count(round(whole))} requests in flight {', '.join(parts) or 'none is touched'}{lost}."


def _throttled(r: Rehearsal) -> str:
    if not r.order:
        return (
            f"No tier is throttled: never are more than {share(THROTTLED_SHARE)} of a minute's attempts refused for "
            f"want of capacity (529), nor does one first token in a hundred take longer than {THROTTLED_TTFT_S:g} s."
        )
    parts = []
    for t in r.order:
        x = r.by_tier[t]
        if t in r.unserved:
            parts.append(f"{t} (no replica is left)")
        else:
            parts.append(f"{t} (minute {x.throttled_min}, at worst {share(x.worst_refused)} refused)")
    return f"Throttled in this order: {', '.join(parts)}."


def _over(r: Rehearsal) -> str:
    best, least, most = r.minutes_to_recover()
    carries = r.load_after <= 1
    if best is None:
        why = (
            f"what is left does not carry the demand ({'nothing' if math.isinf(r.load_after) else share(r.load_after)})"
            if not carries
            else f"what is left carries {share(r.load_after)} of its load, but caches and queues are not as before"
        )
        return f"Service is not as before within {AFTER_H} hours: {why}."
    if best == 0:
        return "Service is as before from the first minute on."
    off = f" ({least} to {'more than ' + str(60 * AFTER_H) if most is None else most}, leaving out single cells)"
    after = "1 minute" if best == 1 else f"{best} minutes"
    return f"Service is as before after {after}{off if (least, most) != (best, best) else ''}."


def _one(tier: str, r: Rehearsal) -> dict[str, Any]:
    x = r.by_tier[tier]
    return {
        "tier": tier,
        "served_after": tier not in r.unserved,
        **_recovered(x),
        "throttled_min": 0 if tier in r.unserved else x.throttled_min,
        "recovered_min": None if tier in r.unserved else x.recovered_min,
        **{
            word: _figure(r.total(kind, tier))
            for word, kind in (
                ("asked", minutes.ASKED),
                ("answered", minutes.ANSWERED),
                ("refused_429", minutes.LIMITED),
                ("refused_529", minutes.OVERLOADED),
                ("given_up", minutes.GIVEN_UP),
            )
        },
    }


def _recovered(x: Recovery) -> dict[str, Any]:
    return {
        "throttled_min": x.throttled_min,
        "recovered_min": x.recovered_min,
        "refused_share_before": x.refused_before,
        "worst_refused_share": x.worst_refused,
        "ttft_p99_before_s": _finite(x.ttft_p99_before_s),
        "worst_ttft_p99_s": _finite(x.worst_ttft_p99_s),
    }


def _minutes(r: Rehearsal) -> list[dict[str, Any]]:
    """Every minute of every tier."""
    counts, ttft = r.counts.mean(axis=0), r.ttft.mean(axis=0)
    return [
        {
            "minute": m - EVENT_MIN,
            "tier": tier,
            "asked": round(counts[m, i, minutes.ASKED]),
            "answered": round(counts[m, i, minutes.ANSWERED]),
            "refused_429": round(counts[m, i, minutes.LIMITED]),
            "refused_529": round(counts[m, i, minutes.OVERLOADED]),
            "ttft_p50_s": _finite(minutes.ttft_s(ttft[m, i], 0.5)),
            "ttft_p99_s": _finite(minutes.ttft_s(ttft[m, i], 0.99)),
        }
        for m in range(len(counts))
        for i, tier in enumerate(r.tiers)
    ]


def _tiers(r: Rehearsal) -> list[list[str]]:
    table = [["tier", "asked", "answered", "429", "529", "worst minute", "TTFT p99 before", "at worst", "as before"]]
    for t in r.tiers:
        x = r.by_tier[t]
        totals = [r.total(k, t).value for k in (minutes.ASKED, minutes.ANSWERED, minutes.LIMITED, minutes.OVERLOADED)]
        back = "no" if t in r.unserved or x.recovered_min is None else f"{x.recovered_min} min"
        times = [_seconds(x.ttft_p99_before_s), _seconds(x.worst_ttft_p99_s)]
        table.append([t, *(count(round(n)) for n in totals), share(x.worst_refused), *times, back])
    return table


def _course(r: Rehearsal) -> list[list[str]]:
    counts, ttft = r.counts.mean(axis=0).sum(axis=1), r.ttft.mean(axis=0).sum(axis=1)
    table = [["minute", "asked", "answered", "429", "529", "TTFT p50", "p99"]]
    for m in (-1, *SHOWN_MIN):
        row = counts[EVENT_MIN + m]
        kinds = (minutes.ASKED, minutes.ANSWERED, minutes.LIMITED, minutes.OVERLOADED)
        times = [_seconds(minutes.ttft_s(ttft[EVENT_MIN + m], q)) for q in (0.5, 0.99)]
        table.append([str(m), *(count(round(row[k])) for k in kinds), *times])
    return table


def _at(r: Rehearsal, start_s: int) -> datetime:
    return datetime.fromtimestamp(start_s + 3600 * r.hour, UTC)


def _figure(e: Estimate) -> dict[str, float | None]:
    return {"value": _finite(e.value), "low": _finite(e.low), "high": _finite(e.high)}


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _span(seconds: float) -> str:
    for size, noun in ((3600.0, "hour"), (60.0, "minute")):
        if seconds >= size:
            many = digits(seconds / size).rstrip("0").rstrip(".") if seconds % size else f"{seconds / size:,.0f}"
            return f"{many} {noun}" + ("" if many == "1" else "s")
    return f"{digits(seconds)} seconds"


def _seconds(x: float) -> str:
    if not math.isfinite(x):
        return ""
    return f"{digits(1000 * x, 2)} ms" if x < 1 else f"{digits(x, 2)} s"


def _aligned(table: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  " + "   ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]
