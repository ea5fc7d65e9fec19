"""One commit a turn of the loop; nobody who waits for the disk goes on before it, and a failing disk is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ampacity.journal.append import Journal
from ampacity.journal.opening import NotWritten
from ampacity.journal.records import SETTLED
from ampacity.journal.ticks import Ticks

OneRequest = Callable[..., int]


class Counting(Journal):
    """Counts commits, and fails as often as it is told."""

    commits = 0
    failing = 0

    def commit(self) -> int:
        if self.failing:
            self.failing -= 1
            raise NotWritten(28, "no room", "kept")
        self.commits += self.last > self.durable
        return super().commit()


def test_what_many_tasks_append_in_one_turn_is_one_commit_and_none_sees_its_end_before(
    kept: Path, one_request: OneRequest
) -> None:
    with Counting(kept) as journal:

        async def client(ticks: Ticks) -> None:
            request = one_request(journal)
            ticks.touch()
            await asyncio.sleep(0)
            journal.ended(request, 5, SETTLED, 1)
            mine = journal.last
            await ticks.on_disk()
            assert journal.durable >= mine

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop())
            await asyncio.gather(*(client(ticks) for _ in range(50)))

        asyncio.run(run())
        assert journal.last == journal.durable == 100
        assert journal.commits <= 4


def test_while_the_disk_refuses_nobody_goes_on_and_then_all_do_in_order(kept: Path, one_request: OneRequest) -> None:
    order: list[int] = []
    failures: list[Exception] = []
    with Counting(kept) as journal:

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop(), failures.append, retry_s=0.001)
            journal.failing = 3
            for number in range(5):
                one_request(journal)
                ticks.after(lambda number=number: order.append(number))  # type: ignore[misc]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert order == [] and journal.durable == 0
            assert isinstance(ticks.error, NotWritten)
            one_request(journal)
            await ticks.on_disk()
            assert ticks.error is None

        asyncio.run(run())
        assert order == [0, 1, 2, 3, 4]
        assert len(failures) == 3
        assert journal.commits == 1


def test_what_nobody_waits_for_may_gather_and_goes_with_the_first_that_is_waited_for(
    kept: Path, one_request: OneRequest
) -> None:
    with Counting(kept) as journal:

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop(), gather_s=30.0)
            for _ in range(5):
                one_request(journal)
                ticks.touch()
                await asyncio.sleep(0)
            assert journal.commits == 0
            await ticks.on_disk()
            assert (journal.commits, journal.durable) == (1, 5)
            ticks = Ticks(journal, asyncio.get_running_loop(), gather_s=0.001)
            one_request(journal)
            ticks.touch()
            while journal.durable < 6:
                await asyncio.sleep(0.001)

        asyncio.run(run())
        assert journal.commits == 2


def test_one_that_waited_and_fails_does_not_hold_up_the_others(kept: Path, one_request: OneRequest) -> None:
    told: list[str] = []
    with Journal(kept) as journal:

        async def run() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: told.append(context["message"]))
            ticks = Ticks(journal, loop)
            one_request(journal)
            ticks.after(lambda: 1 // 0)
            ticks.after(lambda: told.append("the other"))
            await ticks.on_disk()

        asyncio.run(run())
    assert told == ["what waited for the journal failed", "the other"]


def test_what_is_appended_by_one_that_waited_waits_for_a_commit_of_its_own(kept: Path, one_request: OneRequest) -> None:
    seen: list[tuple[int, int]] = []
    with Journal(kept) as journal:

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop())

            def again() -> None:
                seen.append((one_request(journal), journal.durable))
                ticks.after(lambda: seen.append((journal.last, journal.durable)))

            one_request(journal)
            ticks.after(again)
            await ticks.on_disk()
            await ticks.on_disk()

        asyncio.run(run())
    assert seen == [(2, 1), (2, 2)]


def test_a_client_that_left_while_it_waited_is_not_woken(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop())
            one_request(journal)
            left = asyncio.ensure_future(ticks.on_disk())
            await asyncio.sleep(0)
            left.cancel()
            await ticks.on_disk()
            assert left.cancelled()

        asyncio.run(run())
        assert journal.durable == 1


def test_what_waits_without_hurry_goes_on_with_the_commit_that_is_asked_for(
    kept: Path, one_request: OneRequest
) -> None:
    order: list[str] = []
    with Counting(kept) as journal:

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop(), gather_s=60.0)
            one_request(journal)
            ticks.later(lambda: order.append("first"))
            one_request(journal)
            ticks.later(lambda: order.append("second"))
            await asyncio.sleep(0.01)
            assert order == [] and journal.durable == 0
            ticks.now()
            assert order == ["first", "second"] and journal.durable == journal.last
            ticks.now()  # nobody waits: nothing to do
            journal.failing = 1
            one_request(journal)
            ticks.after(lambda: order.append("third"))
            ticks.now()
            assert order == ["first", "second"] and isinstance(ticks.error, NotWritten)
            ticks.now()  # a disk that failed keeps its pause
            assert isinstance(ticks.error, NotWritten)
            await ticks.on_disk()

        asyncio.run(run())
        assert order == ["first", "second", "third"] and journal.commits == 2


def test_the_log_is_folded_in_a_thread_one_at_a_time(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept, fold_pages=0) as journal:

        async def run() -> None:
            ticks = Ticks(journal, asyncio.get_running_loop())
            await ticks.folded()  # there is none
            for _ in range(200):
                one_request(journal)
                journal.commit()
            before = kept.stat().st_size
            ticks.fold()
            ticks.fold()
            await ticks.folded()
            assert kept.stat().st_size > before

        asyncio.run(run())
