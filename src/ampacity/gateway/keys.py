"""Whose key a request shows. Keys are kept as hashes; several may belong to one subscriber, who has one use.

The table is an SQLite file that the operator's side writes (`console/keys.py`) and this process reads when told to.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

HASH_BYTES = 16
PERSON = b"ampacity key"  # so that the same text hashed elsewhere is another hash

TABLES = """
CREATE TABLE IF NOT EXISTS subscriber (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, tier TEXT NOT NULL, organization INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS organization (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, limited TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS key (
    hash BLOB PRIMARY KEY, subscriber INTEGER NOT NULL, product TEXT NOT NULL DEFAULT '', shown TEXT NOT NULL,
    made_ms INTEGER NOT NULL, revoked_ms INTEGER);
CREATE TABLE IF NOT EXISTS audit (
    at INTEGER PRIMARY KEY, now_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key: subscriber and organization as whole numbers (0: none), tier, the organization's limit."""

    subscriber: int
    name: str
    tier: str
    organization: int = 0
    organization_limit: str = ""
    product: str = ""


def owner_of(holder: Holder, workers: int) -> int:
    """Which of so many processes decides on somebody's requests: for an organization's people it is one."""
    return (holder.organization or holder.subscriber) % workers


def key_in(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """The key that headers show, as `x-api-key` or else as Bearer; names are in small letters."""
    bearer = None
    for name, value in headers:
        if name == b"x-api-key":
            return value.strip()
        if name == b"authorization" and bearer is None:
            bearer = value
    if bearer is None or bearer[:7].lower() != b"bearer ":
        return None
    return bearer[7:].strip()


def hashed(key: bytes) -> bytes:
    """What stands for a key wherever it is kept. Keys have 128 random bits, so no salt is needed."""
    return blake2b(key, digest_size=HASH_BYTES, person=PERSON).digest()


def read_keys(path: Path | str) -> dict[bytes, Holder]:
    """All keys that are not revoked, by their hash. Raises OSError, sqlite3.Error."""
    if not Path(path).exists():
        return {}
    with closing(sqlite3.connect(f"file:{Path(path).resolve()}?mode=ro", uri=True)) as db:
        rows = db.execute(
            """SELECT key.hash, s.id, s.name, s.tier, s.organization, ifnull(o.limited, ''), key.product
               FROM key JOIN subscriber AS s ON s.id = key.subscriber
               LEFT JOIN organization AS o ON o.id = s.organization
               WHERE key.revoked_ms IS NULL"""
        )
        return {bytes(row[0]): Holder(*row[1:]) for row in rows}
