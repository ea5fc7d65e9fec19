"""A clock for deciding: milliseconds since 1970 UTC that never step, whatever the machine's clock does.

It runs by the monotonic clock, from the wall clock at its start. If the wall clock turns out to be elsewhere (it was
stepped, or drifts), this one follows by at most a hundredth of the time that passes, so no window opens at a stroke. A
machine whose clock was wrong by hours should be restarted.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns, time_ns

FOLLOWS = 100  # one part in so many
MS = 1_000_000


class Clock:
    """Call it for the time. [ms]"""

    def __init__(
        self, monotonic: Callable[[], int] = monotonic_ns, wall: Callable[[], int] = time_ns, not_before_ms: int = 0
    ) -> None:
        self._monotonic, self._wall = monotonic, wall
        start = monotonic()
        self._offset = max(wall(), not_before_ms * MS) - start
        self._followed = start

    def __call__(self) -> int:
        """Milliseconds since 1970 UTC."""
        return (self._monotonic() + self._offset) // MS

    def follow(self) -> int:
        """Draw nearer to the wall clock; call it now and then. Gives how far it is away. [ms]"""
        now = self._monotonic()
        away = self._wall() - (now + self._offset)
        most = (now - self._followed) // FOLLOWS
        self._offset += max(-most, min(away, most))
        self._followed = now
        return away // MS
