"""What contracts say of pools on known days: each is done once in a process, unless somebody said otherwise since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ampacity.policy.terms import PoolEvent


class Contracts:
    """Which events of contracts have happened."""

    def __init__(self) -> None:
        self._gone: set[PoolEvent] = set()
        self._back: set[PoolEvent] = set()

    def heard(self, events: Sequence[PoolEvent], pool: str, said_ms: int) -> None:
        """What was said last of a pool outdoes what its contract said before."""
        for event in events:
            if event.pool == pool and event.at_ms <= said_ms:
                self._gone.add(event)
            if event.pool == pool and 0 < event.back_ms <= said_ms:
                self._back.add(event)

    def due(self, events: Sequence[PoolEvent], now_ms: int) -> Iterator[tuple[str, int]]:
        """What is to be done now: a pool, and when it is to be gone [ms]; 0: it comes back."""
        for event in events:
            if event.at_ms <= now_ms and event not in self._gone:
                self._gone.add(event)
                if not event.back_ms or now_ms < event.back_ms:
                    yield event.pool, event.gone_ms
            if 0 < event.back_ms <= now_ms and event not in self._back:
                self._back.add(event)
                yield event.pool, 0
