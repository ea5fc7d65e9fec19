"""How benchmarks measure and print: CPU seconds and ratios first, then versions and machine."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any


def parser(description: str) -> argparse.ArgumentParser:
    """--smoke: under a minute, ours only; --json FILE. For a script that adds options of its own."""
    taken = argparse.ArgumentParser(description=description)
    taken.add_argument("--smoke", action="store_true", help="a short run that shows that the script works")
    taken.add_argument("--json", type=Path, help="write the figures there too")
    return taken


def arguments(description: str) -> argparse.Namespace:
    """What was asked for, of a script with no more options than those."""
    return parser(description).parse_args()


def cpu_s(function: Callable[[], Any], repeats: int) -> float:
    """Least processor seconds of this process over some repeats."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        function()
        best = min(best, time.process_time() - began)
    return best


def command_s(command: list[str], repeats: int, cwd: Path | None = None) -> tuple[float, float]:
    """Least processor and wall seconds of a command, children counted."""
    cpu, wall = float("inf"), float("inf")
    for _ in range(repeats):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = min(wall, time.perf_counter() - began)
        cpu = min(cpu, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return cpu, wall


def publish(subject: str, figures: dict[str, Any], to: Path | None) -> None:
    """Print figures, one a line, and what they were measured on."""
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in ("ampacity", "numpy", "scipy", "polars", "pydantic")},
    }
    print(subject)
    for name, value in figures.items():
        print(f"  {name:<58} {value:.4g}" if isinstance(value, float) else f"  {name:<58} {value}")
    print("  on " + ", ".join(f"{k} {v}" for k, v in machine.items()))
    if to is not None:
        to.write_text(json.dumps({"subject": subject, "figures": figures, "machine": machine}, indent=2) + "\n")
