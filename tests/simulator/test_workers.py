"""Who shares the looks of a fleet changes no byte of what they show: one process, two, or a cluster of Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from ampacity.scenario.load import load
from ampacity.simulator.estimate import Sample
from ampacity.simulator.fleet import Fleet, Workers, fleet, gathered, known, setting_of
from ampacity.simulator.strata import Look, every_look


@pytest.fixture(scope="module")
def laid_out(small_fleet: Path) -> Fleet:
    return fleet(setting_of(load(small_fleet), {}))


def bytes_of(sample: Sample) -> tuple[bytes, ...]:
    arrays = (sample.counts, sample.by_hour, sample.histograms, sample.busy_ps, sample.replica_ps, sample.good)
    arrays += (sample.whole.counts, sample.whole.histograms, sample.whole.good)
    return (*(a.tobytes() for a in arrays), sample.worked.tobytes(), repr((sample.busy_of, sample.seen)).encode())


def some(f: Fleet) -> list[Look]:
    return every_look(f.replicas, [12, 30])[:10]


def shared(f: Fleet, processes: Workers) -> tuple[bytes, ...]:
    return bytes_of(gathered(f, some(f), processes, None, 1, known(f, 48)))


def test_two_processes_show_what_one_does(laid_out: Fleet) -> None:
    assert shared(laid_out, 2) == shared(laid_out, 1)


def test_a_cluster_of_ray_shows_what_one_process_does(laid_out: Fleet) -> None:
    pytest.importorskip("ray", reason="without the extra `ray`")
    assert shared(laid_out, "ray") == shared(laid_out, 1)
