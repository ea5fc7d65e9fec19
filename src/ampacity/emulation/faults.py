"""Faults on demand: what a pool is told to do wrong, for how long, and to which share of its requests."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Kind = Literal["refuse", "error", "overloaded", "stall", "slow", "cut", "kill"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /emulation/fault` asks for.

    kind: refuse (connections are closed as they come), error (500), overloaded (529 or 503), stall (requests are taken
    and nothing is sent), slow (iterations take `factor` times as long), cut (connections close in the middle of a
    stream), kill (the replica with most to do dies and comes back). seconds: for how long. share: of the requests; of
    the connections with refuse, of the replicas with slow; of no matter with kill. [0 to 1]
    """

    kind: Kind
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 5.0
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    factor: Annotated[float, msgspec.Meta(ge=1, le=16)] = 4.0


class Faults:
    """The faults that hold now: of each kind the one that was asked for last."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}

    def begin(self, fault: Fault, now_s: float) -> None:
        """Let a fault hold from now on."""
        self._until[fault.kind] = (now_s + fault.seconds, fault.share)

    def hits(self, kind: Kind, luck: float, now_s: float) -> bool:
        """Whether a fault holds now for whoever has that luck, drawn from 0 to 1."""
        if kind not in self._until:  # hardly ever is there a fault, and this is asked for every token
            return False
        until_s, share = self._until[kind]
        return now_s < until_s and luck < share
