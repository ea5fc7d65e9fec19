"""Says in the log when a pool is left out for its failures, and when it is asked as usual again."""

from __future__ import annotations

from collections.abc import Callable

from ampacity.policy.desk import Desk
from ampacity.policy.health import H_STANDING, HEALTH_FIELDS, SOUND


class Watch:
    """Remembers which pools were left out when it last looked."""

    def __init__(self, desk: Desk, log: Callable[[str, str], None]) -> None:
        self._desk, self._log = desk, log
        self._out: set[str] = set()

    def look(self) -> None:
        """Tell what has changed since; called about once a second."""
        out = {
            pool.name
            for service in self._desk.services.values()
            for i, pool in enumerate(service.pools)
            if service.health[i * HEALTH_FIELDS + H_STANDING] != SOUND
        }
        for pool in sorted(out - self._out):
            self._log("pool ejected", pool)
        for pool in sorted(self._out - out):
            self._log("pool sound again", pool)
        self._out = out
