"""Limits for the pools that are left: when one is held, drained or taken away, or comes back, they are planned anew.

What is used stays used. If no pool is left, the limits stay as they are: there is nothing that they could share.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ampacity.console import keys, workers
from ampacity.console.ask import NotDone, NotServing
from ampacity.console.changed import changed
from ampacity.console.folder import Folder
from ampacity.console.planned import Planning
from ampacity.gateway.take_up import pool_states
from ampacity.journal.records import REOPEN
from ampacity.policy.terms import Terms, terms_of

OPEN = "open"


class Republishing:
    """Watches which pools are open, and brings the limits into force that those carry."""

    def __init__(
        self,
        folder: Folder,
        plan: Callable[[tuple[str, ...]], Planning],
        say: Callable[[str], None],
        without: tuple[str, ...] = (),
    ) -> None:
        """without: the pools on which the limits in force do not count."""
        self._folder, self._plan, self._say = folder, plan, say
        self._without: tuple[str, ...] | None = without  # None: to be looked at again
        self._at_work: threading.Thread | None = None

    def look(self) -> None:
        """See which pools are open; if others than before, plan for them, beside everything else."""
        if self._at_work is not None and self._at_work.is_alive():
            return
        try:
            pools = workers.status(self._folder)["pools"]
        except (NotServing, NotDone):
            return
        without = closed(pools)
        if without != self._without and (without or all(p["state"] == OPEN for p in pools)):
            self._without = without
            self._at_work = threading.Thread(target=self._republish, args=(without,), daemon=True)
            self._at_work.start()

    def _republish(self, without: tuple[str, ...]) -> None:
        try:
            planning = self._plan(without)
        except OSError as err:
            self._not_done(err)
            return
        try:
            planning.title()
            planned = planning.planned().terms
            if closed(workers.status(self._folder)["pools"]) != without:
                self._without = None  # it would promise what is not there: `look` plans anew
                return
            before = terms_of(self._folder.terms.read_bytes())
            terms = with_limits_of(before, planned)
            workers.bring_into_force(self._folder, terms.text())
        except (ValueError, NotServing, NotDone, OSError, sqlite3.Error) as err:  # ValueError: all kinds of mistakes
            self._not_done(err)
            return
        finally:
            planning.end()
        words = f"without {', '.join(without)}" if without else "with all pools"
        sizes = changed(before, terms)
        keys.note(self._folder.keys, "serve", f"limits planned anew {words}", sizes)
        self._say(f"limits planned anew {words}, and in force: {sizes}")

    def _not_done(self, err: Exception) -> None:
        """The limits that are in force stay; once the service answers again, they are looked at again."""
        self._say(f"the limits stay as they were: {err}")
        if isinstance(err, OSError):
            self._without = None


def closed(pools: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The pools of a status on which nobody can count; none if there would be no other."""
    found = tuple(sorted(p["name"] for p in pools if p["state"] != OPEN))
    return found if len(found) < len(pools) else ()


def closed_before(folder: Folder) -> tuple[str, ...]:
    """The same of a service that was stopped, as its terms and journals tell; a pool stays what an operator made it."""
    if not folder.terms.exists():
        return ()
    said: dict[str, str] = {}
    for share in folder.shares():
        if share.journal.exists():
            said |= {pool: what for pool, (what, _, _) in pool_states(share.journal).items()}
    names = [p.name for s in terms_of(folder.terms.read_bytes()).services for p in s.pools]
    return closed([{"name": n, "state": OPEN if said.get(n, REOPEN) == REOPEN else said[n]} for n in names])


def with_limits_of(terms: Terms, planned: Terms) -> Terms:
    """The terms with the limits and caps of others; those that these do not have stay."""
    return replace(terms, limits=terms.limits | planned.limits, caps=planned.caps)
