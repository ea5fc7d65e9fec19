"""What was recorded, replayed through `policy/`, decides the same, all of it; and so a crash changes no decision."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from ampacity.journal import keep, opening, read
from ampacity.journal.append import Journal
from ampacity.journal.records import (
    ABORTED,
    ADMITTED,
    CONFIGURED,
    EXPIRED,
    ORGANIZATION,
    REFUSED,
    REFUSED_ORGANIZATION,
    RELEASED,
    SETTLED,
    SUBSCRIBER,
    Arrival,
    Change,
    Settlement,
)
from ampacity.policy import limits, rows
from ampacity.policy.book import AT, HELD_FIELDS, STATE_FIELDS, WINDOW_FIELDS, WINDOWS, Book, compile_book
from ampacity.policy.rows import Price, WindowRule

HOUR_MS = 3_600_000
NOW = 1_795_000_000_000
TOKENS = Price(1000, 1250, 100, 5000, peak_times=1500, peaks_ms=(NOW + 2 * HOUR_MS, NOW + 4 * HOUR_MS))
FAMILIES = ("opus", "sonnet")
MEMBERS = 5


def rules(scale: int) -> dict[str, list[WindowRule]]:
    """Two limits: of a member, with each rule by which windows refill; of the organization that all belong to."""
    return {
        "member": [
            WindowRule("five-hour", 400_000_000 * scale, rows.AT_FIRST_USE, 5 * HOUR_MS, TOKENS),
            WindowRule("opus", 100_000_000 * scale, rows.AT_FIRST_USE, 2 * HOUR_MS, TOKENS, families=("opus",)),
            WindowRule("per-minute", 1500 * scale, rows.EVENLY, 60_000, rows.ONE_REQUEST),
            WindowRule("parallel", 3000, rows.IN_FLIGHT, 0, rows.ONE_IN_FLIGHT),
        ],
        "organization": [
            WindowRule("stream", 600_000_000 * scale, rows.EVENLY, HOUR_MS, TOKENS, overflow=200, passing=400),
            WindowRule("daily", 25_000_000_000 * scale, rows.AT_FIRST_USE, 24 * HOUR_MS, TOKENS),
        ],
    }


def as_text(scale: int) -> str:
    return json.dumps({name: [asdict(rule) for rule in own] for name, own in rules(scale).items()})


def from_text(text: str) -> dict[str, list[WindowRule]]:
    """The windows that a configuration's text says."""
    found = {}
    for name, own in json.loads(text).items():
        found[name] = []
        for w in own:
            lists = {
                key: tuple(w[key]) if w[key] is not None else None for key in ("families", "products", "instants_ms")
            }
            price = Price(**{**w["price"], "peaks_ms": tuple(w["price"]["peaks_ms"])})
            found[name].append(WindowRule(**{**w, **lists, "price": price}))
    return found


@dataclass
class Desk:
    """The rows of deciding, and what moves them: `limits` and nothing else."""

    state: list[int] = field(default_factory=lambda: [0] * ((MEMBERS + 1) * STATE_FIELDS))
    held: dict[int, list[int]] = field(default_factory=dict)
    book: Book | None = None

    def change(self, own: dict[str, list[WindowRule]], now: int) -> None:
        new = compile_book(own, FAMILIES, like=self.book)
        if self.book is not None:
            for who in range(MEMBERS + 1):
                limit = new.limit("organization" if who == MEMBERS else "member")
                limits.rebase(self.state, who * STATE_FIELDS, self.book.flat, new.flat, limit, now)
        self.book = new

    def ask(
        self, who: int, family: str, now: int, expires: int, tokens: int, most: int, draw: int
    ) -> tuple[list[int], int]:
        """The rows of a request, and where in the book the window stands that refuses it, or 0."""
        assert self.book is not None
        held = [0] * (2 * HELD_FIELDS)
        for i, (limit, owner) in enumerate((("member", who), ("organization", MEMBERS))):
            plan, at = self.book.plan(limit, family), owner * STATE_FIELDS
            at_limit = self.book.limit(limit)
            limits.hold(
                self.state, at, self.book.flat, at_limit, plan, held, i * HELD_FIELDS, now, expires, tokens, most
            )
        return held, limits.reserve(self.state, self.book.flat, held, 0, 2, now, draw)

    def window(self, refusing: int) -> tuple[int, str]:
        """The outcome and the name that are recorded of a refusal."""
        assert self.book is not None
        scope = "organization" if refusing >= self.book.limit("organization") else "member"
        place = (refusing - self.book.limit(scope) - WINDOWS) // WINDOW_FIELDS
        return (REFUSED_ORGANIZATION if scope == "organization" else REFUSED), self.book.places[scope][place].name

    def end(self, request: int, now: int, status: int, tokens: tuple[int, int, int, int]) -> bool:
        """What a settlement does; whether it changed anything."""
        assert self.book is not None
        held, changed = self.held[request], []
        for h in (0, HELD_FIELDS):
            if status == EXPIRED:
                changed.append(limits.expire(self.state, self.book.flat, held, h, now))
            elif status == RELEASED:
                changed.append(limits.release(self.state, self.book.flat, held, h, now))
            else:
                changed.append(limits.settle(self.state, self.book.flat, held, h, now, *tokens))
        if status != EXPIRED:
            del self.held[request]
        return all(changed)

    def rows(self) -> tuple[list[int], dict[int, list[int]]]:
        return list(self.state), {r: list(h) for r, h in self.held.items()}


def live(journal: Journal, rng: random.Random, desk: Desk, turns: range, checkpoints: bool) -> list[tuple[int, str]]:
    """Serve a random load, recording it; gives the decisions."""
    decided = []
    for turn in turns:
        now = NOW + turn * 40_000 + rng.randrange(40_000) - 20_000  # the clock steps back now and then
        if turn in (0, 250):  # limits change in the middle, with requests under way
            scale = 1 if turn == 0 else 2
            desk.change(rules(scale), now)
            journal.configure(as_text(scale), now)
        for _ in range(rng.randrange(4)):
            who, family, draw = rng.randrange(MEMBERS), rng.choice([*FAMILIES, "haiku"]), rng.randrange(1000)
            tokens, expires = rng.choice([500, 40_000, 120_000]), now + rng.randrange(1, 300_000)
            held, refusing = desk.ask(who, family, now, expires, tokens, 32_000, draw)
            outcome, place = desk.window(refusing) if refusing else (ADMITTED, "pool-a")
            kind = journal.kind("pro", "member", "organization", family)
            number = journal.name(place)
            request = journal.arrived(
                now, kind, who + 1, tokens, 32_000, draw, expires, outcome, number, organization=99
            )
            if not refusing:
                desk.held[request] = held
            decided.append((outcome, place))
        for request in list(desk.held):
            action, tokens_by_kind = rng.random(), (rng.randrange(9000), rng.randrange(900), rng.randrange(90_000), 400)
            if desk.end(request, now, EXPIRED, tokens_by_kind):
                assert journal.ended(request, now, EXPIRED)
            if action < 0.3:
                status = rng.choice([SETTLED, SETTLED, SETTLED, ABORTED, RELEASED])
                assert desk.end(request, now, status, tokens_by_kind)
                assert journal.ended(request, now, status, *tokens_by_kind, first_token_ms=300)
                assert not journal.ended(request, now, status, *tokens_by_kind)
        if checkpoints and turn % 60 == 59:
            owners = [(SUBSCRIBER, who + 1, who) for who in range(MEMBERS)] + [(ORGANIZATION, 99, MEMBERS)]
            state = [(s, o, desk.state[i * STATE_FIELDS : (i + 1) * STATE_FIELDS]) for s, o, i in owners]
            journal.checkpoint(now, "policy-1", state, desk.held.items())
        journal.commit()
    return decided


def replayed(path: Path, from_checkpoint: bool = False) -> tuple[Desk, list[tuple[int, str]]]:
    """Decide again what the journal holds, by its inputs alone; gives the rows and the decisions."""
    desk, decided, after = Desk(), [], 0
    with opening.for_reading(path) as db:
        texts = read.configurations(db)
        checkpoint = read.last_checkpoint(db) if from_checkpoint else None
        if checkpoint is not None:
            after = checkpoint.ordinal
            for (scope, owner), row in checkpoint.state.items():
                at = (owner - 1 if scope == SUBSCRIBER else MEMBERS) * STATE_FIELDS
                desk.state[at : at + STATE_FIELDS] = row
            desk.held = checkpoint.held
            for earlier in read.configured(db):
                if earlier.ordinal < after:
                    desk.book = compile_book(from_text(texts[earlier.subject]), FAMILIES, like=desk.book)
        for event in read.events(db, after):
            if isinstance(event, Change) and event.what == CONFIGURED:
                desk.change(from_text(texts[event.subject]), event.now_ms)
            elif isinstance(event, Arrival):
                e = event
                assert (e.limit, e.organization_limit) == ("member", "organization")
                asked = (e.subscriber - 1, e.family, e.now_ms, e.expires_ms, e.input_tokens, e.output_most, e.draw)
                held, refusing = desk.ask(*asked)
                decided.append(desk.window(refusing) if refusing else (ADMITTED, "pool-a"))
                if not refusing:
                    desk.held[e.ordinal] = held
            elif isinstance(event, Settlement):
                desk.end(event.request, event.now_ms, event.status, event[4:8])
    return desk, decided


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_makes_every_decision_again_and_ends_in_the_same_rows(kept: Path, seed: int) -> None:
    desk = Desk()
    with Journal(kept) as journal:
        decided = live(journal, random.Random(seed), desk, range(900), checkpoints=False)
    again, decided_again = replayed(kept)
    assert decided_again == decided
    assert again.rows() == desk.rows()
    with opening.for_reading(kept) as db:
        recorded = [(e.outcome, e.place) for e in read.events(db) if isinstance(e, Arrival)]
    assert recorded == decided
    refusers = {place for outcome, place in decided if outcome != ADMITTED}
    assert refusers >= {"five-hour", "opus", "per-minute", "parallel", "stream"}  # the load meets the windows
    assert sum(outcome == ADMITTED for outcome, _ in decided) > 100


def test_a_replay_from_the_last_checkpoint_ends_in_the_same_rows(kept: Path) -> None:
    desk = Desk()
    with Journal(kept) as journal:
        live(journal, random.Random(7), desk, range(500), checkpoints=True)
    again, decided = replayed(kept, from_checkpoint=True)
    assert again.rows() == desk.rows()
    assert 0 < len(decided) < 100
    assert sum(keep.forget(kept, NOW + 400 * 40_000)) > 500
    shorter, decided_again = replayed(kept, from_checkpoint=True)
    assert (shorter.rows(), decided_again) == (desk.rows(), decided)


def test_a_service_that_dies_between_turns_decides_on_as_if_it_had_not(kept: Path, tmp_path: Path) -> None:
    steady, rng = Desk(), random.Random(11)
    with Journal(tmp_path / "steady.journal") as journal:
        expected = live(journal, rng, steady, range(500), checkpoints=True)
    desk, rng, decided = Desk(), random.Random(11), []
    for begin in range(0, 500, 25):  # twenty lives, each knowing nothing but the journal of those before
        with Journal(kept) as journal:
            if begin:
                desk, _ = replayed(kept, from_checkpoint=True)
                assert journal.under_way == desk.held.keys()
            decided += live(journal, rng, desk, range(begin, begin + 25), checkpoints=True)
    assert decided == expected
    assert desk.rows() == steady.rows()


def test_a_request_whose_row_names_its_subscribers_place_can_be_moved(kept: Path) -> None:
    """Held rows say where their subscriber's row begins (AT): whoever lays rows out anew after a start sets it anew."""
    desk = Desk()
    with Journal(kept) as journal:
        live(journal, random.Random(3), desk, range(60), checkpoints=True)
    with opening.for_reading(kept) as db:
        checkpoint = read.last_checkpoint(db)
        assert checkpoint is not None and checkpoint.held
        owners = {r.arrival.ordinal: r.arrival.subscriber for r in read.requests(db)}
    for request, row in checkpoint.held.items():
        assert row[AT] == (owners[request] - 1) * STATE_FIELDS
        assert row[HELD_FIELDS + AT] == MEMBERS * STATE_FIELDS
