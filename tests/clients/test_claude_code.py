"""Claude Code, the real one from npm, against a served scenario."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@anthropic-ai/claude-code"
INSTALL_S, ANSWER_S = 240, 90


@pytest.fixture(scope="session")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed for this run."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, and Claude Code comes from there")
    folder = tmp_path_factory.mktemp("claude")
    installing = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), PACKAGE]
    try:
        done = subprocess.run(installing, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {PACKAGE} within {INSTALL_S} s")
    command = folder / "node_modules" / ".bin" / "claude"
    if done.returncode or not command.exists():
        pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return command


def run(claude: Path, served: Any, home: Path, key: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "ANTHROPIC_BASE_URL": served.url,
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_SMALL_FAST_MODEL": served.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "DISABLE_AUTOUPDATER": "1",
    }
    asking = [str(claude), "-p", "ping", "--model", served.model]
    return subprocess.run(
        asking, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_S
    )


def test_claude_code_is_answered_through_the_gateway(claude: Path, served: Any, tmp_path: Path, admin: Any) -> None:
    done = run(claude, served, tmp_path, served.keys["developers"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.split()) > 10
    assert "developers" in admin("status")


def test_claude_code_says_which_window_is_used_up(claude: Path, served: Any, tmp_path: Path) -> None:
    """Its prompt alone is longer than the window of a trial."""
    done = run(claude, served, tmp_path, served.keys["trial"])
    assert done.returncode != 0
    assert "five-hour window" in done.stdout + done.stderr
