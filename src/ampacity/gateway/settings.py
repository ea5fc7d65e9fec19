"""How a data process serves, as whoever starts it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ampacity.journal.opening import Durability

FIRST_BYTE_S = 600.0
SILENCE_S = 120.0


@dataclass(frozen=True)
class Settings:
    """How a process serves. first_byte_s, silence_s: how long a pool may be silent before and in an answer [s].

    worker, workers: which of how many processes on one port this is. peers: the folder where they hand connections to
    each other; leases: the file by which they share the slots of pools.
    """

    journal: Path
    keys: Path
    host: str = "127.0.0.1"
    port: int = 8080
    durability: Durability = "normal"
    control: Path | None = None
    first_byte_s: float = FIRST_BYTE_S
    silence_s: float = SILENCE_S
    worker: int = 0
    workers: int = 1
    peers: Path | None = None
    leases: Path | None = None
