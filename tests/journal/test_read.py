"""Reading: what was appended comes back as it was, in order, while others write; and adds up."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.journal import opening, read
from ampacity.journal.append import Journal
from ampacity.journal.records import (
    ABORTED,
    ADMITTED,
    EXPIRED,
    NO_CAPACITY,
    QUEUED,
    REFUSED,
    REFUSED_ORGANIZATION,
    RELEASED,
    SETTLED,
    Arrival,
    Change,
    Placement,
    Settlement,
)

Busy = Callable[..., None]
WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
ARRIVALS = st.tuples(
    st.just("arrival"), WHOLE, *[NAME] * 5, st.tuples(*[WHOLE] * 7), st.integers(ADMITTED, NO_CAPACITY), NAME
)
ENDS = st.tuples(st.just("end"), st.integers(0, 5), WHOLE, st.integers(SETTLED, ABORTED), st.tuples(*[WHOLE] * 5))
PLACED = st.tuples(st.just("placed"), st.integers(0, 5), WHOLE, st.integers(ADMITTED, NO_CAPACITY), NAME)
CHANGES = st.tuples(st.just("change"), WHOLE, NAME, NAME, NAME)
CONFIGURED = st.tuples(st.just("configure"), WHOLE, NAME)


def appended(journal: Journal, step: tuple[Any, ...], hashes: list[str]) -> list[Any]:
    """Append one step; gives the events that a reader must find."""
    what, *rest = step
    under_way = sorted(journal.under_way)
    if what == "arrival":
        now, tier, limit, other, family, product, numbers, outcome, place = rest
        subscriber, organization, session, tokens, most, draw, expires = numbers
        kind = journal.kind(tier, limit, other, family, product)
        own = (now, kind, subscriber, tokens, most, draw, expires, outcome, journal.name(place), organization, session)
        ordinal = journal.arrived(*own)
        in_force = hashes[-1] if hashes else ""
        return [Arrival(ordinal, now, tier, limit, other, family, product, in_force, *numbers, outcome, place)]
    if what == "change":
        return [Change(journal.changed(*rest), *rest)]
    if what == "configure":
        now, text = rest
        hashes.append(journal.configure(text, now))
        return [Change(journal.last, now, "configuration", hashes[-1], "")]
    if not under_way:
        return []
    request, now, code, more = under_way[rest[0] % len(under_way)], *rest[1:]
    if what == "placed":
        assert journal.placed(request, now, code, journal.name(more))
        return [Placement(journal.last, request, now, code, more)]
    told = journal.ended(request, now, code, *more)
    return [Settlement(journal.last, request, now, code, *more)] if told else []


@settings(max_examples=40)
@given(st.lists(st.lists(st.one_of(ARRIVALS, ARRIVALS, ENDS, PLACED, CHANGES, CONFIGURED), max_size=6), max_size=6))
def test_every_event_comes_back_as_it_was_appended_and_in_order(turns: list[list[tuple[Any, ...]]]) -> None:
    expected, hashes, under_way = [], [], frozenset[int]()
    with TemporaryDirectory() as folder:
        path = Path(folder, "j")
        for life in (turns[::2], turns[1::2]):  # half of the turns by a second writer
            with Journal(path) as journal:
                assert journal.under_way == under_way
                for turn in life:
                    for step in turn:
                        expected += appended(journal, step, hashes)
                    journal.commit()
                under_way = journal.under_way
        with opening.for_reading(path) as db:
            assert list(read.events(db)) == expected
            middle = len(expected) // 2
            assert list(read.events(db, after=middle)) == expected[middle:]
            assert [r.arrival.ordinal for r in read.under_way(db)] == sorted(under_way)
            arrivals = [e for e in expected if isinstance(e, Arrival)]
            ends = {e.request: e for e in expected if isinstance(e, Settlement)}
            assert [(r.arrival, r.end) for r in read.requests(db)] == [(a, ends.get(a.ordinal)) for a in arrivals]


def test_long_journals_are_read_in_strides_without_a_gap(
    kept: Path, busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(2)
    with Journal(kept) as journal:
        for number in range(40):
            busy(journal, rng, number)
        last = journal.last
    with opening.for_reading(kept) as db:
        whole = list(read.events(db))
        monkeypatch.setattr(read, "STRIDE", 3)
        assert list(read.events(db)) == whole
        checkpoints = {ordinal for (ordinal,) in db.execute("SELECT ordinal FROM checkpoint")}
    assert {e.ordinal for e in whole} | checkpoints == set(range(1, last + 1))


def test_use_is_what_a_walk_through_all_events_adds_up_to(kept: Path, busy: Busy) -> None:
    rng = random.Random(5)
    with Journal(kept) as journal:
        for number in range(120):
            busy(journal, rng, number)
            journal.commit()
    with opening.for_reading(kept) as db:
        events = list(read.events(db))
        asked = {e.ordinal: e for e in events if isinstance(e, Arrival)}
        times = [e.now_ms for e in events]
        periods = [(0, 1 << 62), *(sorted(rng.sample(range(min(times), max(times)), 2)) for _ in range(25))]
        for begin, end in periods:
            counted: Counter[tuple[int, str, str]] = Counter()
            for e in events:
                if not begin <= e.now_ms < end:
                    continue
                if isinstance(e, Arrival) and e.outcome in (REFUSED, REFUSED_ORGANIZATION):
                    counted[e.subscriber, e.tier, "refused"] += 1
                if isinstance(e, Arrival) and e.outcome == NO_CAPACITY:
                    counted[e.subscriber, e.tier, "overloaded"] += 1
                if isinstance(e, Placement) and e.outcome == NO_CAPACITY:
                    counted[asked[e.request].subscriber, asked[e.request].tier, "overloaded"] += 1
                if isinstance(e, Settlement) and e.status in (SETTLED, ABORTED):
                    who = (asked[e.request].subscriber, asked[e.request].tier)
                    counted[(*who, "requests")] += 1
                    for kind in ("uncached", "written", "read", "output"):
                        counted[(*who, kind)] += getattr(e, kind)
            found = read.use(db, begin, end)
            fields = ("requests", "refused", "overloaded", "uncached", "written", "read", "output")
            flat = {(u.subscriber, u.tier, f): getattr(u, f) for u in found for f in fields if getattr(u, f)}
            assert flat == {k: v for k, v in counted.items() if v}
            assert [u.output for u in found] == sorted((u.output for u in found), reverse=True)


def test_a_clock_that_steps_back_hides_no_use(kept: Path, one_request: Callable[..., int]) -> None:
    hour, now = 3_600_000, 1_795_000_000_000
    with Journal(kept) as journal:
        for step in (0, 5 * hour, -2 * hour, 9 * hour):
            journal.ended(one_request(journal, now_ms=now + step), now + step, SETTLED, 1)
            journal.commit()
    with opening.for_reading(kept) as db:
        for begin, requests in ((-2, 4), (0, 3), (1, 2), (5, 2), (6, 1), (10, 0)):
            found = read.use(db, now + begin * hour, now + 100 * hour)
            assert sum(u.requests for u in found) == requests, begin


def test_what_is_under_way_has_its_arrival_and_says_whether_it_expired(
    kept: Path, one_request: Callable[..., int]
) -> None:
    with Journal(kept) as journal:
        waiting, gone, done = (one_request(journal, outcome=o) for o in (QUEUED, ADMITTED, ADMITTED))
        journal.ended(gone, 5, EXPIRED)
        journal.ended(done, 6, RELEASED)
        journal.commit()
        with opening.for_reading(kept) as db:
            assert [(r.arrival.ordinal, r.late) for r in read.under_way(db)] == [(waiting, False), (gone, True)]


READER = """
import sys
from pathlib import Path
from ampacity.journal import opening, read
from ampacity.journal.records import Arrival, Settlement

last, rounds, open_ones = 0, 0, {}
print("ready", flush=True)
while True:
    with opening.for_reading(Path(sys.argv[1])) as db:
        found = list(read.events(db, after=last))
        list(read.requests(db))
        (told,) = db.execute("SELECT last FROM mark").fetchone()
    assert [e.ordinal for e in found] == list(range(last + 1, last + 1 + len(found)))
    for e in found:
        if isinstance(e, Arrival):
            open_ones[e.ordinal] = e.draw
        elif isinstance(e, Settlement):
            assert open_ones.pop(e.request) == e.uncached
    assert len(set(open_ones.values())) <= 1, "a turn was seen in part"
    last, rounds = last + len(found), rounds + (len(found) > 0)
    if last == int(sys.argv[2]):
        print(rounds, flush=True)
        break
"""


def test_two_readers_in_processes_of_their_own_see_whole_turns_while_one_writes(
    kept: Path, one_request: Callable[..., int]
) -> None:
    turns, size = 250, 4
    total = turns * size * 2 - size
    with Journal(kept, fold_pages=10) as journal:
        command = [sys.executable, "-c", READER, str(kept), str(total)]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for reader in readers:
            assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        open_ones: list[int] = []
        for turn in range(turns):
            for request in open_ones:
                journal.ended(request, turn, SETTLED, turn - 1)
            open_ones = [one_request(journal, draw=turn) for _ in range(size)]
            journal.commit()
        for reader in readers:
            rounds, _ = reader.communicate(timeout=60)
            assert reader.returncode == 0
            assert int(rounds) >= 1
