"""The tables of a journal, and how a journal of an older version becomes one of this.

What an arrival has of the configuration (tier, limits, family, product) stands once, in `kind`; names stand once, in
`name`. So a row of what happens is whole numbers only. `mark` is one row that says how far the journal has been written
and by whom, and before which ordinal it has been forgotten. `minute` says where each minute began.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x416D704A  # "AmpJ": which program's file it is, at byte 68 of every SQLite database
APPLICATION_ID_AT = 68
VERSION = 2

TABLES = (
    """CREATE TABLE mark (
        one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL, writer INTEGER NOT NULL,
        forgotten INTEGER NOT NULL)""",
    "INSERT INTO mark VALUES (1, 0, 0, 0)",
    "CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    "CREATE TABLE configuration (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, text TEXT NOT NULL)",
    """CREATE TABLE kind (
        id INTEGER PRIMARY KEY, tier INTEGER NOT NULL, limited INTEGER NOT NULL, organization_limit INTEGER NOT NULL,
        family INTEGER NOT NULL, product INTEGER NOT NULL, configuration INTEGER NOT NULL)""",
    """CREATE TABLE arrival (
        ordinal INTEGER PRIMARY KEY, now_ms INTEGER NOT NULL, kind INTEGER NOT NULL, subscriber INTEGER NOT NULL,
        organization INTEGER NOT NULL, session INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
        output_most INTEGER NOT NULL, draw INTEGER NOT NULL, expires_ms INTEGER NOT NULL, outcome INTEGER NOT NULL,
        place INTEGER NOT NULL)""",
    """CREATE TABLE placement (
        ordinal INTEGER PRIMARY KEY, request INTEGER NOT NULL, now_ms INTEGER NOT NULL, outcome INTEGER NOT NULL,
        place INTEGER NOT NULL, answer INTEGER NOT NULL DEFAULT 0, wait_ms INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE settlement (
        ordinal INTEGER PRIMARY KEY, request INTEGER NOT NULL, now_ms INTEGER NOT NULL, status INTEGER NOT NULL,
        uncached INTEGER NOT NULL, written INTEGER NOT NULL, read INTEGER NOT NULL, output INTEGER NOT NULL,
        first_token_ms INTEGER NOT NULL, answer INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE change (
        ordinal INTEGER PRIMARY KEY, now_ms INTEGER NOT NULL, what INTEGER NOT NULL, subject INTEGER NOT NULL,
        detail TEXT NOT NULL)""",
    "CREATE TABLE checkpoint (ordinal INTEGER PRIMARY KEY, now_ms INTEGER NOT NULL, layout TEXT NOT NULL)",
    """CREATE TABLE state (
        scope INTEGER NOT NULL, owner INTEGER NOT NULL, ordinal INTEGER NOT NULL, numbers BLOB NOT NULL,
        PRIMARY KEY (scope, owner, ordinal)) WITHOUT ROWID""",
    """CREATE TABLE held (
        ordinal INTEGER NOT NULL, request INTEGER NOT NULL, expired INTEGER NOT NULL, numbers BLOB NOT NULL,
        PRIMARY KEY (ordinal, request)) WITHOUT ROWID""",
    "CREATE TABLE minute (minute INTEGER PRIMARY KEY, ordinal INTEGER NOT NULL)",
)
EVENTS = ("settlement", "placement", "arrival", "change", "checkpoint")  # the tables that share their ordinals

# Of each older version, the statements that make of it the next one.
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE placement ADD COLUMN answer INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE placement ADD COLUMN wait_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE settlement ADD COLUMN answer INTEGER NOT NULL DEFAULT 0",
    ),
}


def create(db: sqlite3.Connection) -> None:
    """Make an empty database a journal, in one transaction: a file is one or it is empty."""
    _all_or_none(db, (f"PRAGMA application_id = {APPLICATION_ID}", *TABLES), VERSION)


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring a journal from an older version to this one, all steps in one transaction."""
    steps = (statement for old in range(version, VERSION) for statement in MIGRATIONS[old])
    _all_or_none(db, tuple(steps), VERSION)


def _all_or_none(db: sqlite3.Connection, statements: tuple[str, ...], version: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*statements, f"PRAGMA user_version = {version}"):
            db.execute(statement)
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
