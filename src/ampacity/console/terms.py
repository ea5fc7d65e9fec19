"""The terms of a live service from a scenario and its plan: limits, tiers, aliases, pools, caps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING

from ampacity.policy.line import QUANTUM_MOST
from ampacity.policy.rows import WindowRule, compile_limit
from ampacity.policy.terms import SLOTS_MOST, PoolEvent, PoolTerms, ServiceTerms, Terms, TermsError, TierTerms
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.mistakes import Mistake, Mistakes

if TYPE_CHECKING:
    from ampacity.planner.answer import Answer
    from ampacity.scenario.placement import Placement
    from ampacity.scenario.scenario import Scenario

QUANTUM = 4096  # uncached tokens that a tier of weight 1 earns in each round of the queue
API_RANK, SUBSCRIBER_RANK = 1, 0
DEFAULT = "default"  # the name by which anybody may ask, where there is one model
UNLIMITED = "unlimited"
EMULATED = "emulated"
NO_WINDOWS: tuple[WindowRule, ...] = ()
AHEAD_S = 400 * 86_400  # tables of instants reach a year ahead, and a month as the begin is one's first day


@dataclass(frozen=True)
class Serving:
    """A placement on a pool that has a replica. slots: requests at once. pace_ns: for an uncached prompt token [ns]."""

    pool: str
    placement: Placement
    family: str
    slots: int
    pace_ns: int

    @property
    def alias(self) -> str:
        """What clients ask for."""
        return self.placement.alias or self.placement.model


Addresses = Mapping[tuple[str, str], str]
"""The URL of each pool and placement that is emulated."""


def live_terms(
    s: Scenario,
    *,
    seed: int = 1,
    emulated: Addresses | None = None,
    now_s: float | None = None,
    without: Sequence[str] = (),
) -> Terms:
    """The terms of a scenario, its ranges at their stated values, every limit as it was changed last.

    Sizes of windows that state none are the plan's. emulated: where the pools answer, or None for real ones, which
    their placements name. now_s: from whose month on tables of instants are made, this one's if left out. without:
    pools on which the plan does not count. Raises Mistakes and LimitError.
    """
    from ampacity.planner.answer import answer
    from ampacity.scenario.announced import after
    from ampacity.scenario.worlds import draw

    own = after(draw(s, seed, 0))
    serving = serving_in(own)
    services = _services(own, serving, emulated)
    a = answer(without_pools(own, serving, without))
    limits, limit_of = _limits(own, serving, a, now_s)
    return Terms(
        name=s.name,
        limits=limits,
        tiers=tuple(_tier(own, i, limit_of) for i in range(len(own.tiers))),
        services=services,
        products=tuple(sorted({p for rules in limits.values() for rule in rules for p in rule.products or ()})),
        caps=_caps(own, serving, a),
        events=_events(own, serving, emulated is not None),
        notes={
            "scenario": s.digest(),
            "seed": str(seed),
            "since": s.start.isoformat(),
            "pools": EMULATED if emulated is not None else "real",
        },
    )


def at_addresses(terms: Terms, urls: Mapping[str, str]) -> Terms:
    """The same terms with pools, by name, at other addresses."""
    services = tuple(
        replace(s, pools=tuple(replace(p, url=urls.get(p.name, p.url)) for p in s.pools)) for s in terms.services
    )
    return replace(terms, services=services)


def carried_on(terms: Terms, before: Terms) -> Terms:
    """Terms of a scenario that was edited, to follow those in force: over the same emulated pools. Raises Mistakes.

    Tiers in force stay and keep their order, so that what is in flight knows its own; new ones come last.
    """
    if before.notes.get("pools") == EMULATED:
        urls = {p.name: p.url for service in before.services for p in service.pools}
        new = [p.name for service in terms.services for p in service.pools if p.name not in urls]
        if new:
            words = "nothing emulates it; a pool that is new is emulated after a restart"
            raise Mistakes([Mistake(terms.name, 0, "pools", name, words) for name in new])
        terms = at_addresses(terms, urls)
    known = [tier.name for tier in before.tiers]
    ordered = sorted(terms.tiers, key=lambda t: known.index(t.name) if t.name in known else len(known))
    return replace(terms, tiers=tuple(ordered))


def without_pools(s: Scenario, serving: Sequence[Serving], names: Sequence[str]) -> Scenario:
    """The scenario as if these pools were taken away on its first day, of each contract the accelerators they have."""
    called = pool_names(serving)
    closed = {v.pool for v in serving if called[v.pool, v.placement.name] in names}
    changes: dict[str, object] = {}
    for contract in s.contracts:
        own = contract.deliveries
        lost = [d for d in own if f"{contract.name}/{d.site}/{d.accelerator}" in closed]
        if lost:
            whole = sum(d.quantity.value for d in own)
            share = sum(d.quantity.value for d in lost) / whole
            event = {"kind": "reclaim", "contract": contract.name, "date": s.start.isoformat(), "notice": "0 s"}
            changes[f"events.closed-{contract.name}"] = event | ({"share": share} if share < 1 else {})
    return s.replace(changes) if changes else s


def serving_in(s: Scenario) -> tuple[Serving, ...]:
    """All placements on all pools that hold a replica. Raises Mistakes if there is none."""
    from ampacity.simulator.model_cell import pool_of, replicas_in
    from ampacity.supply.capacity import capacities
    from ampacity.supply.delivery import hours_of
    from ampacity.supply.options import exercised

    found = []
    for p in capacities(exercised(s), hours_of(s)):
        if p.placement is None or p.replica is None or replicas_in(p) < 1:
            continue
        pool = pool_of(p)
        slots = min(pool.replicas * pool.engine.max_seqs, SLOTS_MOST)
        family = s.model(p.placement.model).family
        found.append(Serving(p.pool.name, p.placement, family, slots, max(pool.pace_ns, 1)))
    if not found:
        raise Mistakes(
            [Mistake(s.name, 0, "placements", "", "no pool holds a replica of a model: nothing can be served")]
        )
    return tuple(found)


def pool_names(serving: Sequence[Serving]) -> dict[tuple[str, str], str]:
    """What the gateway calls each placement on a pool: as the pool, with the placement where it has several."""
    pools = [v.pool for v in serving]
    return {
        (v.pool, v.placement.name): v.pool if pools.count(v.pool) == 1 else f"{v.pool}/{v.placement.name}"
        for v in serving
    }


def _services(s: Scenario, serving: Sequence[Serving], emulated: Addresses | None) -> tuple[ServiceTerms, ...]:
    pools = _real(s, serving) if emulated is None else _emulated(s, serving, emulated)
    models: dict[str, dict[str, None]] = {}
    for v in serving:
        models.setdefault(v.alias, {})[v.placement.model] = None
    services = []
    for i, alias in enumerate(models):
        others = [m for m in models[alias] if m not in models and sum(m in of for of in models.values()) == 1]
        if i == 0 and len({v.placement.model for v in serving}) == 1 and DEFAULT not in models:
            others.insert(0, DEFAULT)
        services.append(ServiceTerms(alias, tuple(pools[alias]), tuple(others)))
    return tuple(services)


def _emulated(s: Scenario, serving: Sequence[Serving], addresses: Addresses) -> dict[str, list[PoolTerms]]:
    names = pool_names(serving)
    missing = [v for v in serving if (v.pool, v.placement.name) not in addresses]
    if missing:
        words = "has a replica, and no emulated pool answers for it"
        raise Mistakes([Mistake(s.name, 0, f"placements.{v.placement.name}", v.pool, words) for v in missing])
    found: dict[str, list[PoolTerms]] = {}
    for v in serving:
        at = v.pool, v.placement.name
        pool = PoolTerms(names[at], addresses[at], v.placement.model, v.slots, v.pace_ns)
        found.setdefault(v.alias, []).append(pool)
    return found


def _real(s: Scenario, serving: Sequence[Serving]) -> dict[str, list[PoolTerms]]:
    """One pool for each endpoint: behind one address nobody can choose among a placement's pools."""
    found: dict[str, list[PoolTerms]] = {}
    mistakes = []
    names = pool_names(serving)
    for name in dict.fromkeys(v.placement.name for v in serving):
        own = [v for v in serving if v.placement.name == name]
        placement = own[0].placement
        mistakes += _unreachable(s, placement)
        pool = PoolTerms(
            name=names[own[0].pool, name] if len(own) == 1 else name,
            url=(placement.endpoint or "").rstrip("/").removesuffix("/v1"),
            model=placement.model,
            slots=min(sum(v.slots for v in own), SLOTS_MOST),
            pace_ns=min(v.pace_ns for v in own),
            key_env=placement.key_env,
            key_file=placement.key_file and _whole(placement.key_file),
        )
        found.setdefault(own[0].alias, []).append(pool)
    if mistakes:
        raise Mistakes(mistakes)
    return found


def _whole(path: str) -> str:
    """A path with the home folder in the place of `~`."""
    return str(Path(path).expanduser())


def _unreachable(s: Scenario, placement: Placement) -> list[Mistake]:
    from ampacity.gateway.pools import key_of

    key, endpoint = f"placements.{placement.name}", placement.endpoint
    if endpoint is None:
        words = 'absent; expected the URL of a running engine, such as "http://10.0.0.5:8000"; or emulate it: --emulate'
        return [Mistake(s.name, 0, f"{key}.endpoint", "", words)]
    found = []
    if not endpoint.startswith(("http://", "https://")):
        words = 'expected a URL that begins with http:// or https://, such as "http://10.0.0.5:8000"'
        found.append(Mistake(s.name, 0, f"{key}.endpoint", endpoint, words))
    if placement.key_env is not None and not os.environ.get(placement.key_env):
        words = f"not in the environment; set it to the pool's key: export {placement.key_env}=..."
        found.append(Mistake(s.name, 0, f"{key}.key_env", placement.key_env, words))
    if placement.key_file is not None:
        try:
            key_of(PoolTerms(placement.name, endpoint, placement.model, 1, key_file=_whole(placement.key_file)))
        except TermsError as err:
            found.append(Mistake(s.name, 0, f"{key}.key_file", placement.key_file, str(err)))
    return found


def _limits(
    s: Scenario, serving: Sequence[Serving], a: Answer, now_s: float | None
) -> tuple[dict[str, tuple[WindowRule, ...]], dict[str, str]]:
    """All limits by name, and which each tier has. Tiers with one limit and several sizes have one each."""
    from ampacity.reporting.simulated import limits_of

    start_s = _month_s(now_s)
    found = limits_of(a)
    limits: dict[str, tuple[WindowRule, ...]] = {}
    limit_of = {}
    for tier in s.tiers:
        name, rules = UNLIMITED, NO_WINDOWS
        if tier.limit is not None:
            name = tier.limit
            sizes = dict(found.get(tier.name, {}))
            rules = _of_aliases(compile_limit(s.limit(name), start_s, start_s + AHEAD_S, sizes), serving)
        if limits.setdefault(name, rules) != rules:
            name = f"{name} of {tier.name}"
            limits[name] = rules
        limit_of[tier.name] = name
    for limit in s.limits:  # those that no tier has may be an organization's
        if limit.name not in limits:
            limits[limit.name] = _of_aliases(compile_limit(limit, start_s, start_s + AHEAD_S), serving)
    return limits, limit_of


def _of_aliases(rules: tuple[WindowRule, ...], serving: Sequence[Serving]) -> tuple[WindowRule, ...]:
    """Windows that count models or families count what clients ask for them by."""
    return tuple(
        rule
        if rule.families is None
        else replace(
            rule,
            families=tuple(
                dict.fromkeys(v.alias for v in serving if {v.placement.model, v.family} & set(rule.families))
            ),
        )
        for rule in rules
    )


def _month_s(now_s: float | None) -> int:
    """When the month began, so that the terms of a month are the same at every start."""
    now = datetime.now(UTC) if now_s is None else datetime.fromtimestamp(now_s, UTC)
    return int(now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


def _tier(s: Scenario, i: int, limit_of: Mapping[str, str]) -> TierTerms:
    tier = s.tiers[i]
    quantum = min(max(round(QUANTUM * tier.weight), 1), QUANTUM_MOST)
    return TierTerms(tier.name, limit_of[tier.name], quantum, API_RANK if tier.kind == "api" else SUBSCRIBER_RANK)


def _caps(s: Scenario, serving: Sequence[Serving], a: Answer) -> tuple[CapacityCurve, ...]:
    """What the plan gives each capped tier in each hour, over all pools of an alias; a cap's pool is the alias."""
    from ampacity.planner.curves import capped

    alias_of = {(v.pool, v.placement.model): v.alias for v in serving}
    sums: dict[tuple[str, str], CapacityCurve] = {}
    for curve in capped(a, s):
        alias = alias_of.get((curve.pool, s.tier(curve.tier).model))
        if alias is None:
            continue
        before = sums.get((curve.tier, alias))
        own = replace(curve, pool=alias)
        sums[curve.tier, alias] = own if before is None else _sum(before, own)
    return tuple(sums.values())


def _events(s: Scenario, serving: Sequence[Serving], emulated: bool) -> tuple[PoolEvent, ...]:
    """The days on which contracts take whole pools away; what takes a part is for the plan, and for an operator."""
    from ampacity.base.calendar import utc_s
    from ampacity.supply.exit import departures, zone_of

    names = pool_names(serving)
    found = []
    for contract in s.contracts:
        zone = zone_of(s, contract)
        for d in departures(s, contract, zone):
            back_ms = 0 if isinf(d.back_s) else int(d.back_s * 1000)
            for v in serving:
                alone = emulated or sum(w.placement is v.placement for w in serving) == 1
                if d.share >= 1 and alone and v.pool.startswith(f"{contract.name}/"):
                    name = names[v.pool, v.placement.name]
                    said_ms = utc_s(d.said_on, zone) * 1000
                    found.append(PoolEvent(said_ms, name, d.gone_s * 1000, back_ms, f"{d.ground} {d.event}"))
    return tuple(found)


def _sum(a: CapacityCurve, b: CapacityCurve) -> CapacityCurve:
    return replace(
        a,
        uncached_input=tuple(map(sum, zip(a.uncached_input, b.uncached_input, strict=True))),
        cached_input=tuple(map(sum, zip(a.cached_input, b.cached_input, strict=True))),
        output=tuple(map(sum, zip(a.output, b.output, strict=True))),
    )
