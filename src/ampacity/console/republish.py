"""Limits for the pools that are left: when one is held, drained or taken away, or comes back, they are planned anew.

What is used stays used. If no pool is left, the limits stay as they are: there is nothing that they could share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from ampacity.console import keys
from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.folder import Folder
from ampacity.console.planned import NotPlanned, Planning
from ampacity.policy.terms import Terms, terms_of
from ampacity.scenario.mistakes import Mistakes

OPEN = "open"


class Republishing:
    """Watches which pools are open, and brings the limits into force that those carry."""

    def __init__(self, folder: Folder, plan: Callable[[tuple[str, ...]], Planning], say: Callable[[str], None]) -> None:
        self._folder, self._plan, self._say = folder, plan, say
        self._without: tuple[str, ...] = ()
        self._at_work: threading.Thread | None = None

    def look(self) -> None:
        """See which pools are open; if others than before, plan for them, beside everything else."""
        if self._at_work is not None and self._at_work.is_alive():
            return
        try:
            pools = ask(self._folder.control, "status")["pools"]
        except (NotServing, NotDone):
            return
        closed = tuple(sorted(p["name"] for p in pools if p["state"] != OPEN))
        if closed != self._without and len(closed) < len(pools):
            self._without = closed
            self._at_work = threading.Thread(target=self._republish, args=(closed,), daemon=True)
            self._at_work.start()

    def _republish(self, without: tuple[str, ...]) -> None:
        planning = self._plan(without)
        try:
            planning.title()
            planned = planning.planned().terms
            terms = with_limits_of(terms_of(self._folder.terms.read_bytes()), planned)
            ask(self._folder.control, "terms", text=terms.text())
        except (NotPlanned, NotServing, NotDone, Mistakes, OSError) as err:
            self._say(f"the limits stay as they were: {err}")
            return
        finally:
            planning.end()
        words = f"without {', '.join(without)}" if without else "with all pools"
        keys.note(self._folder.keys, "serve", "limits planned anew", words)
        self._say(f"limits planned anew {words}, and in force")


def with_limits_of(terms: Terms, planned: Terms) -> Terms:
    """The terms with the limits and caps of others; those that these do not have stay."""
    return replace(terms, limits=terms.limits | planned.limits, caps=planned.caps)
