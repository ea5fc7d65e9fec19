"""The announcement's scenario as the mission tests run it: one command, as known on its day, with few worlds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@cache
def _run(folder: Path, *args: str) -> Any:
    command = [sys.executable, "-c", "from ampacity.cli import main; main()", *args, "--json", "-"]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def announced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `ampacity run colossus-1 --as-of 2026-05-06` answers, over 40 worlds and before its requests are sampled."""
    folder = tmp_path_factory.mktemp("mission")
    return _run(folder, "run", "colossus-1", "--as-of", "2026-05-06", "--set", "worlds=40", "--cells", "0")


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same as known on 20 November 2026."""
    folder = tmp_path_factory.mktemp("mission")
    return _run(folder, "run", "colossus-1", "--as-of", "2026-11-20", "--set", "worlds=40", "--cells", "0")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `ampacity show serving` answers for one model on seven accelerators of four vendors."""
    chips = ("h100-sxm", "h200-sxm", "b200-sxm", "a100-sxm", "tpu-v7", "trainium2", "mi300x")
    return _run(tmp_path_factory.mktemp("mission"), "show", "serving", "llama-3.1-70b", *chips)


@pytest.fixture(scope="session")
def schemes_compared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `ampacity compare 2026-03-26 2026-05-06` answers, over 20 worlds."""
    folder = tmp_path_factory.mktemp("mission")
    return _run(folder, "compare", "2026-03-26", "2026-05-06", "--worlds", "20", "--people", "1500")


@pytest.fixture(scope="session")
def taken_back(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What `ampacity simulate colossus-1 --event reclaim:colossus-1 --notice NOTICE` answers, in a quiet hour."""
    folder = tmp_path_factory.mktemp("mission")
    event = ("simulate", "colossus-1", "--as-of", "2026-05-06", "--event", "reclaim:colossus-1", "--at", "124")
    return lambda notice: _run(folder, *event, "--cells", "1", "--notice", notice)["rehearsal"]


@pytest.fixture(scope="session")
def fleet_looked_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """What `ampacity simulate colossus-1` answers of its fleet, a cell of each pool, with keys changed."""
    folder = tmp_path_factory.mktemp("mission")
    command = ("simulate", "colossus-1", "--as-of", "2026-05-06", "--cells", "1")
    return lambda *sets: _run(folder, *command, *(word for s in sets for word in ("--set", s)))["fleet"]
