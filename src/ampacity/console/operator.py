"""What an operator may ask and do, once for the terminal and for the admin API: plain dicts, as JSON can say them."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from ampacity.console import keys, merged, workers
from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.changed import changed
from ampacity.console.folder import Folder, read_json
from ampacity.console.forecast import beside
from ampacity.console.planned import Planning
from ampacity.console.republish import closed
from ampacity.console.terms import EMULATED, carried_on
from ampacity.console.views import counted, duration
from ampacity.forecast.simulated import simulated_in
from ampacity.journal import keep, opening, read
from ampacity.journal.records import OUTCOMES, Arrival
from ampacity.policy.rows import IN_FLIGHT, NEVER, ONE_REQUEST, SCALE, UNLIMITED, WindowRule
from ampacity.policy.terms import Terms, terms_of

Move = Literal["hold", "drain", "reopen", "reclaim"]
HOUR_MS, HOUR_S = 3_600_000, 3600
REFUSALS = 20
HASH_DIGITS = 16
RETURNS = ("at first use", "at instants", "evenly", "never", "when the answer ends")


class Operator:
    """An operator of the service of one folder. who: as the audit names them."""

    def __init__(self, folder: Folder, who: str = "operator") -> None:
        self.folder, self.who = folder, who

    @property
    def terms(self) -> Terms:
        """The terms in force. Raises TermsError."""
        return terms_of(self.folder.terms.read_bytes())

    # looking

    def status(self) -> dict[str, Any]:
        """Pools, queue, counts, journal, memory: see `gateway.control.status`, `merged.status`. Raises NotServing."""
        return workers.status(self.folder)

    def statuses(self) -> list[dict[str, Any] | None]:
        """The same of each data process by itself, None of one that does not answer. Raises NotServing."""
        return workers.statuses(self.folder)

    def near(self, top: int = 20) -> list[dict[str, Any]]:
        """Who is nearest to a limit, organizations among them. Raises NotServing."""
        found = workers.near(self.folder, top)
        names = keys.organization_names(self.folder.keys) if any(n["organization"] for n in found) else {}
        for row in found:
            if (firm := row.pop("organization")) is not None:
                row["subscriber"] = f"organization {names.get(firm, firm)}"
        return found

    def standing(self, subscriber: str) -> dict[str, Any]:
        """How somebody's windows stand. Raises NotServing, NotDone."""
        return ask(workers.share_of(self.folder, subscriber).speaking, "standing", who=subscriber)

    def limits(self) -> dict[str, Any]:
        """The windows of every limit and who has which."""
        terms = self.terms
        return {
            "limits": {name: [_window(rule) for rule in rules] for name, rules in terms.limits.items()},
            "tiers": [asdict(tier) for tier in terms.tiers],
            "organizations": keys.organizations_of(self.folder.keys),
            "notes": terms.notes,
        }

    def use(self, hours: float = 24.0) -> list[dict[str, Any]]:
        """What each subscriber used in the last hours, as the journal has it; most output first."""
        now_ms = time.time_ns() // 1_000_000
        begin_ms, end_ms = now_ms - round(hours * HOUR_MS), now_ms + HOUR_MS
        rows = merged.use([[u._asdict() for u in read.use(db, begin_ms, end_ms)] for _, db in self._journals()])
        names = {s.id: s.name for s in keys.subscribers_of(self.folder.keys)} if rows else {}
        return [{**row, "subscriber": names.get(row["subscriber"], str(row["subscriber"]))} for row in rows]

    def forecast(self) -> dict[str, Any]:
        """A simulation that lies in the folder beside what was measured, by tier; none without one. Raises NotServing.

        same: whether it is of the scenario whose terms are in force.
        """
        told = simulated_in(self.folder.path)
        if told is None:
            return {"same": None, "tiers": []}
        same = told.record.scenario_hash == self.terms.notes.get("scenario")
        return {"same": same, "tiers": beside(told, self.status())}

    def refusals(self, subscriber: str | None = None, most: int = REFUSALS) -> list[dict[str, Any]]:
        """The latest refusals, the last first, as the journal has them; `request` and `sentence` of those that the
        process that serves has said itself. Raises KeyMistake.
        """
        names = {s.id: s.name for s in keys.subscribers_of(self.folder.keys)}
        among = None if subscriber is None else [self._number(subscriber)]
        return self._refusals(names, among, most)

    def _refusals(self, names: Mapping[int, str], among: list[int] | None, most: int) -> list[dict[str, Any]]:
        said = workers.said(self.folder)  # first: then what was said is on disk
        found = [[_refusal(a, names, share) for a in read.refusals(db, among, most)] for share, db in self._journals()]
        return [r | said.get((r.get("worker"), r["ordinal"]), {}) for r in merged.latest(found, most)]

    def explain(self, who: str) -> dict[str, Any]:
        """Why a request, by its id, was refused; or how a subscriber stands now, and their latest refusals.

        Of a name that is an organization's alone: how that stands, and its people's. Raises NotServing, NotDone,
        KeyMistake.
        """
        if who.startswith("req_"):
            return workers.explained(self.folder, who)
        there = keys.subscribers_of(self.folder.keys)
        limit = keys.organizations_of(self.folder.keys).get(who)
        if limit is not None and all(s.name != who for s in there):
            number = next(n for n, name in keys.organization_names(self.folder.keys).items() if name == who)
            share = self.folder.shares()[number % self.folder.workers]
            told = ask(share.speaking, "explain", who=who, organization=number, limit=limit)
            people = {s.id: s.name for s in there if s.organization == who}
            return {**told, "people": len(people), "refusals": self._refusals(people, [*people], REFUSALS)}
        if all(s.name != who for s in there):
            raise keys.NotThere(f"{who!r}: no subscriber and no organization has that name; list them: keys list")
        told = ask(workers.share_of(self.folder, who).speaking, "explain", who=who)
        return {**told, "refusals": self.refusals(who)}

    def _number(self, subscriber: str) -> int:
        for s in keys.subscribers_of(self.folder.keys):
            if s.name == subscriber:
                return s.id
        raise keys.NotThere(f"subscriber {subscriber!r}: there is nobody of that name; list them: keys list")

    def versions(self) -> list[dict[str, Any]]:
        """When which terms came into force, by a start or a change, the latest first."""
        return merged.versions(
            [
                [{"now_ms": c.now_ms, "terms": c.subject[:HASH_DIGITS]} for c in reversed(read.configured(db))]
                for _, db in self._journals()
            ]
        )

    def _journals(self) -> Iterator[tuple[Folder, sqlite3.Connection]]:
        """The journal of each data process that has one, open to be read, one after the other."""
        for share in self.folder.shares():
            if share.journal.exists():
                with opening.for_reading(share.journal) as db:
                    yield share, db

    def audit(self, most: int = 100) -> list[dict[str, object]]:
        """What operators did, the latest first."""
        return keys.audit_of(self.folder.keys, most)

    def backup(self, to: Path) -> list[Path]:
        """Copy the journals and the keys as they are now, beside whoever writes them, into a folder. Raises OSError."""
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = [p for p in (*(share.journal for share in self.folder.shares()), self.folder.keys) if p.exists()]
        taken = [p.name for p in there if (to / p.name).exists()]
        if taken:
            raise FileExistsError(errno.EEXIST, f"it holds {', '.join(taken)} already: name another folder", str(to))
        for path in there:
            (keys.copy if path == self.folder.keys else keep.backup)(path, to / path.name)
            (to / path.name).chmod(0o600)
        keys.note(self.folder.keys, self.who, "backup", str(to))
        return [to / path.name for path in there]

    def forget(self, age_s: float) -> int:
        """Delete from the journals what is older, in short steps; gives the rows. Raises OSError."""
        before_ms = time.time_ns() // 1_000_000 - round(age_s * 1000)
        journals = [share.journal for share in self.folder.shares() if share.journal.exists()]
        rows = sum(sum(keep.forget(path, before_ms)) for path in journals)
        keys.note(self.folder.keys, self.who, f"forget what is older than {duration(age_s)}", f"{rows:,} rows")
        return rows

    # keys and whose they are

    def keys(self) -> list[dict[str, Any]]:
        """All keys, without what is secret of them."""
        return [asdict(k) for k in keys.keys_of(self.folder.keys)]

    def subscribers(self) -> list[dict[str, Any]]:
        """All subscribers."""
        return [asdict(s) for s in keys.subscribers_of(self.folder.keys)]

    def make_key(
        self, subscriber: str, tier: str | None = None, organization: str | None = None, product: str = ""
    ) -> dict[str, Any]:
        """Make a key, which is known from now on; `key` is in this answer and nowhere else. Raises KeyMistake."""
        terms = self.terms
        if product and product not in terms.products:
            known = ", ".join(terms.products) or "none, so leave it out"
            raise keys.NotThere(f"product {product!r}: expected one of those that limits name: {known}")
        had = workers.decides_on(self.folder, subscriber)
        made = keys.make_key(
            self.folder.keys,
            subscriber,
            tier,
            tuple(t.name for t in terms.tiers),
            organization=organization,
            product=product,
            who=self.who,
        )
        self._tell_keys()
        return asdict(made) | self._begins_anew(subscriber, had)

    def revoke(self, what: str) -> list[dict[str, Any]]:
        """Revoke a key, or all keys of a subscriber; answers that are under way end. Raises KeyMistake."""
        gone = keys.revoke(self.folder.keys, what, who=self.who)
        self._tell_keys()
        return [asdict(k) for k in gone]

    def set_subscriber(self, name: str, tier: str | None = None, organization: str | None = None) -> dict[str, Any]:
        """Move a subscriber to another tier or organization. Raises KeyMistake."""
        tiers = tuple(t.name for t in self.terms.tiers)
        had = workers.decides_on(self.folder, name)
        found = keys.set_subscriber(self.folder.keys, name, tiers, tier=tier, organization=organization, who=self.who)
        self._tell_keys()
        return asdict(found) | self._begins_anew(name, had)

    def _begins_anew(self, name: str, had: int | None) -> dict[str, str]:
        """What to know of a subscriber who came to another data process, as those of an organization share one."""
        has = workers.decides_on(self.folder, name)
        if had is None or has == had:
            return {}
        words = f"worker {has} decides on them now, and what they used with worker {had} does not count there"
        return {"note": words}

    def set_organization(self, name: str, limit: str) -> dict[str, str]:
        """Give an organization a limit. Raises KeyMistake."""
        endless = [rule.name for rule in self.terms.limits.get(limit, ()) if rule.size == UNLIMITED]
        if endless:
            words = "state their tokens or requests in the scenario (a plan sizes windows of a tier's people alone)"
            raise keys.KeyMistake(f"limit {limit!r}: nothing says how large {', '.join(endless)} would be; {words}")
        keys.set_organization(self.folder.keys, name, limit, tuple(self.terms.limits), who=self.who)
        self._tell_keys()
        return {"name": name, "limit": limit}

    def remove_organization(self, name: str) -> dict[str, str]:
        """Let an organization go to which nobody belongs. Raises KeyMistake."""
        keys.remove_organization(self.folder.keys, name, who=self.who)
        return {"name": name}

    def _tell_keys(self) -> None:
        """A process that serves reads the keys again; one that does not reads them when it starts."""
        try:
            workers.tell(self.folder, "keys")
        except NotServing:
            return

    # the service

    def change_terms(self, text: str) -> dict[str, Any]:
        """Go by other terms; streams go on, what is used stays used. Raises TermsError, NotServing, NotDone."""
        terms, before = terms_of(text), self.terms
        answer = workers.bring_into_force(self.folder, terms.text())
        answer["changed"] = changed(before, terms)
        keys.note(self.folder.keys, self.who, f"terms {answer['terms']} in force", answer["changed"])
        return answer

    def reload(self) -> dict[str, Any]:
        """Plan the scenario as its file is now, for the pools that are open, and go by that; streams go on.

        Raises OSError, NotPlanned, Mistakes, NotServing, NotDone.
        """
        if not self.folder.how.exists():
            raise NotDone("this service was not started from a scenario: give it terms as text")
        how, before = read_json(self.folder.how), self.terms
        emulate = before.notes.get("pools") == EMULATED
        without = closed(self.status()["pools"])
        planning = Planning(how["scenario"], tuple(how["sets"]), how["seed"], emulate=emulate, without=without)
        try:
            planning.title()
            terms = planning.planned().terms
        finally:
            planning.end()
        if closed(self.status()["pools"]) != without:
            raise NotDone(
                "a pool went or came while this was planned, so it would promise what is not there; try again"
            )
        return self.change_terms(carried_on(terms, before).text()) | {"without": list(without)}

    def move(self, action: Move, pool: str, deadline_s: float | None = None) -> dict[str, Any]:
        """Hold, drain, reopen or reclaim a pool; a drain ends after so long, a reclaim without it now.

        Raises NotServing, NotDone.
        """
        if action == "drain" and deadline_s is None:
            raise NotDone("a drain has a deadline: say when the pool is to be gone, as in: drain POOL --deadline 10m")
        now_ms = time.time_ns() // 1_000_000
        deadline_ms = now_ms + round((deadline_s or 0.0) * 1000)
        said = f"{action} within {deadline_s:g} s" if deadline_s is not None else action
        try:
            found = workers.move(self.folder, pool, action, deadline_ms)
        except workers.DoneInSome:
            keys.note(self.folder.keys, self.who, f"{said}, not heard by all", f"pool {pool}")
            raise
        cut = f", {counted(found['cut'], 'answer')} cut" if found["cut"] else ""
        keys.note(self.folder.keys, self.who, said, f"pool {pool}{cut}")
        return found

    def checkpoint(self) -> dict[str, Any]:
        """Write the rows of use, so that the next start is quick. Raises NotServing, NotDone."""
        return {"durable": sum(a["durable"] for a in workers.tell(self.folder, "checkpoint"))}

    def stop(self) -> None:
        """Let answers end, and stop serving. Raises NotServing."""
        with suppress(workers.DoneInSome):  # one that is away is not started again
            workers.tell(self.folder, "stop")
        keys.note(self.folder.keys, self.who, "stopped", str(self.folder.path))


def _refusal(a: Arrival, names: Mapping[int, str], share: Folder) -> dict[str, Any]:
    """A refusal with the names that people use; of several journals, whose its ordinal counts."""
    return {
        "ordinal": a.ordinal,
        "now_ms": a.now_ms,
        "subscriber": names.get(a.subscriber, str(a.subscriber)),
        "tier": a.tier,
        "alias": a.family,
        "outcome": OUTCOMES[a.outcome],
        "window": a.place or None,
        "input_tokens": a.input_tokens,
        **({} if share.worker is None else {"worker": share.worker}),
    }


def _window(rule: WindowRule) -> dict[str, Any]:
    """A window in units that people use: its size in weighted tokens or requests, None without bound."""
    requests = rule.price == ONE_REQUEST or rule.refill == IN_FLIGHT
    return {
        "name": rule.name,
        "counts": "requests" if requests else "tokens",
        "size": None if rule.size == UNLIMITED else rule.size / SCALE,
        "length_s": None if rule.refill in (NEVER, IN_FLIGHT) else rule.length_ms / 1000,
        "returns": RETURNS[rule.refill],
        "aliases": None if rule.families is None else list(rule.families),
        "products": None if rule.products is None else list(rule.products),
    }
