"""Emulated pools to ask: one process of each kind for all tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pool_client import Pool

SCENARIO = """\
# One 8B model on a few accelerators: a process of it begins in seconds.
scenario: small
title: An 8B model on a few accelerators
start: 2026-11-23
sites:
  here:
    place: a room
    time_zone: America/Chicago
    power: {value: 4 MW, basis: server}
contracts:
  server:
    side: lessee
    supplier: a cloud
    start: 2026-11-23
    deliveries:
      - {site: here, accelerator: h100-sxm, quantity: 1}
placements:
  code: {model: llama-3.1-8b, accelerator: h100-sxm, precision: fp8, accelerators_per_replica: 1, alias: claude-code}
limits:
  team:
    windows:
      five-hour: {length: 5 h, refill: at-first-use}
tiers:
  developers: {people: 5, model: llama-3.1-8b, behaviour: coding-agent, limit: team}
"""


@pytest.fixture(scope="session")
def scenario_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emulated") / "small.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="session")
def emulated() -> Iterator[Callable[..., Pool]]:
    """Start emulated pools; all end with the tests."""
    started = []

    def start(scenario: Path, *sets: str) -> Pool:
        options = [part for text in sets for part in ("--set", text)]
        command = [sys.executable, "-m", "ampacity.emulation", str(scenario), *options]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        (line,) = json.loads(process.stdout.readline())["pools"]
        return Pool(process, line)

    yield start
    for process in started:
        process.terminate()
    for process in started:
        assert process.wait(10) == 0


@pytest.fixture(scope="session")
def one(emulated: Callable[..., Pool], scenario_file: Path) -> Pool:
    """A pool of one replica."""
    return emulated(scenario_file)


@pytest.fixture(scope="session")
def two(emulated: Callable[..., Pool], tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A pool of two replicas that run two sequences each."""
    path = tmp_path_factory.mktemp("emulated") / "small.yaml"
    path.write_text(SCENARIO.replace("quantity: 1", "quantity: 2"))
    return emulated(path, "placements.code.max_sequences=2")
