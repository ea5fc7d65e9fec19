"""A served scenario with emulated pools, and keys of its subscribers: what real clients are tried against."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCENARIO = """
scenario: small
start: 2026-11-23
horizon: 4 weeks
worlds: 1
service_level: {hours: 99 %, tpot: 50 ms}
sites: {here: {time_zone: UTC, power: {value: 12 kW, basis: server}, pue: 1.2, carbon: tva, electricity: 90 USD/MWh}}
contracts:
  server:
    start: 2026-11-23
    deliveries: [{site: here, accelerator: h100-sxm, quantity: 1}]
    fee: {monthly: 2000 USD/month}
placements: {small: {model: llama-3.1-8b, accelerator: h100-sxm, precision: bf16}}
limits:
  wide:
    windows:
      five-hour: {length: 5 h, tokens: 90 Mtoken}
      requests: {length: 1 min, refill: evenly, requests: 60}
  narrow: {windows: {five-hour: {length: 5 h, tokens: 400 token}}}
  one-at-once: {windows: {parallel: {refill: in-flight, requests: 1}, five-hour: {length: 5 h, tokens: 9 Mtoken}}}
tiers:
  developers: {people: 20, model: llama-3.1-8b, limit: wide, behaviour: coding-agent}
  trial: {people: 2, model: llama-3.1-8b, limit: narrow, behaviour: coding-agent}
  single: {people: 2, model: llama-3.1-8b, limit: one-at-once, behaviour: coding-agent}
"""


@dataclass(frozen=True)
class Served:
    """A running service: its address, and a key of each tier."""

    url: str
    keys: dict[str, str]
    model: str
    folder: Path


def command(*args: str) -> list[str]:
    return [sys.executable, "-c", "from ampacity.cli import main; main()", *args]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`ampacity serve small.yaml --emulate`, with a subscriber in each tier."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "small.yaml").write_text(SCENARIO)
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    starting = command("serve", "small.yaml", "--emulate", "--port", "0", "--admin-port", "0")
    process = subprocess.Popen(
        starting, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    try:
        found = re.search(r"gateway\s+(http://\S+)", "".join(said))
        assert found, "".join(said)
        keys = {}
        for tier in ("developers", "trial", "single"):
            adding = command("serve", "small.yaml", "--admin", "keys", "add", f"one-of-{tier}", "--tier", tier)
            done = subprocess.run(adding, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
            key = re.search(r"sk-amp-\S+", done.stdout)
            assert key, done.stdout + done.stderr
            keys[tier] = key.group().rstrip(",;.)")
        yield Served(found.group(1), keys, "llama-3.1-8b", folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def admin(served: Served) -> Callable[..., str]:
    """`admin("explain", "one-of-trial")`: what an operator's words give."""

    def run(*words: str) -> str:
        asking = command("serve", "small.yaml", "--admin", *words)
        done = subprocess.run(asking, cwd=served.folder, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    return run
