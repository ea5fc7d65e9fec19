"""Failures while writing: words, a non-zero exit, and nothing half-written."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.base.files import write_whole


def test_a_missing_folder_is_named(ampacity: Callable[..., Any]) -> None:
    done = ampacity("plan", "laptop", "--set", "worlds=1", "--json", "nowhere/out.json")
    assert done.returncode == 1
    assert "nowhere/out.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_over_a_folder_is_refused_in_words(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "laptop.html").mkdir()
    done = ampacity("run", "laptop", "--set", "worlds=1")
    assert done.returncode == 1
    assert "laptop.html" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_an_error_in_words(ampacity: Callable[..., Any]) -> None:
    done = ampacity("plan", "laptop", "--set", "worlds=1", "--json", "/dev/full", "--quiet")
    assert done.returncode == 1
    assert "/dev/full" in done.stderr
    assert "Traceback" not in done.stderr


def test_devices_are_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = f'"{sys.executable}" -c "from ampacity.cli import main; main()" show accelerators | head -1'
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
