"""The kernel compiled beside: it is what a cell then runs, one process does it, and it is not started for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ampacity.base.compiled import cache_folder
from ampacity.journal.lock import hold
from ampacity.simulator import compile_ahead


def test_nothing_is_started_where_machine_code_is_kept() -> None:
    compile_ahead.compile_cell()
    ahead = compile_ahead.Ahead()
    ahead.start()
    assert ahead.process is None
    assert not ahead.goes_on
    ahead.wait()


def test_a_second_process_leaves_it_to_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPACITY_CACHE", str(tmp_path))
    held = hold(cache_folder() / "cell")
    ahead = compile_ahead.Ahead()
    ahead.start()
    assert ahead.process is not None
    assert ahead.process.wait(timeout=60) == 0
    assert not list(tmp_path.glob("kernels/*/__pycache__/kernel.run_cell-*.nbc"))
    if held is not None:
        held.close()
