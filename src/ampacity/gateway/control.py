"""What the operator's side asks the data process: over a socket of the file system, a line of JSON each way.

A request is `{"do": "status"}` with what else that needs; an answer has `ok`, and if it is false `error` in words, and
`missing` if whom or what it names is not there. Who may open the socket may ask all of it, so it is its owner's alone.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ampacity.base.outcomes import ORGANIZATION, SUBSCRIBER
from ampacity.gateway.keys import Holder
from ampacity.gateway.refusals import not_served
from ampacity.gateway.standing import THEIRS, explained
from ampacity.policy.book import MARK, PLACE, WINDOW_FIELDS, WINDOWS
from ampacity.policy.health import H_FAILURES, H_STANDING, HEALTH_FIELDS, SOUND
from ampacity.policy.line import Q_WAITING, T_WAITING, tier_at
from ampacity.policy.reclaim import P_DEADLINE_MS, P_STATE, POOL_DRAINING, POOL_FIELDS, POOL_OPEN
from ampacity.policy.routing import R_BACKLOG, R_OUT_UNTIL_MS, R_REQUESTS, R_SHARE, REPLICA_FIELDS
from ampacity.policy.rows import IN_FLIGHT, UNLIMITED
from ampacity.policy.service import Service
from ampacity.policy.stores import FOREVER, used_now
from ampacity.policy.terms import terms_of

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

LINE_MOST = 64 << 20  # bytes of a request; the text of terms may be long
AT_ONCE = 500  # subscribers that are looked at between two turns of the loop
TOP = 20
STATES = ("open", "held", "draining", "gone")


class Asked(msgspec.Struct, omit_defaults=True):
    """A request. who: a subscriber, or the organization of that number under that limit.

    request: the id that its client was told. deadline_ms: since 1970 UTC.
    """

    do: str
    who: str = ""
    request: str = ""
    top: int = TOP
    pool: str = ""
    action: str = ""
    deadline_ms: int = 0
    text: str = ""
    organization: int = 0
    limit: str = ""


class Control:
    """Answers the operator's side. `stop` ends the process, as SIGTERM does."""

    def __init__(self, gateway: Gateway, stop: Callable[[], None]) -> None:
        self.gateway, self._stop = gateway, stop
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self.started_ms = gateway.clock()

    async def listen(self, path: Path) -> None:
        """Take requests at a path from now on; whatever a dead process left there goes."""
        with suppress(FileNotFoundError):
            path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(path), limit=LINE_MOST)
        finally:
            os.umask(before)
        self._path = path

    def close(self) -> None:
        """Take no more of them."""
        if self._server is not None:
            self._server.close()
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self.answer(line)) + b"\n")
                await writer.drain()
        writer.close()

    async def answer(self, line: bytes) -> dict[str, object]:
        """The answer to one request."""
        try:
            return {"ok": True, **await self._do(msgspec.json.decode(line, type=Asked))}
        except msgspec.MsgspecError as err:
            return {"ok": False, "error": f"not a request: {err}"}
        except KeyError as err:
            return {"ok": False, "missing": True, "error": str(err.args[0])}
        except (ValueError, OSError, sqlite3.Error) as err:
            return {"ok": False, "error": str(err)}

    async def _do(self, asked: Asked) -> dict[str, object]:
        gateway = self.gateway
        match asked.do:
            case "status":
                return status(gateway, self.started_ms)
            case "standing":
                return gateway.standing(self._holder(asked.who))
            case "near":
                return {"near": await nearest_to_limits(gateway, asked.top)}
            case "explain":
                await self._told()
                return self._explain(asked)
            case "said":
                await self._told()
                latest = list(gateway.refusals.said.items())[-max(asked.top, 1) :]
                return {"said": [{"request": i, "ordinal": n, "sentence": words} for i, (n, words) in latest]}
            case "keys":
                gateway.read_keys()
                return {"keys": len(gateway._holders)}
            case "terms":
                gateway.change(terms_of(asked.text))
                await gateway.ticks.on_disk()
                return {"terms": terms_hash(gateway)}
            case "pool":
                cut = gateway.metrics.cut_short
                self._move(asked)
                moved = next(p for p in pools(gateway) if p["name"] == asked.pool)
                return {"pool": moved | {"cut": gateway.metrics.cut_short - cut}}
            case "checkpoint":
                gateway.checkpoint()
                await gateway.ticks.on_disk()
                return {"durable": gateway.journal.durable}
            case "stop":
                gateway.loop.call_later(0.05, self._stop)  # after this answer
                return {"stopping": True}
        known = "status, standing, near, explain, said, keys, terms, pool, checkpoint, stop"
        raise ValueError(f"do {asked.do!r}: expected one of {known}")

    async def _told(self) -> None:
        """All that happened is on disk: whoever asks looks into the journal next."""
        if self.gateway.ticks.error is None:
            await self.gateway.ticks.on_disk()

    def _holder(self, name: str) -> Holder:
        for holder in self.gateway._holders.values():
            if holder.name == name:
                return holder
        raise KeyError(f"who {name!r}: no key that is in force belongs to a subscriber of that name")

    def _explain(self, asked: Asked) -> dict[str, object]:
        """What was said when a request was refused; or what would be said now to a subscriber."""
        gateway = self.gateway
        if asked.request:
            if asked.request not in gateway.refusals.said:
                words = (
                    "no request of that id was refused since this process began; `refusals` has those before, by time"
                )
                raise KeyError(f"request {asked.request!r}: {words}")
            ordinal, sentence = gateway.refusals.said[asked.request]
            return {"request": asked.request, "ordinal": ordinal, "sentence": sentence}
        firm = Holder(0, asked.who, "", asked.organization, asked.limit) if asked.organization else None
        holder, now_ms = firm or self._holder(asked.who), gateway.clock()
        asked_last = gateway.recorder.last
        of = {h.subscriber for h in gateway._holders.values() if h.organization == asked.organization}
        last = max((asked_last[s] for s in (of if firm else {holder.subscriber}) if s in asked_last), default=None)
        if barred := not_served(gateway.terms, holder):
            now = {s.alias: {"admits": False, "sentence": barred.message} for s in gateway.terms.services}
            return {"who": holder.name, "subscriber": holder.subscriber, "tier": holder.tier, "now": now}
        asked_by = [s.alias for s in gateway.terms.services]
        told = {a: explained(gateway.desk, holder, now_ms, a, last, THEIRS) for a in asked_by}
        now = {alias: {"admits": admits, "sentence": sentence} for alias, (admits, _, sentence) in told.items()}
        return {"who": holder.name, "subscriber": holder.subscriber, "tier": holder.tier, "now": now}

    def _move(self, asked: Asked) -> None:
        """Hold, drain, reopen or reclaim a pool."""
        gateway, pool, action = self.gateway, asked.pool, asked.action
        if pool not in {p["name"] for p in pools(gateway)}:
            raise KeyError(f"pool {pool!r}: expected one of {', '.join(gateway.pools)}")
        now_ms = gateway.clock()
        match action:
            case "hold":
                done = gateway.hold(pool)
            case "reopen":
                done = gateway.reopen(pool)
            case "drain" | "reclaim":
                done = gateway.drain_pool(pool, max(asked.deadline_ms, now_ms))
            case _:
                raise ValueError(f"action {action!r}: expected hold, drain, reopen or reclaim")
        if not done:
            state = next(p["state"] for p in pools(gateway) if p["name"] == pool)
            raise ValueError(f"pool {pool!r} is {state}: to {action} it changes nothing")


def status(gateway: Gateway, started_ms: int) -> dict[str, object]:
    """Everything that a page or a monitor shows, as JSON can say it; times since 1970 UTC [ms]."""
    now_ms = gateway.clock()
    error = gateway.ticks.error
    return {
        "scenario": gateway.terms.name,
        "terms": terms_hash(gateway),
        "now_ms": now_ms,
        "started_ms": started_ms,
        "uptime_s": round((now_ms - started_ms) / 1000, 3),
        "process": os.getpid(),
        "ready": gateway.ready,
        "draining": gateway.draining,
        "pools": list(pools(gateway)),
        "services": [
            {"alias": s.alias, "names": list(s.names), "waiting": gateway.desk.services[s.alias].waiting}
            for s in gateway.terms.services
        ],
        "queue": list(_queue(gateway)),
        "room": gateway.terms.room,
        "wait_most_ms": gateway.terms.wait_most_ms,
        "metrics": gateway.metrics.snapshot(),
        "exchanges": len(gateway.exchanges),
        "connections": len(gateway.clients),
        "keys": len(gateway._holders),
        "subscribers": len({h.subscriber for h in gateway._holders.values()}),
        "cut_off": gateway.cut_off,
        "journal": {
            "last": gateway.journal.last,
            "durable": gateway.journal.durable,
            "error": None if error is None else str(error),
            "path": str(gateway.settings.journal),
        },
        "memory_bytes": resident_bytes(),
    }


def terms_hash(gateway: Gateway) -> str:
    """Which terms are in force: how their hash in the journal begins, 16 hexadecimal digits."""
    return blake2b(gateway.terms.text().encode(), digest_size=16).hexdigest()[:16]


def pools(gateway: Gateway) -> Iterator[dict[str, object]]:
    """Each pool that is or was served from, with what it has to do."""
    now_ms = gateway.clock()
    named = {p.name for s in gateway.terms.services for p in s.pools}
    for alias, service in gateway.desk.services.items():
        for i, pool in enumerate(service.pools):
            if pool.name in named and not service.names(i):
                continue  # it serves another alias now, and stands there
            r = i * REPLICA_FIELDS
            rows = service.rows
            out_until_ms = rows[r + R_OUT_UNTIL_MS]
            state, deadline_ms = _state(service, i)
            yield {
                "name": pool.name,
                "alias": alias,
                "model": pool.model,
                "url": pool.url,
                "state": state,
                "deadline_ms": deadline_ms,
                "requests": rows[r + R_REQUESTS],
                "begun": service.begun_at(i),
                "slots": service.slots[i],
                "backlog_tokens": rows[r + R_BACKLOG],
                "health": _health(service, i, out_until_ms > now_ms),
                "failures_in_a_row": service.health[i * HEALTH_FIELDS + H_FAILURES],
                "out_until_ms": out_until_ms if out_until_ms > now_ms else None,
                "pace_ns": pool.pace_ns,
            }


def _state(service: Service, i: int) -> tuple[str, int | None]:
    """Of a pool: open, held, draining or gone, and the deadline of its drain."""
    p = i * POOL_FIELDS
    state = service.states[p + P_STATE]
    if state == POOL_OPEN and not service.rows[i * REPLICA_FIELDS + R_SHARE]:
        return "gone", None  # the terms name it no more
    return STATES[state], service.states[p + P_DEADLINE_MS] if state == POOL_DRAINING else None


def _health(service: Service, i: int, out: bool) -> str:
    """Of a pool: sound; full, if it has asked to be left alone for a while; ejected; or on trial after that."""
    if service.health[i * HEALTH_FIELDS + H_STANDING] == SOUND:
        return "full" if out else "sound"
    return "ejected" if out else "on trial"


def _queue(gateway: Gateway) -> Iterator[dict[str, object]]:
    for alias in (s.alias for s in gateway.terms.services):
        service = gateway.desk.services[alias]
        for i, tier in enumerate(gateway.terms.tiers):
            waiting = service.queue[tier_at(i) + T_WAITING] if service.queue[Q_WAITING] else 0
            yield {"tier": tier.name, "alias": alias, "waiting": waiting}


async def nearest_to_limits(gateway: Gateway, top: int) -> list[dict[str, object]]:
    """Who has used the largest share of any window, most first: subscribers, and organizations by their numbers.

    Streams go on meanwhile.
    """
    holders = list(gateway._holders.values())
    people = {(SUBSCRIBER, h.subscriber): (h.name, h.tier) for h in holders}
    firms = {(ORGANIZATION, h.organization): ("", "") for h in holders if h.organization}
    found = []
    for n, ((scope, who), (name, tier)) in enumerate((people | firms).items()):
        if n % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        fullest = _fullest(gateway, scope, who)
        if fullest is not None:
            found.append((*fullest, name, tier, who if scope == ORGANIZATION else None))
    found.sort(key=lambda f: (-f[0], f[3], f[5] or 0))
    return [
        {
            "subscriber": name,
            "tier": tier,
            "organization": firm,
            "window": window,
            "share": round(share, 4),
            "back_ms": ms,
        }
        for share, window, ms, name, tier, firm in found[: max(top, 0)]
    ]


def _fullest(gateway: Gateway, scope: int, who: int) -> tuple[float, str, int | None] | None:
    """The window of which somebody has used the largest share: that, its name, when all of it is back if it ever is."""
    ledger = gateway.desk.ledger
    at = ledger.found(scope, who)
    if at is None:
        return None
    limit = ledger.limit_of(scope, who)
    flat, begin, now_ms = ledger.book.flat, ledger.book.limit(limit) + WINDOWS, gateway.clock()
    best: tuple[float, str, int | None] | None = None
    for i, rule in enumerate(ledger.book.places[limit]):
        if rule.refill == IN_FLIGHT or rule.size in (0, UNLIMITED):
            continue
        w = begin + i * WINDOW_FIELDS
        s = at + flat[w + PLACE]
        share = used_now(ledger.state, s, flat, w, now_ms) / rule.size
        if best is None or share > best[0]:
            back_ms = ledger.state[s + MARK]
            best = share, rule.name, back_ms if share and back_ms < FOREVER else None
    return best


def resident_bytes() -> int:
    """Memory that this process has. [B]"""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
