"""Whom the windows of a tier hit on today's use, and which of them binds."""

from __future__ import annotations

from ampacity.demand.at_limit import Met

BINDS_ABOVE = 1e-3
"""A window binds if it stops more than this share of people in a week."""


def served_share(met: Met | None) -> float:
    """Share of the tokens wanted that people get from this model in the end, some of them bought. [0 to 1]"""
    return 1.0 - (met.lost + met.switched) / met.wanted if met is not None and met.wanted else 1.0


def binding_window(met: Met | None) -> str:
    """The window that stops most people in a week, if it stops a share of them worth telling; else ""."""
    if met is None or not met.windows:
        return ""
    window = max(met.windows, key=met.hit_by)
    return window if met.hit_by(window) > BINDS_ABOVE else ""
