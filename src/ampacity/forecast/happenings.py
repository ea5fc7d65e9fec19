"""What is done to a run from outside, and when: faults of pools, pools that go and come, other terms."""

from __future__ import annotations

import msgspec

from ampacity.emulation.faults import Fault

FORETOLD = ("slow", "overloaded", "error", "kill")
"""Kinds of fault that a forecast knows; others are of connections, which it does not have."""


class PoolFails(msgspec.Struct, frozen=True, tag="fault"):
    """An emulated pool does something wrong from an instant on. pool: its name in the terms."""

    at_ms: int
    pool: str
    fault: Fault


class PoolGoes(msgspec.Struct, frozen=True, tag="drain"):
    """A pool takes nothing new from an instant on, and is gone after `deadline_ms` more."""

    at_ms: int
    pool: str
    deadline_ms: int


class PoolReopens(msgspec.Struct, frozen=True, tag="reopen"):
    """A pool takes requests again."""

    at_ms: int
    pool: str


class TermsChange(msgspec.Struct, frozen=True, tag="terms"):
    """Other terms come into force. terms: their text, with the addresses of pools left as they were."""

    at_ms: int
    terms: str


Happening = PoolFails | PoolGoes | PoolReopens | TermsChange


def not_foretold(happenings: tuple[Happening, ...]) -> list[str]:
    """Those that no forecast knows, in words."""
    return [
        f"a fault {h.fault.kind!r} of pool {h.pool}: a forecast knows {', '.join(FORETOLD)}"
        for h in happenings
        if isinstance(h, PoolFails) and h.fault.kind not in FORETOLD
    ]
