"""Availability of nodes that fail and are restored, and of groups that need all their nodes."""

from __future__ import annotations

ACCELERATORS_PER_NODE = 8


def node_availability(failure_rate_per_s: float, restore_s: float) -> float:
    """Long-run share of time in which a node serves: MTBF / (MTBF + restore). [0 to 1]

    failure_rate_per_s: failures per node and second of service, >= 0. restore_s: mean time until it serves again.
    """
    return 1.0 / (1.0 + failure_rate_per_s * restore_s)


def nodes_of(accelerators: int) -> int:
    """Nodes that a group of accelerators spans, at least one."""
    return max(1, -(-accelerators // ACCELERATORS_PER_NODE))
