"""Appending to a journal: what happens in one turn of an event loop is buffered, then committed once.

Nothing here looks at a clock, waits, or decides. Events get their ordinals as they are buffered, so the order of the
calls is the order of a replay: call in the order in which `policy/` is called.
"""

from __future__ import annotations

import secrets
import sqlite3
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from ampacity.journal import lock, opening
from ampacity.journal.opening import FOLD_PAGES, Durability, NotWritten
from ampacity.journal.read import unended
from ampacity.journal.records import ABORTED, ADMITTED, CONFIGURED, EXPIRED, NO_CAPACITY, NOT_KNOWN, QUEUED, SETTLED

NAME_MOST = 200  # characters: a name of configuration, not a text that somebody wrote
DETAIL_MOST = 65_536
MINUTE_MS = 60_000
_TWELVE, _SEVEN, _TEN = struct.Struct("12q"), struct.Struct("7q"), struct.Struct("10q")
_OF_TWELVE = (
    "ordinal now_ms kind subscriber organization session input_tokens output_most draw expires_ms outcome place"
)
_OF_SEVEN = "ordinal request now_ms outcome place answer wait_ms"
_OF_TEN = "ordinal request now_ms status uncached written read output first_token_ms answer"
_NEW = (
    ("name", "INSERT OR IGNORE INTO name VALUES (?, ?)"),
    ("configuration", "INSERT OR IGNORE INTO configuration VALUES (?, ?, ?)"),
    ("kind", "INSERT OR IGNORE INTO kind VALUES (?, ?, ?, ?, ?, ?, ?)"),
)
_EVENTS = (
    ("arrival", 1, "INSERT INTO arrival VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    ("placement", 2, "INSERT INTO placement VALUES (?, ?, ?, ?, ?, ?, ?)"),
    ("settlement", 2, "INSERT INTO settlement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    ("change", 1, "INSERT INTO change VALUES (?, ?, ?, ?, ?)"),
    ("checkpoint", 1, "INSERT INTO checkpoint VALUES (?, ?, ?)"),
)
_ROWS = (
    ("state", "INSERT INTO state VALUES (?, ?, ?, ?)"),
    ("held", "INSERT INTO held VALUES (?, ?, ?, ?)"),
)
_ORDINAL_OF = {"state": itemgetter(2)}  # of all other rows it stands first


class Journal:
    """A journal held for writing by this process. One thread uses it.

    path: made if it is not there. durability, fold_pages: see `opening.for_writing`. Raises BlockingIOError if another
    process writes it, OSError, and Mistakes for what is no journal.
    """

    def __init__(self, path: Path | str, durability: Durability = "normal", fold_pages: int = FOLD_PAGES) -> None:
        self.path = Path(path)
        self._lock = lock.hold(self.path)
        try:
            self._db = opening.for_writing(self.path, durability, fold_pages)
            try:
                self._take_up()
            except sqlite3.Error as err:
                self._db.close()
                raise opening.in_words(err, self.path) from err
        except BaseException:
            if self._lock is not None:
                self._lock.close()
            raise

    def _take_up(self) -> None:
        """Go on where the journal ends: its names, its requests under way; and mark it as this writer's."""
        db = self._db
        self._writer = secrets.randbits(63)
        db.execute("UPDATE mark SET writer = ?", (self._writer,))
        self._last: int = db.execute("SELECT last FROM mark").fetchone()[0]
        self._durable: int = self._last
        self._names: dict[str, int] = {"": 0} | {t: i for i, t in db.execute("SELECT id, text FROM name")}
        self._configurations: dict[str, int] = {h: i for i, h in db.execute("SELECT id, hash FROM configuration")}
        kinds = db.execute("SELECT id, tier, limited, organization_limit, family, product, configuration FROM kind")
        self._kinds: dict[tuple[int, ...], int] = {tuple(of): i for i, *of in kinds}
        in_force = "SELECT subject FROM change WHERE what = ? ORDER BY ordinal DESC LIMIT 1"
        told = db.execute(in_force, (self._names.get(CONFIGURED, -1),)).fetchone()
        texts = {i: t for t, i in self._names.items()}
        self._in_force = self._configurations.get(texts[told[0]], 0) if told else 0
        self._minute: int | None = db.execute("SELECT max(minute) FROM minute").fetchone()[0]
        self._open, self._expired = unended(db)
        self._buffer: dict[str, list[tuple[Any, ...]]] = {
            table: [] for table in (*(t for t, _ in _NEW), *(t for t, _, _ in _EVENTS), *(t for t, _ in _ROWS))
        }
        self._arrivals = self._buffer["arrival"]
        self._settlements = self._buffer["settlement"]

    @property
    def last(self) -> int:
        """The ordinal of the last event, buffered or on disk."""
        return self._last

    @property
    def durable(self) -> int:
        """The ordinal up to which events are on disk."""
        return self._durable

    @property
    def under_way(self) -> frozenset[int]:
        """The requests that reserve something and have not ended; right after opening, those that a crash cut off."""
        return frozenset(self._open)

    def configure(self, text: str, now_ms: int) -> str:
        """Bring limits into force, written as text from which they can be compiled again; gives their hash.

        The text stands once, however often they come into force. It must hold nothing secret.
        """
        known = blake2b(text.encode(), digest_size=16).hexdigest()
        if known not in self._configurations:
            self._configurations[known] = len(self._configurations) + 1
            self._buffer["configuration"].append((self._configurations[known], known, text))
        self._in_force = self._configurations[known]
        self.changed(now_ms, CONFIGURED, known)
        return known

    def name(self, text: str) -> int:
        """The number that stands for a name of configuration (a pool, a window). Raises ValueError if it is long."""
        number = self._names.get(text)
        if number is None:
            if len(text) > NAME_MOST:
                raise ValueError(f"a name of {len(text):,} characters; names of configuration have at most {NAME_MOST}")
            number = self._names[text] = len(self._names)
            self._buffer["name"].append((number, text))
        return number

    def kind(self, tier: str, limit: str, organization_limit: str = "", family: str = "", product: str = "") -> int:
        """The number that stands for what an arrival has of the configuration in force; keep it until that changes."""
        names = (tier, limit, organization_limit, family, product)
        of = (*(self.name(text) for text in names), self._in_force)
        number = self._kinds.get(of)
        if number is None:
            number = self._kinds[of] = len(self._kinds) + 1
            self._buffer["kind"].append((number, *of))
        return number

    def arrived(
        self,
        now_ms: int,
        kind: int,
        subscriber: int,
        input_tokens: int,
        output_most: int,
        draw: int,
        expires_ms: int,
        outcome: int,
        place: int = 0,
        organization: int = 0,
        session: int = 0,
    ) -> int:
        """Record a request as it was decided on (see `records.Arrival`); gives its ordinal, which names it from now on.

        kind, place: from `kind` and `name`. Raises TypeError for what is not a whole number of 63 bits.
        """
        ordinal = self._last + 1
        row = (
            ordinal, now_ms, kind, subscriber, organization, session,
            input_tokens, output_most, draw, expires_ms, outcome, place,
        )  # fmt: skip
        try:
            whole = _TWELVE.unpack(_TWELVE.pack(*row))
        except struct.error:
            _refuse(_OF_TWELVE, row)
        if not ADMITTED <= outcome <= NO_CAPACITY:
            raise ValueError(f"outcome {outcome} is none of ADMITTED to NO_CAPACITY")
        self._last = ordinal
        if outcome <= QUEUED:
            self._open.add(ordinal)
        self._arrivals.append(whole)
        return ordinal

    def placed(
        self, request: int, now_ms: int, outcome: int, place: int = 0, answer: int = 0, wait_ms: int = 0
    ) -> bool:
        """Record where a request went that waited or is tried again; False, and nothing, if it is not under way.

        answer, wait_ms: of a pool that failed it, what it answered, and for how long it asks to be left alone.
        """
        if request not in self._open:
            return False
        row = (self._last + 1, request, now_ms, outcome, place, answer, wait_ms)
        try:
            whole = _SEVEN.unpack(_SEVEN.pack(*row))
        except struct.error:
            _refuse(_OF_SEVEN, row)
        self._last += 1
        self._buffer["placement"].append(whole)
        return True

    def ended(
        self,
        request: int,
        now_ms: int,
        status: int = SETTLED,
        uncached: int = 0,
        written: int = 0,
        read: int = 0,
        output: int = 0,
        first_token_ms: int = NOT_KNOWN,
        answer: int = 0,
    ) -> bool:
        """Record how a request ended: SETTLED, RELEASED, EXPIRED or ABORTED, with its tokens by kind.

        answer: what that says of its pool, a status of HTTP or how it broke off; 0: nothing.

        False, and nothing recorded, if it has ended before: a late or second end counts once. One that expired may end
        once more. The client may see its end when `durable` has reached `last`.
        """
        if request not in self._open or (status == EXPIRED and request in self._expired):
            return False
        row = (self._last + 1, request, now_ms, status, uncached, written, read, output, first_token_ms, answer)
        try:
            whole = _TEN.unpack(_TEN.pack(*row))
        except struct.error:
            _refuse(_OF_TEN, row)
        if not SETTLED <= status <= ABORTED:
            raise ValueError(f"status {status} is none of SETTLED to ABORTED")
        self._last += 1
        if status == EXPIRED:
            self._expired.add(request)
        else:
            self._open.discard(request)
            self._expired.discard(request)
        self._settlements.append(whole)
        return True

    def changed(self, now_ms: int, what: str, subject: str, detail: str = "") -> int:
        """Record that something else changed that decisions depend on; gives its ordinal.

        what: `health`, `capacity`, `hold`, `drain`, `reclaim`, ...; subject: which pool; detail: numbers and names, as
        the caller reads them back. Raises ValueError if it is longer than 65,536 characters.
        """
        if len(detail) > DETAIL_MOST:
            raise ValueError(f"a detail of {len(detail):,} characters, at most {DETAIL_MOST:,}; texts belong elsewhere")
        (when,) = array("q", (now_ms,))
        row = (self._last + 1, when, self.name(what), self.name(subject), detail)
        self._last += 1
        self._buffer["change"].append(row)
        return self._last

    def checkpoint(
        self,
        now_ms: int,
        layout: str,
        state: Iterable[tuple[int, int, Sequence[int]]],
        held: Iterable[tuple[int, Sequence[int]]],
    ) -> int:
        """Record the rows of deciding as they are after all events so far, so that a start need not replay them.

        state: (SUBSCRIBER or ORGANIZATION, who, row) of those that changed since the last checkpoint. held: (request,
        its rows) of all that are under way. layout: a word that changes when the shape of the rows does. Raises
        ValueError if others are under way than those in `held`.
        """
        ordinal = self._last + 1
        (when,) = array("q", (now_ms,))
        states = [(scope, who, ordinal, array("q", row).tobytes()) for scope, who, row in state]
        holds = [(ordinal, r, int(r in self._expired), array("q", row).tobytes()) for r, row in held]
        if {r for _, r, _, _ in holds} != self._open:
            raise ValueError(f"{len(holds)} requests are held, and {len(self._open)} under way: they must be the same")
        self._last = ordinal
        self._buffer["checkpoint"].append((ordinal, when, layout))
        self._buffer["state"] += states
        self._buffer["held"] += holds
        return ordinal

    def commit(self) -> int:
        """Put what is buffered on disk, all of it or none; gives the ordinal up to which events are there.

        Raises NotWritten, or Mistakes if the file is damaged; either way the buffer stays as it is, and a later commit
        takes it up, once.
        """
        if self._last == self._durable:
            return self._durable
        try:
            self._db.execute("BEGIN IMMEDIATE")
            minute = self._insert()
            self._db.execute("COMMIT")
        except sqlite3.Error as err:
            self._roll_back()
            raise opening.in_words(err, self.path, buffered=True) from err
        except BaseException:
            self._roll_back()
            raise
        self._durable, self._minute = self._last, minute
        for rows in self._buffer.values():
            rows.clear()
        return self._durable

    def _insert(self) -> int | None:
        """Write the buffer within a transaction; gives the last minute that the journal then knows."""
        advanced = self._db.execute(
            "UPDATE mark SET last = ? WHERE last = ? AND writer = ?", (self._last, self._durable, self._writer)
        )
        if advanced.rowcount == 0:
            self._after_doubt()
        for table, statement in _NEW:
            if self._buffer[table]:
                self._db.executemany(statement, self._buffer[table])
        newest = self._minute
        for table, when, statement in _EVENTS:
            rows = self._buffer[table]
            if rows:
                self._db.executemany(statement, rows)
                minute = max(row[when] for row in rows) // MINUTE_MS
                newest = minute if newest is None or minute > newest else newest
        if newest != self._minute:
            # the lowest ordinal that this turn may hold; exact enough for a reader who looks for a period
            self._db.execute("INSERT OR IGNORE INTO minute VALUES (?, ?)", (newest, self._durable + 1))
        for table, statement in _ROWS:
            if self._buffer[table]:
                self._db.executemany(statement, self._buffer[table])
        return newest

    def _after_doubt(self) -> None:
        """The mark is elsewhere: a commit that was told to have failed had reached the disk, or another has written."""
        last, writer = self._db.execute("SELECT last, writer FROM mark").fetchone()
        if writer != self._writer or not self._durable < last <= self._last:
            words = (
                "another process has begun to write this journal: this one must stop, and what it holds is not there"
            )
            raise NotWritten(0, words, str(self.path))
        for table, rows in self._buffer.items():
            if table not in ("name", "configuration", "kind"):
                ordinal: Callable[[tuple[Any, ...]], int] = _ORDINAL_OF.get(table, itemgetter(0))
                rows[:] = [row for row in rows if ordinal(row) > last]
        self._durable = last
        self._db.execute("UPDATE mark SET last = ?", (self._last,))

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Commit what is buffered and let the journal go, even if `commit` raises."""
        try:
            self.commit()
        finally:
            self._db.close()
            if self._lock is not None:
                self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _refuse(fields: str, row: tuple[object, ...]) -> NoReturn:
    """Which values of a row are no whole numbers of 64 bits, all at once."""
    wrong = []
    for field, value in zip(fields.split(), row, strict=True):
        if not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
            wrong.append(
                f"{field} is {value!r}" if isinstance(value, int | float) else f"{field} is a {type(value).__name__}"
            )
    raise TypeError(f"{'; '.join(wrong)}: a journal takes whole numbers of 64 bits, signed")
