"""Starting the processes of a live service, watching them, and ending them: emulated pools, data, admin.

The data process is started again if it dies: its journal makes that harmless. Pools and admin likewise.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ampacity.base.files import write_whole
from ampacity.console import keys
from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.folder import Folder, read_json, write_json
from ampacity.console.planned import NotPlanned, Planned, Planning
from ampacity.console.republish import Republishing
from ampacity.console.terms import Addresses, at_addresses
from ampacity.policy.terms import Terms, terms_of
from ampacity.scenario.mistakes import Mistake, Mistakes

READY_S = 60.0  # an emulated pool compiles its engine once for each version
COMPILED_S = 240.0
LOOK_S = 0.2
LOOKS_A_POOL = 10  # looks at processes between two looks at pools
DRAIN_S = 30.0
DEATHS_MOST, DEATHS_IN_S = 5, 60.0
TAIL = 2000  # characters of a log that are told when a process cannot start
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


@dataclass
class Child:
    """A process of the service. deaths: when it died, by a clock that does not step [s]."""

    name: str
    command: Sequence[str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self, ready_s: float) -> dict[str, Any]:
        """Start it, and what it says when it is ready. Raises Mistakes with the end of its log."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        line = _first_line(self.running, ready_s)
        if not line:
            self.end(2.0)
            tail = self.log.read_text(encoding="utf-8", errors="replace").strip()[-TAIL:]
            raise Mistakes([Mistake(str(self.log), 0, self.name, "did not start", tail or "it said nothing")])
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def code(self) -> int | None:
        """How it ended, or None while it runs."""
        return None if self.running is None else self.running.poll()

    def tell(self, sign: int) -> None:
        """Send it a signal, if it runs."""
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(sign)

    def end(self, patience_s: float) -> None:
        """Tell it to end and wait; what does not end by then is killed."""
        if self.running is None:
            return
        if self.running.stdin is not None:
            self.running.stdin.close()
        self.tell(signal.SIGTERM)
        try:
            self.running.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait(5)
        if self.running.stdout is not None:
            self.running.stdout.close()

    def dies_often(self, now_s: float) -> bool:
        """Note a death; whether there were too many of late to try again."""
        self.deaths = [d for d in self.deaths if now_s - d < DEATHS_IN_S] + [now_s]
        return len(self.deaths) > DEATHS_MOST


class Service:
    """A live service: its folder, its processes. say, complain: to whoever started it."""

    def __init__(self, folder: Folder, how: How, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
        self.folder, self.how, self._say, self._complain = folder, how, say, complain
        self.port = self.admin_port = 0
        self.demo: str | None = None
        self._planned: Planned | None = None
        self._told: int | None = None
        run = [sys.executable, "-m"]
        self._data = Child("data process", [*run, "ampacity.gateway", str(folder.settings)], folder.log("gateway"))
        self._admin = Child("admin process", [*run, "ampacity.console.admin", str(folder.path)], folder.log("admin"))
        sets = [part for pair in how.sets for part in ("--set", pair)]
        emulation = [*run, "ampacity.emulation", how.scenario, *sets, "--port", "0"]
        self._pools = Child("emulated pools", emulation, folder.log("pools")) if how.emulate else None

    def start(self) -> None:
        """Check and plan the scenario, start everything, and return when it answers. Raises Mistakes, NotPlanned."""
        how = self.how
        _must_be_free(how.host, how.port, "--port")
        _must_be_free(how.admin_host, how.admin_port, "--admin-port")
        planning = Planning(how.scenario, how.sets, how.seed, emulate=how.emulate)
        try:
            self._say(planning.title())
            self.folder.make()
            there = Path(how.scenario)
            scenario = str(there.absolute()) if there.exists() else how.scenario
            write_json(self.folder.how, {"scenario": scenario, "sets": list(how.sets), "seed": how.seed})
            terms = self._terms(planning)
            self._write(terms, how.port)
            self.port = int(self._data.start(READY_S)["port"])
            self._write(terms, self.port)
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
        folder = self.folder
        write_whole(folder.terms, terms.text())
        folder.terms.chmod(0o600)
        settings = {
            "terms": str(folder.terms),
            "journal": str(folder.journal),
            "keys": str(folder.keys),
            "control": str(folder.control),
            "host": self.how.host,
            "port": port,
            "durability": self.how.durability,
            "drain_s": self.how.drain_s,
            "parent": os.getpid(),
        }
        write_json(folder.settings, settings)

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
        ask(self.folder.control, "keys")

    def watch(self) -> int:
        """Serve until told to end; the exit code."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._on_signal)
        republishing, looks = Republishing(self.folder, self._planning, self._complain), 0
        try:
            while self._told is None:
                time.sleep(LOOK_S)
                if self._data.code == 0:  # an operator has stopped it
                    return 0
                for child in (self._pools, self._data, self._admin):
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

    def _other_addresses(self, addresses: Addresses) -> None:
        """Emulated pools have come back, at other ports."""
        terms = self._at(terms_of(self.folder.terms.read_bytes()), addresses)
        self._write(terms, self.port)
        try:
            ask(self.folder.control, "terms", text=terms.text())
        except (NotServing, NotDone) as err:
            self._complain(f"the data process did not take the pools' addresses: {err}")

    def end(self) -> None:
        """End all processes: the data process first, when its answers have ended."""
        self._data.end(self.how.drain_s + 10)
        self._admin.end(5)
        if self._pools is not None:
            self._pools.end(5)


def _first_line(process: subprocess.Popen[bytes], patience_s: float) -> bytes:
    """What a process says first; nothing if it ends before, or not in time."""
    assert process.stdout is not None
    until_s = time.monotonic() + patience_s
    said = b""
    while b"\n" not in said and (left_s := until_s - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], min(left_s, LOOK_S))[0]:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                return b""
            said += piece
    return said if b"\n" in said else b""


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
    if not folder.settings.exists():
        return None
    try:
        return ask(Path(read_json(folder.settings)["control"]), "status")
    except (NotServing, NotDone):
        return None
