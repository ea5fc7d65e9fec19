"""How many processors this process may use, which is what shared work is divided by."""

from __future__ import annotations

import os


def cores() -> int:
    """Processors that this process may use: PYTHON_CPU_COUNT if it is set, as Python 3.13 has it, else its affinity."""
    named = os.environ.get("PYTHON_CPU_COUNT", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):  # a container or `taskset` gives fewer than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
