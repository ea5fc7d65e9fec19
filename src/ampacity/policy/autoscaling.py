"""How many replicas a load needs: more at once, fewer only when they have not been needed for a while.

So many replicas are wanted that none has more than a target, as the Horizontal Pod Autoscaler of Kubernetes has it, and
as there too the most that was wanted over the last while holds when fewer are: a load that comes back within that time
finds its replicas. Replicas that are still starting count, or each look would start them once more. Those that drain do
not; when more are wanted they are taken back before others are started, as they are there and their memory is warm.

    rules   SCALING_FIELDS of who is scaled, see `scaling_rules`
    watch   WATCH_FIELDS of the same: since when fewer would do, and the most that was wanted since; at first zeros

Who calls does it every now and then, with the load as it is then, and carries out what it is told.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row
from ampacity.policy.routing import BACKLOG_MOST, REPLICAS_MOST

A_TARGET, A_LEAST, A_MOST, A_START_MS, A_CALM_MS, SCALING_FIELDS = range(6)
FEWER_SINCE_MS, FEWER_MOST, WATCH_FIELDS = range(3)
WAITS_MOST_MS = 1 << 40


def scaling_rules(target: int, least: int, most: int, start_ms: int, calm_ms: int) -> list[int]:
    """Rules as a row.

    target: requests, or uncached tokens, that a replica is to have, at least 1. least, most: replicas, 1 to most to
    REPLICAS_MOST. start_ms: until a replica that is started serves, at least 1. calm_ms: for so long fewer must do
    before any drains. Raises ValueError with every mistake.
    """
    mistakes = [
        f"{what} is {found}, expected {low} to {high}"
        for what, found, low, high in (
            ("target", target, 1, BACKLOG_MOST),
            ("least", least, 1, max(most, 1)),
            ("most", most, 1, REPLICAS_MOST),
            ("start_ms", start_ms, 1, WAITS_MOST_MS),
            ("calm_ms", calm_ms, 0, WAITS_MOST_MS),
        )
        if not low <= found <= high
    ]
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return [target, least, most, start_ms, calm_ms]


def replicas_wanted(rules: Flat, r: int, load: int) -> int:
    """Replicas of which none has more than the target of a load, from least to most."""
    wanted = (load + rules[r + A_TARGET] - 1) // rules[r + A_TARGET]
    return min(max(wanted, rules[r + A_LEAST]), rules[r + A_MOST])


def scale_by(rules: Flat, r: int, watch: Row, s: int, load: int, serving: int, starting: int, now_ms: int) -> int:
    """How many replicas to start, or below 0 to drain, now (>= 1); a clock that steps back makes the while longer.

    load: requests or uncached tokens that they and whoever waits for them have, 0 to 2^42. What drains is what nobody
    has wanted since the while began; then another one begins.
    """
    have = serving + starting
    wanted = replicas_wanted(rules, r, load)
    if wanted >= have:
        watch[s + FEWER_SINCE_MS] = 0
        return wanted - have
    since = watch[s + FEWER_SINCE_MS]
    if since == 0 or now_ms < since:
        since = now_ms
        watch[s + FEWER_SINCE_MS] = now_ms
        watch[s + FEWER_MOST] = wanted
    elif wanted > watch[s + FEWER_MOST]:
        watch[s + FEWER_MOST] = wanted
    if now_ms - since < rules[r + A_CALM_MS]:
        return 0
    kept = min(watch[s + FEWER_MOST], have)
    watch[s + FEWER_SINCE_MS] = now_ms if wanted < kept else 0
    watch[s + FEWER_MOST] = wanted
    return kept - have


def taken_back(change: int, draining: int) -> int:
    """Of the replicas to start, those that are taken back from draining instead."""
    return min(change, draining) if change > 0 else 0
