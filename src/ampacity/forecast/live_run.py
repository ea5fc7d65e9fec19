"""A run with real processes: emulated pools, a gateway before them, a load sent over sockets, things that happen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from ampacity.forecast.generator import Clients
from ampacity.forecast.happenings import Happening, PoolFails, PoolGoes, TermsChange
from ampacity.forecast.load import Load
from ampacity.forecast.met import Met
from ampacity.forecast.plain_terms import at_addresses
from ampacity.gateway.keys import TABLES, hashed
from ampacity.policy.terms import Terms, terms_of

START_S, END_S = 30.0, 20.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class LiveRun:
    """What was measured. journal: of the gateway. met: by the clients. cpu_s: of the gateway's process, the pools'."""

    journal: Path
    met: tuple[Met, ...]
    gateway_cpu_s: float
    pools_cpu_s: float


def key_of(subscriber: int) -> str:
    """The key of a subscriber of such a run; it opens nothing else."""
    return f"sk-forecast-{subscriber}"


def live_run(
    scenario: Path, sets: tuple[str, ...], terms: Terms, load: Load, happenings: tuple[Happening, ...], folder: Path
) -> LiveRun:
    """Start everything, send the load, end everything. terms: with any addresses; the pools' are put in their place."""
    options = [part for text in sets for part in ("--set", text)]
    with _process("ampacity.emulation", str(scenario), *options) as (pools, line):
        urls = {p["name"]: p["url"] for p in json.loads(line)["pools"]}
        settings = _settings(at_addresses(terms, urls), load, folder)
        with _process("ampacity.gateway", str(settings)) as (gateway, told):
            port = json.loads(told)["port"]
            met = uvloop.run(_send(load, happenings, port, urls, folder / "control"))
            cpu = _cpu_s(gateway.pid), _cpu_s(pools.pid)
    return LiveRun(folder / "run.journal", met, *cpu)


def _settings(terms: Terms, load: Load, folder: Path) -> Path:
    """Terms, keys and settings of the gateway, in files."""
    (folder / "terms.json").write_text(terms.text(), encoding="utf-8")
    with sqlite3.connect(folder / "keys") as db:
        db.executescript(TABLES)
        for who, tier in load.tier_of.items():
            db.execute("INSERT INTO subscriber VALUES (?, ?, ?, 0)", (who, f"subscriber {who}", tier))
            own = hashed(key_of(who).encode())
            db.execute("INSERT INTO key VALUES (?, ?, '', 'sk-...', 0, NULL)", (own, who))
    db.close()
    settings = folder / "settings.json"
    files = {name: str(folder / file) for name, file in _FILES.items()}
    settings.write_text(json.dumps({**files, "port": 0, "parent": os.getpid()}), encoding="utf-8")
    return settings


_FILES = {"terms": "terms.json", "journal": "run.journal", "keys": "keys", "control": "control"}


@contextmanager
def _process(module: str, *args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that says a line when it serves; it is ended after."""
    command = [sys.executable, "-m", module, *args]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise OSError(f"{module} did not start")
        yield process, line
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


async def _send(
    load: Load, happenings: tuple[Happening, ...], port: int, urls: dict[str, str], control: Path
) -> tuple[Met, ...]:
    loop = asyncio.get_running_loop()
    clients = Clients(load, HOST, port, key_of)
    done: list[asyncio.Future[None]] = []

    def begin(h: Happening) -> None:
        done.append(loop.run_in_executor(None, _do, h, urls, control))

    for h in happenings:
        loop.call_later(h.at_ms / 1000, begin, h)
    met = await clients.run()
    await asyncio.gather(*done)
    return met


def _do(h: Happening, urls: dict[str, str], control: Path) -> None:
    """Let something happen."""
    if isinstance(h, PoolFails):
        with urllib.request.urlopen(f"{urls[h.pool]}/emulation/fault", msgspec.json.encode(h.fault), timeout=10):
            return
    if isinstance(h, TermsChange):
        _ask(control, do="terms", text=at_addresses(terms_of(h.terms), urls).text())
    elif isinstance(h, PoolGoes):
        now_ms = _ask(control, do="status")["now_ms"]
        _ask(control, do="pool", pool=h.pool, action="drain", deadline_ms=now_ms + h.deadline_ms)
    else:
        _ask(control, do="pool", pool=h.pool, action="reopen")


def _ask(control: Path, **what: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(control))
        connection.sendall(json.dumps(what).encode() + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile().readline())
    if not answer["ok"]:
        raise OSError(str(answer["error"]))
    return answer


def _cpu_s(pid: int) -> float:
    """What a process has used of processors; 0 where nobody says. [s]"""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
