"""One commit for each turn of an event loop, and what may happen only once it is on disk.

Whoever appends calls `touch`; the first touch of a turn sets the commit at the beginning of the next one. What waits
for the disk (the end of a client's answer) is given to `after`, or awaits `on_disk`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ampacity.journal import keep
from ampacity.journal.append import Journal
from ampacity.scenario.mistakes import Mistakes

RETRY_S = 0.25


class Ticks:
    """Commits a journal once a turn of the loop.

    failed: called with the error when a commit fails; what waits goes on waiting, and the commit is tried again after
    `retry_s` [s]. `error` is that error until a commit succeeds: a service refuses new work while it is not None.
    gather_s: how long what nobody waits for may wait for more [s]; a death in between loses reservations, no use.
    """

    def __init__(
        self,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[Exception], object] | None = None,
        retry_s: float = RETRY_S,
        gather_s: float = 0.0,
    ) -> None:
        self._journal, self._loop, self._failed = journal, loop, failed
        self._retry_s, self._gather_s = retry_s, gather_s
        self._waiting: deque[tuple[int, Callable[[], object]]] = deque()
        self._next: asyncio.Handle | None = None  # the commit that is set
        self._hurried = False  # and whether it may not be set earlier
        self._folding: asyncio.Future[int] | None = None
        self.error: Exception | None = None
        self.failing_since_s = 0.0  # by the loop's clock, while there is an error

    def touch(self) -> None:
        """Something was appended: commit it with what else this turn brings."""
        if self._next is None:
            later = self._gather_s > 0
            self._next = self._loop.call_later(self._gather_s, self._commit) if later else self._soon()

    def after(self, do: Callable[[], object]) -> None:
        """Call `do` once everything appended so far is on disk; in order, and never within this call."""
        self._waiting.append((self._journal.last, do))
        if self._next is None:
            self._next = self._soon()
        elif not self._hurried:
            self._next.cancel()
            self._next = self._soon()

    def later(self, do: Callable[[], object]) -> None:
        """As `after`, but the commit does not hurry: call `now` soon."""
        self._waiting.append((self._journal.last, do))
        self.touch()

    def now(self) -> None:
        """Commit at once if somebody waits for it; a disk that failed keeps its pause."""
        if self._waiting and self.error is None:
            if self._next is not None:
                self._next.cancel()
            self._commit()

    def _soon(self) -> asyncio.Handle:
        self._hurried = True
        return self._loop.call_soon(self._commit)

    async def on_disk(self) -> None:
        """Return once everything appended so far is on disk."""
        done: asyncio.Future[None] = self._loop.create_future()

        def written() -> None:
            if not done.done():  # whoever waited may have been cancelled
                done.set_result(None)

        self.after(written)
        await done

    def _commit(self) -> None:
        self._next, self._hurried = None, False
        try:
            durable = self._journal.commit()
        except (OSError, Mistakes) as err:
            if self.error is None:
                self.failing_since_s = self._loop.time()
            self.error = err
            self._next, self._hurried = self._loop.call_later(self._retry_s, self._commit), True
            if self._failed is not None:
                self._failed(err)
            return
        self.error = None
        while self._waiting and self._waiting[0][0] <= durable:
            self._let_go()

    def fold(self) -> None:
        """Move the journal's log into its file, in a thread: whoever commits does not wait for that disk."""
        if self._folding is None or self._folding.done():
            self._folding = self._loop.run_in_executor(None, keep.fold, self._journal.path)
            self._folding.add_done_callback(lambda done: done.cancelled() or done.exception())  # a commit says it

    async def folded(self) -> None:
        """Return once no thread works on the file."""
        if self._folding is not None:
            await asyncio.wait([self._folding])

    def let_go(self) -> None:
        """Let what waits go on although the disk does not do its work: nobody is to wait for ever.

        What it waited for stays buffered and goes to disk with the first commit that succeeds.
        """
        for _ in range(len(self._waiting)):
            self._let_go()

    def _let_go(self) -> None:
        _, do = self._waiting.popleft()
        try:
            do()
        except Exception as err:  # the others have waited for the same disk
            self._loop.call_exception_handler({"message": "what waited for the journal failed", "exception": err})
