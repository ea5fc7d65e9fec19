"""The announcement's scenario as the mission tests run it: one command, as known on its day, with few worlds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Answer = Callable[..., Any]


@pytest.fixture(scope="session")
def announced(answered: Answer) -> Any:
    """What `ampacity run colossus-1 --as-of 2026-05-06` answers, over 40 worlds and before its requests are sampled."""
    return answered("run", "colossus-1", "--as-of", "2026-05-06", "--set", "worlds=40", "--cells", "0")


@pytest.fixture(scope="session")
def later(answered: Answer) -> Any:
    """The same as known on 20 November 2026."""
    return answered("run", "colossus-1", "--as-of", "2026-11-20", "--set", "worlds=40", "--cells", "0")


@pytest.fixture(scope="session")
def served(answered: Answer) -> Any:
    """What `ampacity show serving` answers for one model on seven accelerators of four vendors."""
    chips = ("h100-sxm", "h200-sxm", "b200-sxm", "a100-sxm", "tpu-v7", "trainium2", "mi300x")
    return answered("show", "serving", "llama-3.1-70b", *chips)


@pytest.fixture(scope="session")
def schemes_compared(answered: Answer) -> Any:
    """What `ampacity compare 2026-03-26 2026-05-06` answers, over 20 worlds."""
    return answered("compare", "2026-03-26", "2026-05-06", "--worlds", "20", "--people", "1500")


@pytest.fixture(scope="session")
def taken_back(answered: Answer) -> Callable[[str], Any]:
    """What `ampacity simulate colossus-1 --event reclaim:colossus-1 --notice NOTICE` answers, in a quiet hour."""
    event = ("simulate", "colossus-1", "--as-of", "2026-05-06", "--event", "reclaim:colossus-1", "--at", "124")
    return lambda notice: answered(*event, "--cells", "1", "--notice", notice)["rehearsal"]


@pytest.fixture(scope="session")
def fleet_looked_at(answered: Answer) -> Callable[..., Any]:
    """What `ampacity simulate colossus-1` answers of its fleet, a cell of each pool, with keys changed."""
    command = ("simulate", "colossus-1", "--as-of", "2026-05-06", "--cells", "1")
    return lambda *sets: answered(*command, *(word for s in sets for word in ("--set", s)))["fleet"]
