"""A journal of a mixed load with changes of limits, drains, faults and deaths, replayed: each decision is the same."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ampacity.gateway.keys import Holder
from ampacity.gateway.recorder import Recorder
from ampacity.gateway.take_up import open_desk, taken_up, write_checkpoint
from ampacity.journal.append import Journal
from ampacity.journal.keep import forget
from ampacity.journal.records import ABORTED, ADMITTED, EXPIRED, QUEUED, RELEASED, SETTLED
from ampacity.policy import rows
from ampacity.policy.health import CUT_OFF, GIVEN_UP, REFUSED, TIMED_OUT
from ampacity.policy.rows import ONE_IN_FLIGHT, ONE_REQUEST, Price, WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TermsError, TierTerms
from ampacity.policy.ticket import Ticket
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.mistakes import Mistakes
from ampacity.simulator.journal_replay import replay

NOW = 1_795_000_000_000
HOUR_MS = 3_600_000
PRICE = Price(1000, 1250, 100, 5000)


LATE = TierTerms("late", "added")


def terms(
    scale: int = 1, slots: int = 3, pools: int = 2, late: bool = False, aliases: tuple[str, ...] = ("small", "large")
) -> Terms:
    """Two tiers (one outranks the other, one is capped by the hour), aliases, an organization's limit.

    late: a tier with a limit of its own besides, and a product that it counts.
    """
    member = (
        WindowRule("five-hour", 3_000_000_000 * scale, rows.AT_FIRST_USE, 5 * HOUR_MS, PRICE),
        WindowRule("large", 200_000_000 * scale, rows.AT_FIRST_USE, HOUR_MS, PRICE, families=("large",)),
        WindowRule("per-minute", 60_000 * scale, rows.EVENLY, 60_000, ONE_REQUEST),
        WindowRule("parallel", 6000, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT),
    )
    company = (WindowRule("stream", 2_000_000_000 * scale, rows.EVENLY, HOUR_MS, PRICE, overflow=200, passing=400),)
    added = (
        WindowRule("chats", 400_000_000 * scale, rows.AT_FIRST_USE, HOUR_MS, PRICE, products=("chat",)),
        WindowRule("hourly", 900_000_000 * scale, rows.EVENLY, HOUR_MS, PRICE, families=("new", "large")),
    )
    served = {
        "small": tuple(PoolTerms(f"small-{i}", f"http://127.0.0.1:{9000 + i}", "m", slots) for i in range(pools)),
        "large": (PoolTerms("large-0", "http://127.0.0.1:9100", "l", 2),),
        "new": (
            PoolTerms("new-0", "http://127.0.0.1:9200", "n", 2),
            PoolTerms("small-9", "http://127.0.0.1:9009", "m", 1),
        ),
    }
    if "new" not in aliases:
        served["small"] += served["new"][1:]
    return Terms(
        "mixed",
        {"member": member, "company": company, "none": ()} | ({"added": added} if late else {}),
        (TierTerms("people", "member"), TierTerms("api", "none", quantum=8192, rank=1), *([LATE] if late else [])),
        tuple(ServiceTerms(alias, served[alias]) for alias in aliases),
        products=("chat",) if late else (),
        caps=(CapacityCurve("people", "small", NOW // 1000, (9_000_000, 30_000_000), (0, 0), (0, 0)),),
        room=8,
        wait_most_ms=4_000,
        expires_ms=40_000,
    )


class Owner:
    """Who asked: it does at once what it is told."""

    def __init__(self, load: Load) -> None:
        self.load, self.ticket = load, None  # type: Load, Ticket | None

    def placed(self) -> None:
        self.load.heard["placed"] += 1

    def put_back(self) -> None:
        self.load.heard["put back"] += 1

    def turned_away(self) -> None:
        self.load.heard["turned away"] += 1

    def cut(self, why: str, answer: int) -> None:
        self.load.heard["cut"] += 1
        assert self.ticket is not None
        self.load.end(self.ticket, ABORTED, answer)


class Silent:
    """A loop's ticks that nobody waits for."""

    def touch(self) -> None:
        """Nothing."""


class Load:
    """A gateway without sockets: a desk and its journal under a random load."""

    def __init__(self, path: Path, seed: int, workers: int = 1) -> None:
        self.path, self.rng, self.now, self.workers = path, random.Random(seed), NOW, workers
        self.terms = terms()
        self.heard = Counter({"placed": 0, "put back": 0, "turned away": 0, "cut": 0})
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.path)
        desk, self.cut_off = open_desk(self.journal, self.terms, self.now, 0, self.workers)
        self.recorder = Recorder(desk, self.journal, Silent())  # type: ignore[arg-type]
        self.tickets: list[Ticket] = []

    def die(self) -> None:
        """The process goes as kill -9 takes it: what is not committed is gone."""
        self.journal._db.close()
        if self.journal._lock is not None:
            self.journal._lock.close()

    def arrive(self) -> None:
        rng = self.rng
        api = rng.random() < 0.2
        who = rng.randrange(1, 12)
        organization = 7 if not api and who < 4 else 0
        late = LATE in self.terms.tiers and who > 8  # who comes under another limit meanwhile, like a tier that is new
        tier = "api" if api else "late" if late else "people"
        holder = Holder(100 + who if api else who, "", tier, organization, "company" if organization else "")
        others = [s.alias for s in self.terms.services if s.alias != "small"]
        alias = rng.choice(others) if others and rng.random() < 0.25 else "small"
        product = rng.choice(["", "chat", "unknown"])
        kind = self.recorder.desk.kind(holder.tier, alias, product, holder.organization_limit)
        owner = Owner(self)
        session = who if rng.random() < 0.7 else 0
        owner.ticket = self.recorder.arrive(
            kind, holder, session, rng.choice([400, 9_000, 90_000]), 32_000, self.now, owner
        )
        if not owner.ticket.over:
            self.tickets.append(owner.ticket)

    def end(self, ticket: Ticket, status: int, answer: int = 200) -> None:
        rng = self.rng
        tokens = (0, 0, 0, 0) if status == RELEASED else tuple(rng.randrange(20_000) for _ in range(4))
        self.recorder.ended(ticket, self.now, status, *tokens, answer=answer)

    def step(self) -> None:
        """Something happens."""
        rng = self.rng
        self.now += rng.randrange(300)
        self.tickets = [t for t in self.tickets if not t.over]
        running = [t for t in self.tickets if t.outcome == ADMITTED and t.pool >= 0]
        what = rng.random()
        if what < 0.45:
            self.arrive()
        elif what < 0.55 and running:
            self.recorder.begun(rng.choice(running), self.now)
        elif what < 0.78 and running:
            ticket = rng.choice(running)
            self.end(ticket, SETTLED if rng.random() < 0.8 else ABORTED, rng.choice([200, 200, 200, 400, CUT_OFF]))
        elif what < 0.88 and (unbegun := [t for t in running if not t.begun]):
            answer = rng.choice([500, 529, 429, REFUSED, TIMED_OUT, CUT_OFF])
            self.recorder.failed(rng.choice(unbegun), self.now, answer, rng.choice([0, 0, 700]))
        elif what < 0.91 and self.tickets:
            self.end(rng.choice(self.tickets), RELEASED, GIVEN_UP)
        elif what < 0.93 and self.tickets:
            ticket = rng.choice(self.tickets)
            if ticket.expires_ms <= self.now:
                self.recorder.ended(ticket, self.now, EXPIRED)
        elif what < 0.96:
            self.recorder.due(self.now)
        else:
            self.operate()
        if self.workers > 1 and rng.random() < 0.1:
            pools = [p.name for s in self.terms.services for p in s.pools]
            self.recorder.lease(rng.choice(pools), rng.randrange(6), self.now)
        if rng.random() < 0.2:
            self.journal.commit()

    def operate(self) -> None:
        """An operator, or the terms, change something."""
        rng = self.rng
        pool = rng.choice([p.name for s in self.recorder.desk.services.values() for p in s.pools])
        what = rng.randrange(6)
        if what == 0:
            self.recorder.hold_pool(pool, self.now)
        elif what == 1:
            self.recorder.drain_pool(pool, self.now + rng.randrange(900), self.now)
        elif what <= 3:
            self.recorder.reopen_pool(pool, self.now)
        elif what == 4:
            write_checkpoint(self.journal, self.recorder.desk, self.recorder.under_way, self.now)
        else:
            late = LATE in self.terms.tiers or rng.random() < 0.3
            aliases = rng.choice([("small", "large"), ("small", "large"), ("new", "small"), ("large", "new", "small")])
            self.terms = terms(rng.randrange(1, 4), rng.randrange(1, 5), rng.randrange(2, 4), late, aliases)
            self.recorder.change(self.terms, self.now)
            self.heard[f"terms with {' '.join(aliases)}"] += 1


@pytest.mark.parametrize("seed", range(6))
def test_every_decision_of_a_mixed_load_with_changes_drains_faults_and_deaths_is_made_again(
    tmp_path: Path, seed: int
) -> None:
    load = Load(tmp_path / "mixed.journal", seed)
    deaths = 0
    for step in range(4000):
        load.step()
        if step % 900 == 899:
            load.die()
            deaths += 1
            load.start()
    load.journal.close()
    found = replay(load.path)
    assert found.differing == ()
    assert found.same == found.decisions > 1500
    assert (found.starts, found.skipped) == (deaths + 1, 0)
    assert found.changes > 20


@pytest.mark.parametrize("seed", range(3))
def test_every_decision_is_made_again_of_a_process_that_shares_its_pools_with_others(tmp_path: Path, seed: int) -> None:
    load = Load(tmp_path / "shared.journal", seed, workers=2)
    for step in range(3000):
        load.step()
        if step % 900 == 899:
            load.die()
            load.start()
    load.journal.close()
    found = replay(load.path)
    assert found.differing == ()
    assert found.same == found.decisions > 1000
    assert found.changes > 200
    with sqlite3.connect(load.path) as db:
        db.execute("DELETE FROM change WHERE what = (SELECT id FROM name WHERE text = 'lease')")
    assert replay(load.path).differing


def test_forgetting_leaves_which_of_how_many_processes_writes_a_journal(tmp_path: Path) -> None:
    load = Load(tmp_path / "shared.journal", 1, workers=2)
    for _ in range(300):
        load.step()
    write_checkpoint(load.journal, load.recorder.desk, load.recorder.under_way, load.now)
    load.journal.close()
    assert sum(forget(load.path, load.now)) > 300
    with Journal(load.path) as journal, pytest.raises(TermsError, match="process 0 of 2"):
        open_desk(journal, load.terms, load.now)
    load.start()
    load.journal.close()


def outcomes(path: Path) -> dict[int, int]:
    with sqlite3.connect(path) as db:
        return dict(db.execute("SELECT outcome, count(*) FROM arrival GROUP BY outcome").fetchall())


def test_the_mixed_load_meets_every_outcome_and_all_news(tmp_path: Path) -> None:
    met, heard = Counter[int](), Counter[str]()
    for seed in range(5):
        load = Load(tmp_path / f"{seed}.journal", seed)
        for _ in range(3000):
            load.step()
        load.journal.close()
        met.update(outcomes(load.path))
        heard.update(load.heard)
    assert sorted(met) == [0, 1, 2, 3, 4] and min(met.values()) > 3, met
    assert min(heard.values()) > 1, heard


TAMPERED = {
    "an arrival's draw of what it asked": "UPDATE arrival SET input_tokens = 500000000 WHERE outcome = 0",
    "a window that was not the one": "UPDATE arrival SET place = place + 1 WHERE outcome = 2",
    "a settlement that cost more": "UPDATE settlement SET output = 900000000 WHERE status = 0",
    "a pool that it did not go to": "UPDATE placement SET place = 1 WHERE outcome = 0",
    "a pool that answered otherwise": "UPDATE placement SET answer = 200 WHERE outcome = 6",
    "a drain that was none": "DELETE FROM change WHERE what = (SELECT id FROM name WHERE text = 'drain')",
    "an end that never was": "DELETE FROM settlement WHERE status = 0",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_replay_sees_what_was_tampered_with(tmp_path: Path, what: str) -> None:
    load = Load(tmp_path / "mixed.journal", 3)
    for _ in range(2500):
        load.step()
    load.journal.close()
    assert replay(load.path).differing == ()
    with sqlite3.connect(load.path) as db:
        assert db.execute(TAMPERED[what]).rowcount > 0
    try:
        found = replay(load.path)
    except (IndexError, KeyError, Mistakes):  # what it says cannot even be
        return
    assert found.differing, what


def test_a_start_holds_the_numbers_that_the_dead_process_held(tmp_path: Path) -> None:
    """With and without a checkpoint on the way; requests under way are given back, all else is as it was."""
    for checkpoints in (False, True):
        load = Load(tmp_path / f"{checkpoints}.journal", 5)
        for step in range(2000):
            load.step()
            if checkpoints and step % 400 == 0:
                write_checkpoint(load.journal, load.recorder.desk, load.recorder.under_way, load.now)
        load.journal.commit()
        ledger = load.recorder.desk.ledger
        load.die()
        taken = taken_up(load.path)
        assert taken.ledger is not None
        assert sorted(taken.under_way) == sorted(load.recorder.under_way)
        for scope in (0, 1):
            for who in range(1, 112):
                at = ledger.found(scope, who)
                if at is not None:
                    there = taken.ledger.found(scope, who)
                    assert there is not None
                    mine = ledger.state[at : at + rows_of(ledger)]
                    assert mine == taken.ledger.state[there : there + rows_of(ledger)]


def rows_of(ledger: Any) -> int:
    from ampacity.policy.book import STATE_FIELDS

    return STATE_FIELDS


def test_limits_that_come_and_go_between_two_starts_keep_what_is_used(tmp_path: Path) -> None:
    load = Load(tmp_path / "j", 6)
    for _ in range(600):
        load.step()
    load.journal.commit()
    used = {who: _five_hour(load, who) for who in range(1, 12)}
    assert sum(mark > 0 for mark, _ in used.values()) > 5
    load.die()
    old = load.terms
    extra = {"before": (WindowRule("daily", 10**9, rows.AT_FIRST_USE, 24 * HOUR_MS),)}
    load.terms = replace(old, limits=extra | old.limits, products=("chat",))
    load.start()
    for ticketless in (load.cut_off,):
        assert ticketless >= 0
    marks = {who: _five_hour(load, who)[0] for who in used}
    assert marks == {who: mark for who, (mark, _) in used.items()}
    load.journal.close()


def _five_hour(load: Load, who: int) -> tuple[int, int]:
    ledger = load.recorder.desk.ledger
    at = ledger.found(0, who)
    return (0, 0) if at is None else (ledger.state[at], ledger.state[at + 1])


def test_a_request_that_waits_is_neither_lost_nor_doubled_by_a_death(tmp_path: Path) -> None:
    load = Load(tmp_path / "j", 2)
    while not any(t.outcome == QUEUED and not t.over for t in load.tickets):
        load.step()
    load.journal.commit()
    under_way = len(load.recorder.under_way)
    load.die()
    load.start()
    assert load.cut_off == under_way
    assert not load.recorder.under_way and not load.journal.under_way
    load.journal.close()
    assert replay(load.path).differing == ()
