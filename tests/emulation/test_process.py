"""The process says what it serves in one line, and never outlives whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from pool_client import Pool

PARENT = """
import os, subprocess, sys
command = [sys.executable, "-m", "ampacity.emulation", sys.argv[1]]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_one_line_says_what_is_served(two: Pool) -> None:
    line = dict(two.line)
    assert line.pop("url").startswith("http://127.0.0.1:")
    assert line.pop("pace_ns") > 0
    assert line == {
        "name": "server/here/h100-sxm",
        "placement": "code",
        "model": "llama-3.1-8b",
        "alias": "claude-code",
        "replicas": 2,
        "slots": 4,
    }


def test_it_ends_when_its_parent_dies(scenario_file: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c", PARENT, str(scenario_file)], capture_output=True, text=True, check=False, timeout=60
    )
    pid = int(started.stdout)
    end = time.monotonic() + 5
    while running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not running(pid)


def running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has waited for is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_scenario_with_mistakes_is_refused_with_them(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("scenario: wrong\n")
    done = subprocess.run(
        [sys.executable, "-m", "ampacity.emulation", "wrong.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 1
    assert "mistakes" in done.stderr
    assert not done.stdout
