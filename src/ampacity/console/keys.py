"""Making, listing and revoking keys, and whose they are. A key is shown once, when it is made; its hash is kept."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ampacity.gateway.keys import TABLES, hashed

PREFIX = "sk-amp-"
RANDOM = 32  # characters of an alphabet of 64: 192 bits
SHOWN = 4  # characters of them that a list shows
NAME_MOST = 200


class KeyMistake(ValueError):
    """What was asked of the table of keys cannot be; says why."""


class NotThere(KeyMistake):
    """Who or what was named is not in the table."""


@dataclass(frozen=True)
class Key:
    """A key as a list shows it. id: hexadecimal digits of its hash. shown: how it begins."""

    id: str
    shown: str
    subscriber: str
    tier: str
    organization: str | None
    product: str
    made_ms: int
    revoked_ms: int | None


@dataclass(frozen=True)
class Made:
    """A key that has just been made: `key` is known to whoever is told now and to nobody later."""

    key: str
    id: str
    shown: str
    subscriber: str
    tier: str


@dataclass(frozen=True)
class Subscriber:
    """Whoever has keys, one use for all of them."""

    id: int
    name: str
    tier: str
    organization: str | None
    organization_limit: str | None
    keys: int


def make_key(
    path: Path,
    subscriber: str,
    tier: str | None,
    tiers: tuple[str, ...],
    *,
    organization: str | None = None,
    product: str = "",
    who: str = "operator",
) -> Made:
    """Make a key; a subscriber who is not there yet comes to be, in that tier. Raises KeyMistake."""
    _named("subscriber", subscriber)
    if len(product) > NAME_MOST:
        raise KeyMistake(f"product: {len(product)} characters, expected at most {NAME_MOST}")
    key = PREFIX + secrets.token_urlsafe(RANDOM)[:RANDOM]
    shown = key[: len(PREFIX) + SHOWN] + "..."
    digest = hashed(key.encode())
    with _changing(path) as db:
        found = db.execute("SELECT id, tier FROM subscriber WHERE name = ?", (subscriber,)).fetchone()
        if found is None:
            belongs = _organization(db, organization) if organization is not None else 0
            number = _new_subscriber(db, subscriber, _tier(tier or tiers[0], tiers), belongs)
            in_tier = tier or tiers[0]
        else:
            number, in_tier = found
            if tier is not None and tier != in_tier:
                words = "change that first (`subscribers set NAME --tier TIER`), or leave the tier out"
                raise KeyMistake(f"subscriber {subscriber!r} is in tier {in_tier!r}, not in {tier!r}; {words}")
            if organization is not None:
                change = "UPDATE subscriber SET organization = ? WHERE id = ?"
                db.execute(change, (_organization(db, organization), number))
        row = digest, number, product, shown, _now_ms()
        db.execute("INSERT INTO key (hash, subscriber, product, shown, made_ms) VALUES (?, ?, ?, ?, ?)", row)
        _note(db, who, "key made", f"{shown} of {subscriber}")
    return Made(key, digest.hex(), shown, subscriber, in_tier)


def revoke(path: Path, what: str, *, who: str = "operator") -> list[Key]:
    """Revoke a key by its id or by how it begins, or all keys of a subscriber; which they were. Raises NotThere."""
    begins = what.removesuffix("...")
    with _changing(path) as db:
        found = [
            k
            for k in _keys(db)
            if k.revoked_ms is None
            and (what in (k.id, k.subscriber) or (len(begins) > len(PREFIX) and k.shown[:-3] == begins))
        ]
        if not found:
            raise NotThere(f"{what!r}: no key in force has this id or beginning or belongs to a subscriber so named")
        if len({k.subscriber for k in found}) > 1:
            raise KeyMistake(f"{what!r}: keys of several subscribers begin so; name one by its id")
        now_ms = _now_ms()
        for key in found:
            db.execute("UPDATE key SET revoked_ms = ? WHERE hash = ?", (now_ms, bytes.fromhex(key.id)))
            _note(db, who, "key revoked", f"{key.shown} of {key.subscriber}")
    return [replace(key, revoked_ms=now_ms) for key in found]


def keys_of(path: Path) -> list[Key]:
    """All keys, revoked ones too, the oldest first."""
    with _reading(path) as db:
        return list(_keys(db))


def subscribers_of(path: Path) -> list[Subscriber]:
    """All subscribers by name."""
    with _reading(path) as db:
        rows = db.execute(
            """SELECT s.id, s.name, s.tier, o.name, o.limited,
                   (SELECT count(*) FROM key WHERE key.subscriber = s.id AND key.revoked_ms IS NULL)
               FROM subscriber AS s LEFT JOIN organization AS o ON o.id = s.organization ORDER BY s.name"""
        )
        return [Subscriber(*row) for row in rows]


def owners_of(path: Path, names: Sequence[str]) -> dict[str, int]:
    """The number that says which of several data processes decides on somebody: the organization's, or their own."""
    with _reading(path) as db:
        rows = db.execute(
            """SELECT name, CASE organization WHEN 0 THEN id ELSE organization END FROM subscriber
               WHERE name IN (SELECT value FROM json_each(?))""",
            (json.dumps(names),),
        )
        return dict(rows)


def set_subscriber(
    path: Path, name: str, tiers: tuple[str, ...], *, tier: str | None, organization: str | None, who: str = "operator"
) -> Subscriber:
    """Move a subscriber to another tier or organization ("" for none); what is used stays used. Raises KeyMistake."""
    with _changing(path) as db:
        if db.execute("SELECT 1 FROM subscriber WHERE name = ?", (name,)).fetchone() is None:
            raise NotThere(f"subscriber {name!r}: there is nobody of that name")
        if tier is not None:
            db.execute("UPDATE subscriber SET tier = ? WHERE name = ?", (_tier(tier, tiers), name))
            _note(db, who, f"tier {tier}", name)
        if organization is not None:
            number = _organization(db, organization) if organization else 0
            db.execute("UPDATE subscriber SET organization = ? WHERE name = ?", (number, name))
            _note(db, who, f"organization {organization or 'none'}", name)
    return next(s for s in subscribers_of(path) if s.name == name)


def organizations_of(path: Path) -> dict[str, str]:
    """The limit of each organization."""
    with _reading(path) as db:
        return dict(db.execute("SELECT name, limited FROM organization WHERE limited != '' ORDER BY name"))


def organization_names(path: Path) -> dict[int, str]:
    """The name of each organization by its number."""
    with _reading(path) as db:
        return dict(db.execute("SELECT id, name FROM organization"))


def set_organization(path: Path, name: str, limit: str, limits: tuple[str, ...], *, who: str = "operator") -> None:
    """Give an organization, which may be new, a limit. Raises KeyMistake."""
    _named("organization", name)
    if limit not in limits:
        raise NotThere(f"limit {limit!r}: expected one of {', '.join(limits)}")
    with _changing(path) as db:
        db.execute(
            "INSERT INTO organization (name, limited) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET limited = excluded.limited",
            (name, limit),
        )
        _note(db, who, f"limit {limit}", name)


def remove_organization(path: Path, name: str, *, who: str = "operator") -> None:
    """Let an organization go to which nobody belongs; one of that name later has what it used. Raises KeyMistake."""
    if people := people_of(path, name):
        shown = ", ".join(people[:3]) + (", ..." if len(people) > 3 else "")
        words = f"{len(people)} belong to it ({shown}); before, for each: subscribers set NAME --organization -"
        raise KeyMistake(f"organization {name!r}: {words}")
    with _changing(path) as db:
        _organization(db, name)
        db.execute("UPDATE organization SET limited = '' WHERE name = ?", (name,))  # its number is never another's
        _note(db, who, "removed", f"organization {name}")


def people_of(path: Path, organization: str) -> list[str]:
    """Who belongs to an organization, by name."""
    return [s.name for s in subscribers_of(path) if s.organization == organization]


def note(path: Path, who: str, what: str, subject: str) -> None:
    """Write down what an operator did."""
    with _changing(path) as db:
        _note(db, who, what, subject)


def audit_of(path: Path, most: int = 100) -> list[dict[str, object]]:
    """What operators did, the latest first. now_ms: since 1970 UTC."""
    with _reading(path) as db:
        rows = db.execute("SELECT now_ms, who, what, subject FROM audit ORDER BY at DESC LIMIT ?", (most,))
        return [dict(zip(("now_ms", "who", "what", "subject"), row, strict=True)) for row in rows]


def copy(path: Path, to: Path) -> None:
    """Copy all of it as it is at one moment to another file."""
    with _reading(path) as db, closing(sqlite3.connect(to)) as other:
        db.backup(other)


def _keys(db: sqlite3.Connection) -> Iterator[Key]:
    rows = db.execute(
        """SELECT key.hash, key.shown, s.name, s.tier, o.name, key.product, key.made_ms, key.revoked_ms
           FROM key JOIN subscriber AS s ON s.id = key.subscriber
           LEFT JOIN organization AS o ON o.id = s.organization ORDER BY key.made_ms, key.rowid"""
    ).fetchall()
    return (Key(bytes(row[0]).hex(), *row[1:]) for row in rows)


def _new_subscriber(db: sqlite3.Connection, name: str, tier: str, organization: int) -> int:
    row = name, tier, organization
    number = db.execute("INSERT INTO subscriber (name, tier, organization) VALUES (?, ?, ?)", row).lastrowid
    assert number is not None
    return number


def _organization(db: sqlite3.Connection, name: str) -> int:
    found = db.execute("SELECT id FROM organization WHERE name = ? AND limited != ''", (name,)).fetchone()
    if found is None:
        there = db.execute("SELECT name FROM organization WHERE limited != '' ORDER BY name")
        known = ", ".join(n for (n,) in there) or "none yet"
        words = f"expected one of those there are: {known}; another: organizations set {name} --limit LIMIT"
        raise NotThere(f"organization {name!r}: {words}")
    number: int = found[0]
    return number


def _tier(tier: str, tiers: tuple[str, ...]) -> str:
    if tier not in tiers:
        raise NotThere(f"tier {tier!r}: expected one of {', '.join(tiers)}")
    return tier


def _named(what: str, name: str) -> None:
    if not 0 < len(name) <= NAME_MOST or not name.isprintable() or name != name.strip():
        words = f"expected 1 to {NAME_MOST} characters that can be printed, no space at its ends"
        raise KeyMistake(f"{what} {name[:40]!r}: {words}")


def _note(db: sqlite3.Connection, who: str, what: str, subject: str) -> None:
    row = _now_ms(), who, what, subject
    db.execute("INSERT INTO audit (now_ms, who, what, subject) VALUES (?, ?, ?, ?)", row)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction: all of it, or nothing."""
    if not path.exists():
        path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
        db.executescript(f"BEGIN IMMEDIATE;{TABLES}COMMIT;")  # all tables at once: others may look meanwhile
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists() or not path.stat().st_size:
        with _changing(path):
            pass
    with closing(sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True, timeout=10)) as db:
        yield db
