"""Mistakes of a scenario, all at once: file, line, key, what was found, what belongs there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing that is wrong. line 0: not in the file (a whole file, or a `--set`)."""

    file: str
    line: int
    key: str
    found: str
    message: str

    def as_text(self) -> str:
        """Where and what on one line, why and what else on the next."""
        where = f"  line {self.line}  " if self.line else "  "
        found = f": {self.found}" if self.found else ""
        return f"{where}{_printable(self.key + found)}\n{' ' * len(where)}{_printable(self.message)}"


class Mistakes(ValueError):
    """A scenario that cannot be used; carries every mistake found."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__(self.as_text())

    def as_text(self) -> str:
        """All mistakes, grouped by file."""
        parts = []
        for file in dict.fromkeys(m.file for m in self.mistakes):
            own = [m for m in self.mistakes if m.file == file]
            count = "1 mistake" if len(own) == 1 else f"{len(own)} mistakes"
            parts.append(f"{file}: {count}\n\n" + "\n".join(m.as_text() for m in own))
        return "\n\n".join(parts)


def _printable(text: str) -> str:
    """Text from a file with nothing in it that would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def nearest(word: str, words: Iterable[str]) -> str:
    """A suggestion in words: the nearest of what would have been right, or a few of them."""
    known = sorted(str(w) for w in words)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'the nearest is "{close[0]}"'
    if not known:
        return "none is known here"
    return "known are " + ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
