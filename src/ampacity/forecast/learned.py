"""What a forecast learns from a journal: a few factors in a file, which the next forecast takes up."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ampacity.base.files import write_whole


class Learned(msgspec.Struct, frozen=True):
    """Factors. 1 and 0 say that nothing was learned.

    pace: how many times as long a pool's iterations take as the serving model says. more_ms: what a request takes
    beside the engine, more than was known [ms]. demand: how many times as often people ask. because: in sentences.
    """

    pace: float = 1.0
    more_ms: float = 0.0
    demand: float = 1.0
    because: tuple[str, ...] = ()


NOTHING_LEARNED = Learned()


def read_learned(path: Path) -> Learned:
    """From a file. Raises OSError, and ValueError if it is no such file."""
    return msgspec.json.decode(path.read_bytes(), type=Learned)


def write_learned(path: Path, learned: Learned) -> None:
    """To a file."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(learned), indent=1) + b"\n")
