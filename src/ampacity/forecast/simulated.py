"""What `ampacity simulate --json` says of each tier, of all its models together: what traffic is held against."""

from __future__ import annotations

from pathlib import Path

import msgspec

NAME = "simulated.json"


class _Record(msgspec.Struct):
    scenario_hash: str


class _Times(msgspec.Struct):
    """Of a tier and a model, over the requests that were answered."""

    tier: str
    answered: int
    ttft_p50_s: float | None
    ttft_p99_s: float | None


class _Refused(msgspec.Struct):
    tier: str
    refused_attempts: int
    overloaded_attempts: int


class _OfWindow(msgspec.Struct):
    tier: str
    window: str
    refused_attempts: int


class _Refusals(msgspec.Struct):
    tier: list[_Refused]
    window: list[_OfWindow] = []


class OfTier(msgspec.Struct, frozen=True):
    """A tier. refused_share: of all attempts, by windows or for want of capacity; by_window: by each, of all attempts.

    ttft_p50_ms, ttft_p99_ms: of its answers; None where several models have each their own. [ms]
    """

    tier: str
    refused_share: float | None
    by_window: dict[str, float]
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None


class Simulated(msgspec.Struct):
    """Of the JSON of a simulation what is compared."""

    record: _Record
    slo: list[_Times]
    refusals: _Refusals

    def tiers(self) -> list[OfTier]:
        """Each tier once, in their order."""
        return [self._tier(name) for name in dict.fromkeys(t.tier for t in self.slo)]

    def _tier(self, name: str) -> OfTier:
        times = [t for t in self.slo if t.tier == name]
        refused = sum(r.refused_attempts + r.overloaded_attempts for r in self.refusals.tier if r.tier == name)
        tried = refused + sum(t.answered for t in times)
        by_window: dict[str, float] = {}
        for w in self.refusals.window:
            if w.tier == name and tried:
                by_window[w.window] = by_window.get(w.window, 0.0) + w.refused_attempts / tried
        only = times[0] if len(times) == 1 else None
        return OfTier(
            tier=name,
            refused_share=refused / tried if tried else None,
            by_window=by_window,
            ttft_p50_ms=_ms(only.ttft_p50_s) if only else None,
            ttft_p99_ms=_ms(only.ttft_p99_s) if only else None,
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def simulated_in(folder: Path) -> Simulated | None:
    """The simulation in a folder; None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Simulated)
    except (OSError, msgspec.MsgspecError):
        return None
