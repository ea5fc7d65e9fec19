"""What a fleet's people meet request by request: on the screen, on the page, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ampacity.planner.plan import Plan
from ampacity.reporting.chapter import Chapter, Table
from ampacity.reporting.simulated import limits_of
from ampacity.reporting.words import count, digits, share
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import NOT_SCALED
from ampacity.simulator.limits_in_time import TokensFound
from ampacity.simulator.of_scenario import OtherMix
from ampacity.simulator.shedding import QUEUE_S
from ampacity.simulator.twin import Weeks

QUANTILES = {"half": 0.5, "nine in ten": 0.9, "99 in 100": 0.99}


SLOW_S = {0.9: 10.0, 0.99: 60.0}
"""First tokens are slow if one in ten, or one in a hundred, takes longer. [s]"""
SHED = 1e-3
"""Worth a sentence if more than one request in a thousand is refused for want of capacity."""
ONE_IN = {0.9: "a tenth", 0.99: "a hundredth"}


def limits_found(p: Plan) -> TokensFound:
    """The tokens of a plan's windows at the stated values, by tier and window."""
    return limits_of(p.central)


def twin_sentences(weeks: Sequence[Weeks]) -> list[str]:
    """What contradicts a plan: tiers whose first tokens are slow, and why."""
    said = []
    for w in weeks:
        said += mix_sentences(w.other_mixes)
        for tier in _tiers(w):
            slow = [q for q, bound in SLOW_S.items() if w.result.quantile_s(at.TTFT, q, tier) > bound]
            if slow:
                found = share(w.result.count(at.HIT, tier) / w.result.count(at.INPUT_TOKENS, tier))
                said.append(
                    f"Request by request this is slow: {ONE_IN[slow[0]]} of the first tokens of {tier} take more than "
                    f"{_seconds(w, at.TTFT, slow[0], tier)}, and {found} of their input is found in memory. The plan "
                    "counts contexts at rest with a steady number of sessions at once; when more come together, memory "
                    "drops contexts that are asked for again, and a replica that reads them anew carries far fewer."
                )
            refused = w.result.overloaded(tier)
            if refused > SHED * w.result.count(at.ASKED, tier):
                said.append(
                    f"{count(refused)} times in {_span(w)} a request of {tier} is refused because capacity is short "
                    f"(529): it would have waited more than {QUEUE_S:.0f} s for a replica with room. Somebody is "
                    f"in {count(w.short_hours)} of {count(w.hours)} hours."
                )
    return said


def mix_sentences(mixes: Sequence[OtherMix]) -> list[str]:
    """Where requests and plan are not of the same tokens."""
    return [
        f"Requests of {m.tier} have {count(round(m.sent))} tokens of input for each of output, and the plan counts "
        f"{count(round(m.planned))}: they are sessions of the packaged model within the model's window, at this "
        "tier's pace of output, so plan and requests cannot be compared."
        for m in mixes
    ]


def twin_rows(weeks: Sequence[Weeks]) -> list[tuple[str, str]]:
    """A line of the screen for each tier that asked."""
    rows = []
    for w in weeks:
        for tier in w.result.tiers:
            if not w.result.count(at.ANSWERED, tier):
                continue
            half, most, slow = (_seconds(w, at.TTFT, q, tier) for q in (0.5, 0.9, 0.99))
            token = digits(1000 * w.result.quantile_s(at.TPOT, 0.5, tier), 2)
            found = w.result.count(at.HIT, tier) / w.result.count(at.INPUT_TOKENS, tier)
            rows.append(
                (
                    "requests",
                    f"{tier}: {count(w.result.count(at.SENT, tier))} in {_span(w)}, first token within {half} for half "
                    f"of them, {most} for nine in ten, {slow} for 99 in 100; {token} ms per token   {share(found)} of "
                    f"input found in memory{_refused(w, tier)}",
                )
            )
        if (came := w.result.scaled) != NOT_SCALED:
            there = f"{digits(w.replicas_there, 2)} of {w.replicas} replicas there on the mean"
            rows.append(("requests", f"{w.model}: {there}: {count(came.starts)} started, {count(came.drains)} drained"))
        if w.left_out:
            rows.append(("requests", f"left out: {_left_out(w)}"))
    return rows


def _refused(w: Weeks, tier: str) -> str:
    """What windows stop of a tier."""
    refused, lost = w.result.count(at.REFUSALS, tier), w.result.count(at.STEPS_LOST, tier)
    if not refused:
        return ""
    gone = f", after which {count(lost)} requests are never asked" if lost else ""
    hit = max(w.hit.get(tier, {}).items(), key=lambda one: one[1], default=("", 0.0))
    whom = f"; the {hit[0]} one stops {digits(hit[1], 2)} people a week" if hit[1] else ""
    return f"   windows refuse {count(refused)} attempts{gone}{whom}"


def twin_data(weeks: Sequence[Weeks]) -> dict[str, Any]:
    """The same for programs, by model and tier. Seconds, shares of 1."""
    return {
        w.model: {
            "sentences": twin_sentences([w]),
            "hours": w.hours,
            "hours_carried_share": w.carried_share,
            "replicas": w.replicas,
            "replicas_there": w.replicas_there,
            "replicas_started": w.result.scaled.starts,
            "iteration_running_share": w.busy_share,
            "left_out": w.left_out,
            "preemptions": w.result.preemptions,
            "found_tokens": w.result.hit_tokens,
            "found_below_hbm_tokens": list(w.result.loaded_tokens),
            "tiers": {tier: _tier_data(w, tier) for tier in w.result.tiers},
        }
        for w in weeks
    }


def _tier_data(w: Weeks, tier: str) -> dict[str, Any]:
    r = w.result
    answered = r.count(at.ANSWERED, tier)
    return {
        "asked": r.count(at.ASKED, tier),
        "answered": answered,
        "refused_attempts": r.count(at.REFUSALS, tier),
        "overloaded_attempts": r.overloaded(tier),
        "people_hit_per_week": dict(w.hit.get(tier, {})) or None,
        "lost": r.count(at.STEPS_LOST, tier),
        "input_tokens": r.count(at.INPUT_TOKENS, tier),
        "found_in_memory_tokens": r.count(at.HIT, tier),
        "output_tokens": r.count(at.OUTPUT_TOKENS, tier),
        **{
            name: {f"p{100 * q:g}": r.quantile_s(metric, q, tier) for q in QUANTILES.values()} if answered else None
            for name, metric in (("ttft_s", at.TTFT), ("tpot_s", at.TPOT), ("latency_s", at.LATENCY))
        },
    }


def twin_chapter(weeks: Sequence[Weeks]) -> Chapter | None:
    """The chapter of the page; None where nothing was looked at request by request."""
    if not weeks:
        return None
    said = [
        "Every request of the people, one by one, on the replicas at the stated values: the same people and windows as "
        "in the limits above. Nothing fails in it. A replica takes half as many requests again as its batch at "
        f"full load has, and who has a context there; others wait, and are refused (529) after {QUEUE_S:.0f} s.",
        *(_told(w) for w in weeks),
        *twin_sentences(weeks),
    ]
    columns = (
        "Tier",
        "Requests",
        "Refused by windows",
        "Refused, no room",
        "Found in memory",
        *(f"First token, {q}" for q in QUANTILES),
    )
    table = Table("What requests meet", (*columns, "Per token, half"), [_row(w, t) for w in weeks for t in _tiers(w)])
    return Chapter("requests", "Request by request", said, tables=[table])


def _told(w: Weeks) -> str:
    many = w.result.count(at.SENT)
    left = f" Left out: {_left_out(w)}." if w.left_out else ""
    copies = "1 replica" if w.replicas == 1 else f"{count(w.replicas)} replicas"
    return (
        f"{w.model}: {count(many)} requests in {_span(w)} on {copies}; an iteration runs in {share(w.busy_share)} of "
        f"the time, which is more than the share of capacity used, for most iterations are small.{left}"
    )


def _row(w: Weeks, tier: str) -> tuple[str, ...]:
    r = w.result
    return (
        tier,
        count(r.count(at.SENT, tier)),
        count(r.count(at.REFUSALS, tier)),
        count(r.overloaded(tier)),
        share(r.count(at.HIT, tier) / r.count(at.INPUT_TOKENS, tier)),
        *(_seconds(w, at.TTFT, q, tier) for q in QUANTILES.values()),
        f"{digits(1000 * r.quantile_s(at.TPOT, 0.5, tier), 2)} ms",
    )


def _tiers(w: Weeks) -> list[str]:
    return [t for t in w.result.tiers if w.result.count(at.ANSWERED, t)]


def _seconds(w: Weeks, metric: int, q: float, tier: str) -> str:
    return f"{digits(w.result.quantile_s(metric, q, tier), 2)} s"


def _left_out(w: Weeks) -> str:
    return f"{count(w.left_out)} of more context than a replica holds, or that would have followed one"


def _span(w: Weeks) -> str:
    return "four weeks" if w.hours == 4 * 168 else f"{w.hours} hours"
