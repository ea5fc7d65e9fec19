"""Starting the processes of a live service, watching them, and ending them: emulated pools, data, admin.

A data process is started again if it dies: its journal makes that harmless. Pools and admin likewise. Several data
processes share a port, which the first one finds; each has its own settings, journal, socket and log.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ampacity.base.files import write_whole
from ampacity.console import keys, workers
from ampacity.console.ask import NotDone, NotServing
from ampacity.console.child import LOOK_S, Child
from ampacity.console.folder import Folder, write_json
from ampacity.console.planned import NotPlanned, Planned, Planning
from ampacity.console.republish import Republishing, closed_before
from ampacity.console.terms import Addresses, at_addresses
from ampacity.policy.terms import Terms, terms_of
from ampacity.scenario.mistakes import Mistake, Mistakes

READY_S = 60.0  # an emulated pool compiles its engine once for each version
COMPILED_S = 240.0
LOOKS_A_POOL = 10  # looks at processes between two looks at pools
DRAIN_S = 30.0
DEMO = "demo"


@dataclass(frozen=True)
class How:
    """How a service is to be served. scenario: its name or file, with what is laid over it and the seed of its plan."""

    scenario: str
    sets: tuple[str, ...] = ()
    seed: int = 1
    emulate: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    durability: str = "normal"
    drain_s: float = DRAIN_S
    workers: int = 1


class Service:
    """A live service: its folder, its processes. say, complain: to whoever started it."""

    def __init__(self, folder: Folder, how: How, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
        self.folder, self.how, self._say, self._complain = folder, how, say, complain
        self.port = self.admin_port = 0
        self.demo: str | None = None
        self._planned: Planned | None = None
        self._told: int | None = None
        self._without: tuple[str, ...] = ()
        run = [sys.executable, "-m"]
        self._shares = folder.shares(how.workers)
        self._data = [
            Child(_called(share), [*run, "ampacity.gateway", str(share.settings)], share.log("gateway"))
            for share in self._shares
        ]
        self._admin = Child("admin process", [*run, "ampacity.console.admin", str(folder.path)], folder.log("admin"))
        sets = [part for pair in how.sets for part in ("--set", pair)]
        emulation = [*run, "ampacity.emulation", how.scenario, *sets, "--port", "0"]
        self._pools = Child("emulated pools", emulation, folder.log("pools")) if how.emulate else None

    def start(self) -> None:
        """Check and plan the scenario, start everything, and return when it answers. Raises Mistakes, NotPlanned."""
        how = self.how
        _must_be_free(how.host, how.port, "--port")
        _must_be_free(how.admin_host, how.admin_port, "--admin-port")
        if how.port and how.port == how.admin_port:
            words = "is --port too: the gateway and the admin API each need one of their own"
            raise Mistakes([Mistake("ampacity serve", 0, "--admin-port", str(how.admin_port), words)])
        self.folder.refuse_other(how.workers)
        self._without = closed_before(self.folder)
        planning = self._planning(self._without)
        try:
            self._say(planning.title())
            if self._without:
                self._say(
                    f"planned without {', '.join(self._without)}: closed before, and still; --admin reopen opens it"
                )
            self.folder.make()
            self.folder.make_for(how.workers)
            there = Path(how.scenario)
            scenario = str(there.absolute()) if there.exists() else how.scenario
            write_json(self.folder.how, {"scenario": scenario, "sets": list(how.sets), "seed": how.seed})
            terms = self._terms(planning)
            self._write(terms, how.port)
            self.port = int(self._data[0].start(READY_S)["port"])
            self._write(terms, self.port)
            for data in self._data[1:]:
                data.start(READY_S)
            self.admin_port = self._start_admin(how.admin_port)
            self._first_key(terms)
        except BaseException:
            planning.end()
            self.end()
            raise

    def _planning(self, without: tuple[str, ...]) -> Planning:
        """The scenario planned anew, without some pools."""
        how = self.how
        return Planning(how.scenario, how.sets, how.seed, emulate=how.emulate, without=without)

    def _terms(self, planning: Planning) -> Terms:
        """The scenario's terms; pools that are emulated start while it is planned."""
        addresses = self._emulate() if self._pools is not None else None
        self._planned = planning.planned()
        return self._planned.terms if addresses is None else self._at(self._planned.terms, addresses)

    def _at(self, terms: Terms, addresses: Addresses) -> Terms:
        """Terms with the emulated pools at their addresses. Raises NotPlanned if one has none."""
        assert self._planned is not None
        names = self._planned.names
        if missing := [name for at, name in names.items() if at not in addresses]:
            raise NotPlanned(f"{', '.join(missing)}: has a replica, and no emulated pool answers for it")
        return at_addresses(terms, {name: addresses[at] for at, name in names.items()})

    def _emulate(self) -> Addresses:
        assert self._pools is not None
        said = self._pools.start(COMPILED_S)
        return {(p["name"], p["placement"]): p["url"] for p in said["pools"]}

    def _write(self, terms: Terms, port: int) -> None:
        write_whole(self.folder.terms, terms.text())
        self.folder.terms.chmod(0o600)
        for share in self._shares:
            settings = {
                "terms": str(share.terms),
                "journal": str(share.journal),
                "keys": str(share.keys),
                "control": str(share.control),
                "host": self.how.host,
                "port": port,
                "durability": self.how.durability,
                "drain_s": self.how.drain_s,
                "parent": os.getpid(),
            }
            if share.worker is not None:
                settings |= {"worker": share.worker, "workers": len(self._shares)}
                settings |= {"peers": str(share.peers), "leases": str(share.leases)}
            write_json(share.settings, settings)

    def _start_admin(self, port: int) -> int:
        write_json(self.folder.admin, {"host": self.how.admin_host, "port": port, "parent": os.getpid()})
        bound: int = self._admin.start(READY_S)["port"]
        write_json(self.folder.admin, {"host": self.how.admin_host, "port": bound, "parent": os.getpid()})
        return bound

    def _first_key(self, terms: Terms) -> None:
        """A demonstration key, if there is no key in force."""
        if any(k.revoked_ms is None for k in keys.keys_of(self.folder.keys)):
            return
        tiers = tuple(t.name for t in terms.tiers)
        there = {s.name for s in keys.subscribers_of(self.folder.keys)}
        self.demo = keys.make_key(self.folder.keys, DEMO, None if DEMO in there else tiers[0], tiers, who="serve").key
        workers.tell(self.folder, "keys")

    def watch(self) -> int:
        """Serve until told to end; the exit code."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._on_signal)
        republishing, looks = Republishing(self.folder, self._planning, self._complain, self._without), 0
        try:
            while self._told is None:
                time.sleep(LOOK_S)
                if any(data.code == 0 for data in self._data):  # an operator has stopped it
                    return 0
                for child in (self._pools, *self._data, self._admin):
                    if child is not None and child.code is not None and self._told is None:
                        self._again(child)
                if (looks := looks + 1) % LOOKS_A_POOL == 0:
                    republishing.look()
        except Mistakes as err:
            print(err, file=sys.stderr)
            return 1
        finally:
            self.end()
        return 0

    def _on_signal(self, sign: int, _: object) -> None:
        self._told = sign

    def _again(self, child: Child) -> None:
        """Start a process again that has died. Raises Mistakes if that is of no use."""
        self._complain(f"the {child.name} ended with code {child.code}; started again")
        keys.note(self.folder.keys, "serve", f"ended with code {child.code}, started again", child.name)
        if child.dies_often(time.monotonic()):
            words = f"it died {len(child.deaths)} times within a minute; what it said last is in this file"
            raise Mistakes([Mistake(str(child.log), 0, child.name, f"code {child.code}", words)])
        child.end(0.1)
        if child is self._pools:
            self._other_addresses(self._emulate())
        elif child is self._admin:
            self._start_admin(self.admin_port)
        else:
            child.start(READY_S)
            self._tell_again(self._data.index(child))

    def _tell_again(self, k: int) -> None:
        """What was done to pools while a data process was away is done in it too."""
        try:
            if len(self._shares) > 1:
                workers.tell_again(self.folder, self._shares[k])
        except (NotServing, NotDone) as err:
            self._complain(f"the {self._data[k].name} was not told what became of pools meanwhile: {err}")

    def _other_addresses(self, addresses: Addresses) -> None:
        """Emulated pools have come back, at other ports."""
        terms = self._at(terms_of(self.folder.terms.read_bytes()), addresses)
        self._write(terms, self.port)
        for data, answer in zip(self._data, workers.answers(self.folder, "terms", text=terms.text()), strict=True):
            if isinstance(answer, Exception):
                self._complain(f"the {data.name} did not take the pools' addresses: {answer}")

    def end(self) -> None:
        """End all processes: the data processes first and all at once, when their answers have ended."""
        for data in self._data:
            data.tell(signal.SIGTERM)
        for data in self._data:
            data.end(self.how.drain_s + 10)
        self._admin.end(5)
        if self._pools is not None:
            self._pools.end(5)


def _called(share: Folder) -> str:
    return "data process" if share.worker is None else f"data process {share.worker}"


def _must_be_free(host: str, port: int, option: str) -> None:
    if not port:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as err:
            words = f"cannot listen on {host}: {err.strerror}; name another one, or 0 for any"
            raise Mistakes([Mistake("ampacity serve", 0, option, str(port), words)]) from err


def running(folder: Folder) -> dict[str, Any] | None:
    """The status of a service that runs from a folder, or None."""
    if not folder.shares()[0].settings.exists():
        return None
    try:
        return workers.status(folder)
    except (NotServing, NotDone):
        return None
