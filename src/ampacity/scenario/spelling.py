"""Names that people type about serving, as the catalog spells them; wrong ones are answered with right ones.

Upper and lower case are one. Mistakes are gathered name after name, so that all are told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from ampacity.scenario import lookup
from ampacity.scenario.engine import Engine, KvPrecision, Precision
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest

SIMILAR = 4
"""Names that a suggestion lists at most."""


@dataclass
class Spelling:
    """Reads one name after another. where: what the mistakes are of, such as a command. wrong: those found so far.

    Every reader takes the name, and the key that a mistake shows; a wrong name comes back as it is.
    """

    where: str
    wrong: list[Mistake] = field(default_factory=list)

    def model(self, name: str | None, key: str = "model") -> str:
        """A model of the catalog. Newer ones are suggested first."""
        names = sorted(lookup.model_names(), key=lambda k: lookup.model(k).get("released", ""), reverse=True)
        if name is not None and name.lower() in lookup.accelerator_names():
            return self._other(key, name, "an accelerator")
        return self._one(key, name, names, "ampacity show models")

    def accelerator(self, name: str | None, key: str = "accelerator") -> str:
        """An accelerator of the catalog."""
        if name is not None and name.lower() in lookup.model_names():
            return self._other(key, name, "a model")
        return self._one(key, name, lookup.accelerator_names(), "ampacity show accelerators")

    def engine(self, name: str, key: str = "engine") -> str:
        """An engine."""
        return self._one(key, name, get_args(Engine))

    def precision(self, name: str, key: str = "precision") -> str:
        """A precision of weights."""
        return self._one(key, name, get_args(Precision))

    def kv_precision(self, name: str, key: str) -> str:
        """A precision of the KV cache."""
        return self._one(key, name, get_args(KvPrecision))

    def check(self) -> None:
        """Raises Mistakes if any name was wrong."""
        if self.wrong:
            raise Mistakes(self.wrong)

    def _one(self, key: str, name: str | None, known: Sequence[str], listed_by: str = "") -> str:
        found = {k.lower(): k for k in known}.get((name or "").lower())
        if found is None:
            why = _like(name, known) if name and name.strip() else "missing; " + nearest("", known)
            more = f" ({listed_by} lists all)" if why.endswith("...") and listed_by else ""
            self.wrong.append(Mistake(self.where, 0, key, name or "", why + more))
        return found or name or ""

    def _other(self, key: str, name: str, kind: str) -> str:
        order = "" if key.startswith("--") else "; the model comes first, then accelerators"
        self.wrong.append(Mistake(self.where, 0, key, name, f"that is {kind}{order}"))
        return name


def _like(name: str, known: Sequence[str]) -> str:
    """What belongs there: the names that have all its parts, or the nearest."""
    like = [k for k in known if all(part in k for part in name.lower().split("-"))]
    if len(like) > 1:
        return "nothing of that name; like it are " + ", ".join(f'"{k}"' for k in like[:SIMILAR])
    return "nothing of that name; " + (f'the nearest is "{like[0]}"' if like else nearest(name.lower(), known))
