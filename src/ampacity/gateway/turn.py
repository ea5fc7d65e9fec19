"""One turn of the event loop: what has come in it is done together, kind by kind, and committed once.

Answers that ended are settled, then requests that came are decided on, then the journal is committed and ends of
answers go out. To do each kind in a row costs less than to take every request through all of them alone, as code and
rows stay in the processor's caches (docs/benchmarks.md). While each turn brings more ends, up to TURNS share a commit;
otherwise nothing waits for more to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ampacity.journal.ticks import Ticks

TURNS = 3


class Came(Protocol):
    """Who has sent a request that has come whole."""

    def answer_now(self) -> None:
        """Have it decided on."""


class Ended(Protocol):
    """An answer that has come whole."""

    def settle(self) -> None:
        """Write down what it cost."""

    def deliver(self) -> None:
        """Let the client see its end."""


class Turn:
    """Gathers what comes until the loop has read all that was there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ticks: Ticks) -> None:
        self._loop, self._ticks = loop, ticks
        self._came: list[Came] = []
        self._ended: list[Ended] = []
        self._set = False
        self._turns = 0  # since the last commit, that brought ends

    def came(self, who: Came) -> None:
        """Have a request decided on."""
        self._came.append(who)
        self._set_over()

    def ended(self, answer: Ended) -> None:
        """Have an answer settled, and delivered once that is on disk."""
        self._ended.append(answer)
        self._set_over()

    def settle(self) -> None:
        """Settle what has ended so far: whoever decides on anything else calls this first."""
        ended, self._ended = self._ended, []
        for answer in ended:
            self._do(answer.settle)
            self._ticks.later(answer.deliver)

    def _set_over(self) -> None:
        if not self._set:
            self._set = True
            self._loop.call_soon(self._over)

    def _over(self) -> None:
        self._set = False
        more = bool(self._ended)
        self.settle()
        came, self._came = self._came, []
        for who in came:
            self._do(who.answer_now)
        self._turns += 1
        if more and self._turns < TURNS:
            self._set_over()
        else:
            self._turns = 0
            self._ticks.now()

    def _do(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as err:  # the others have no part in it
            self._loop.call_exception_handler({"message": "a request could not be carried on", "exception": err})
