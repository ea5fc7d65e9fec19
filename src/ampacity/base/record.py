"""What a result says of itself: which scenario, which seed, which program, at what cost of computing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Record:
    """The birth certificate of a result.

    scenario_hash: hash of everything the scenario says after `extends` and `--set`; as_of: what was known that day;
    worlds: draws from the ranges (1 = none); cpu_s: processor seconds that the result took.
    """

    scenario: str
    scenario_hash: str
    seed: int
    worlds: int
    version: str
    as_of: date | None = None
    cpu_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for Parquet metadata."""
        return {**asdict(self), "as_of": self.as_of.isoformat() if self.as_of else None}
