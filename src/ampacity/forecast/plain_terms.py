"""The terms of a scenario whose windows all state their size, without a plan: for runs of minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ampacity.emulation.pools import ServingPool
from ampacity.policy.rows import compile_limit
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms
from ampacity.scenario.scenario import Scenario

QUANTUM = 4096
NOWHERE = "http://127.0.0.1:1"
AHEAD_S = 400 * 86_400
ROOM, WAIT_MOST_MS = 200, 5_000


def plain_terms(s: Scenario, pools: Sequence[ServingPool], urls: Mapping[str, str] | None = None) -> Terms:
    """Limits, tiers and pools of a scenario. urls: where each pool answers; nowhere if left out.

    A window without a size holds any number of tokens.
    """
    start_s = int(s.start.toordinal() - 719_163) * 86_400
    limits = {limit.name: compile_limit(limit, start_s, start_s + AHEAD_S) for limit in s.limits}
    tiers = tuple(TierTerms(t.name, t.limit or "", round(QUANTUM * t.weight)) for t in s.tiers)
    if any(not t.limit for t in tiers):
        limits[""] = ()
    by_alias: dict[str, list[PoolTerms]] = {}
    for p in pools:
        url = (urls or {}).get(p.name, NOWHERE)
        own = PoolTerms(p.name, url, p.model, p.slots, max(p.replicas.pace_ns, 1))
        by_alias.setdefault(p.alias or p.model, []).append(own)
    services = tuple(ServiceTerms(alias, tuple(own)) for alias, own in by_alias.items())
    return Terms(s.name, limits, tiers, services, room=ROOM, wait_most_ms=WAIT_MOST_MS)


def at_addresses(terms: Terms, urls: Mapping[str, str]) -> Terms:
    """The same terms with pools, by name, at other addresses."""
    services = tuple(
        replace(s, pools=tuple(replace(p, url=urls.get(p.name, p.url)) for p in s.pools)) for s in terms.services
    )
    return replace(terms, services=services)
