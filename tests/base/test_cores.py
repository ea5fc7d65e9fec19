"""How many processors are shared work's: a stated number, else those that this process may run on."""

from __future__ import annotations

import os

import pytest

from ampacity.base.cores import cores


def test_a_stated_number_counts_and_what_is_no_number_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_CPU_COUNT", "7")
    assert cores() == 7
    monkeypatch.delenv("PYTHON_CPU_COUNT")
    own = cores()
    for nothing in ("", "0", "default", "-3"):
        monkeypatch.setenv("PYTHON_CPU_COUNT", nothing)
        assert cores() == own


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system tells no affinity")
def test_processors_that_a_process_may_not_run_on_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    before = os.sched_getaffinity(0)
    assert cores() == len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
