"""What a live service decides by: its limits, tiers, pools and caps, as one text that says all of it.

A journal keeps that text, so that a replay decides by what was in force. It holds no secret: a key is named by the
environment variable or the file that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from ampacity.policy.line import QUANTUM_MOST, ROOM_MOST, TIERS_MOST
from ampacity.policy.routing import PACE_MOST_NS, REPLICAS_MOST
from ampacity.policy.rows import WindowRule
from ampacity.scenario.capacity_curve import CapacityCurve

RANK_MOST = 7
SLOTS_MOST = 1 << 20


class TermsError(ValueError):
    """Terms by which nobody can decide; lists every mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        """Join the mistakes, one a line."""
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


@dataclass(frozen=True)
class PoolTerms:
    """Replicas that one address answers for.

    name: of the pool and placement, its own. url: where it answers, `http://host:port` or with a path before `/v1`.
    model: the name it knows the model by. slots: requests that it runs at once. pace_ns: how long it takes for an
    uncached prompt token [ns]. key_env, key_file: which environment variable or file holds its key.
    """

    name: str
    url: str
    model: str
    slots: int
    pace_ns: int = 100_000
    key_env: str | None = None
    key_file: str | None = None


@dataclass(frozen=True)
class ServiceTerms:
    """What clients ask for by one alias, and the pools that serve it. names: by which they may ask for it, too."""

    alias: str
    pools: tuple[PoolTerms, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class TierTerms:
    """Who is served how.

    limit: the name of the tier's limit; one without windows lets all pass. quantum: uncached tokens that the tier
    earns each round of the queue. rank: a higher one takes the place of a lower one that has not begun.
    """

    name: str
    limit: str
    quantum: int = 4096
    rank: int = 0


@dataclass(frozen=True)
class PoolEvent:
    """What a contract says of a pool: from `at_ms` on it takes nothing new, and by `gone_ms` it is gone.

    back_ms: when it is back; 0: it does not come back. why: the event, in a word. [ms since 1970 UTC]
    """

    at_ms: int
    pool: str
    gone_ms: int
    back_ms: int = 0
    why: str = ""


@dataclass(frozen=True)
class Terms:
    """All of it.

    limits: by name, of tiers and of organizations; their families are aliases. caps: what a tier takes from an alias
    in each hour (the curve's `pool` is the alias). events: pools that go on a known day. room: requests that may wait
    for an alias; wait_most_ms: for so long. ageing: what a waiting request gains [token / ms]. expires_ms: a
    reservation that nobody settled by then comes back.
    """

    name: str
    limits: dict[str, tuple[WindowRule, ...]]
    tiers: tuple[TierTerms, ...]
    services: tuple[ServiceTerms, ...]
    products: tuple[str, ...] = ()
    caps: tuple[CapacityCurve, ...] = ()
    events: tuple[PoolEvent, ...] = ()
    room: int = 1000
    wait_most_ms: int = 30_000
    ageing: int = 2
    expires_ms: int = 3_600_000
    notes: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The terms as JSON, the same for the same terms."""
        return msgspec.json.encode(self, order="deterministic").decode()

    def mistakes(self) -> list[str]:
        """What cannot be, in words; what its windows say wrongly is `compile_book`'s to tell."""
        found = [
            f"tier {t.name}: limit {t.limit!r} is not among {', '.join(self.limits) or 'none'}"
            for t in self.tiers
            if t.limit not in self.limits
        ]
        found += [
            f"tier {t.name}: {what} {number}, expected {least} to {most}"
            for t in self.tiers
            for what, number, least, most in (
                ("quantum", t.quantum, 1, QUANTUM_MOST),
                ("rank", t.rank, 0, RANK_MOST),
            )
            if not least <= number <= most
        ]
        if not 1 <= len(self.tiers) <= TIERS_MOST:
            found.append(f"{len(self.tiers)} tiers, expected 1 to {TIERS_MOST}")
        if not 1 <= self.room <= ROOM_MOST:
            found.append(f"room for {self.room} waiting requests, expected 1 to {ROOM_MOST}")
        return found + self._twice() + [m for s in self.services for m in _service_mistakes(s)]

    def aliases(self) -> dict[str, str]:
        """The alias behind each name that clients may ask for, aliases themselves among them."""
        return {name: s.alias for s in self.services for name in (s.alias, *s.names)}

    def _twice(self) -> list[str]:
        named = {
            "tiers": [t.name for t in self.tiers],
            "aliases": [n for s in self.services for n in (s.alias, *s.names)],
            "pools": [p.name for s in self.services for p in s.pools],
        }
        return [
            f"two {what} are named {n!r}" for what, names in named.items() for n in set(names) if names.count(n) > 1
        ]


def _service_mistakes(service: ServiceTerms) -> list[str]:
    found = [] if service.pools else [f"alias {service.alias}: no pool serves it"]
    if len(service.pools) > REPLICAS_MOST:
        found.append(f"alias {service.alias}: {len(service.pools)} pools, at most {REPLICAS_MOST}")
    for pool in service.pools:
        if not pool.url.startswith(("http://", "https://")):
            found.append(f"pool {pool.name}: address {pool.url!r}, expected http://... or https://...")
        elif "@" in pool.url:
            found.append(f"pool {pool.name}: its address holds a name or password; name its key by key_env or key_file")
        if not 1 <= pool.slots <= SLOTS_MOST:
            found.append(f"pool {pool.name}: {pool.slots} requests at once, expected 1 to {SLOTS_MOST}")
        if not 1 <= pool.pace_ns <= PACE_MOST_NS:
            found.append(f"pool {pool.name}: pace {pool.pace_ns} ns a token, expected 1 to {PACE_MOST_NS}")
        if pool.key_env and pool.key_file:
            found.append(f"pool {pool.name}: its key is named twice, key_env and key_file")
    return found


def terms_of(text: str | bytes) -> Terms:
    """The terms that a text says. Raises TermsError with every mistake."""
    try:
        terms = msgspec.json.decode(text, type=Terms)
    except msgspec.MsgspecError as err:
        raise TermsError([f"not the text of terms: {err}"]) from err
    if mistakes := terms.mistakes():
        raise TermsError(mistakes)
    return terms
