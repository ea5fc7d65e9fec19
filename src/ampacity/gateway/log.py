"""What happens to the service, one line of JSON each on standard error: pools, limits, the disk, mistakes of ours.

Requests are in the journal. What was asked, answered, or shown as a key is nowhere.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

QUIET_MS = 1000  # the same of the same is told at most so often


def _to_standard_error(line: str) -> None:
    sys.stderr.write(line)


class Log:
    """Call it with what happened and to whom. The same of the same within a second is counted, and told after it.

    write: takes a line.
    """

    def __init__(self, now_ms: Callable[[], int], write: Callable[[str], object] | None = None) -> None:
        self._now_ms = now_ms
        self._write = _to_standard_error if write is None else write
        self._told: dict[tuple[str, str], tuple[int, int]] = {}  # when last, and how often since

    def __call__(self, what: str, subject: str = "", **more: object) -> None:
        now_ms = self._now_ms()
        last_ms, since = self._told.get((what, subject), (-QUIET_MS, 0))
        if now_ms - last_ms < QUIET_MS:
            self._told[what, subject] = last_ms, since + 1
            return
        self._told[what, subject] = now_ms, 0
        self._line(now_ms, what, subject, {"times": since + 1} | more if since else more)

    def due(self) -> None:
        """Tell how often the same happened again in the second after it was told; called about once a second."""
        now_ms = self._now_ms()
        for (what, subject), (last_ms, since) in list(self._told.items()):
            if now_ms - last_ms >= QUIET_MS:
                del self._told[what, subject]
                if since:
                    self._line(now_ms, what, subject, {"times": since})

    def _line(self, now_ms: int, what: str, subject: str, more: dict[str, object]) -> None:
        at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"at": at.replace("+00:00", "Z"), "what": what}
        if subject:
            line["subject"] = subject
        self._write(msgspec.json.encode(line | more).decode() + "\n")

    def mistake(self, _: object, context: dict[str, object]) -> None:
        """As a loop's handler of exceptions: where it happened, and what; not with which values."""
        error = context.get("exception")
        more: dict[str, object] = {}
        if isinstance(error, BaseException):
            frames = traceback.extract_tb(error.__traceback__)
            more = {"error": type(error).__name__, "where": [f"{f.name}:{f.lineno}" for f in frames[-6:]]}
        self("mistake", str(context.get("message", "")), **more)
