"""The tables of `gateway.py` as Markdown: cost beside what each tool did for it, then rates, latencies and streams."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway_load import BURST, MANY, MESSAGES, ONE, PACED, Load
from gateway_peers import PEERS, installed
from gateway_tools import DIRECT, OURS, PASS_THROUGH, TOOLS, Tool

COST = "CPU us a request"
UNCHANGED = "bodies unchanged"
Found = dict[str, dict[str, Any]]


def conditions(peers: Path) -> dict[str, Any]:
    """Date, machine, versions."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": f"{os.cpu_count()} x {models[0].partition(': ')[2] if models else platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "wrk": wrk[1] if len(wrk) > 1 else "?",
        "versions": {name: installed(name, peers) for name in PEERS} | {"ampacity": version("ampacity")},
    }


def rows(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(header)
    return "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *map(list, lines)])


def cell(figures: dict[str, Any], load: Load, *names: str) -> str:
    """Figures of a load, separated by slashes; why there are none; how many requests failed."""
    of = figures[load.name]
    if "none" in of:
        return str(of["none"])
    failed = f" ({of['failed']:.0f} failed)" if of["failed"] else ""
    return " / ".join(number(of[name]) for name in names) + failed


def number(value: float) -> str:
    """Three digits."""
    return f"{float(f'{value:.3g}'):,.10g}"


def over(figures: dict[str, Any], base: dict[str, Any] | None, load: Load) -> str:
    """How many times the CPU of another."""
    if base is None or "none" in figures[load.name] or "none" in base[load.name]:
        return ""
    return number(figures[load.name][COST] / base[load.name][COST])


def version_of(tool: Tool, around: dict[str, Any]) -> str:
    """Of the tool's package."""
    if tool is DIRECT:
        return ""
    return str(around["versions"].get(tool.peer or "ampacity") or "")


def what_it_costs(found: Found, around: dict[str, Any]) -> str:
    """CPU, its ratio to ours, and what each did meanwhile."""
    base, bare = found.get(OURS), found.get(PASS_THROUGH)
    lines = []
    for tool in TOOLS:
        if tool.name not in found:
            continue
        one = found[tool.name]
        does = (tool.authentication, tool.limits, tool.journal, tool.metrics, tool.routing)
        same = "yes" if one[UNCHANGED] else "no"
        ratios = (over(one, base, MANY), over(one, bare, MANY))
        cost = cell(one, MANY, COST)
        lines.append((tool.name, version_of(tool, around), cost, *ratios, *does, same))
    does_what = ("authentication", "four windows, all or none", "journal", "metrics", "routing", "bytes as they came")
    ours = (f"over `{OURS}`", f"over `{PASS_THROUGH}`")
    return rows(("gateway", "version", "JSON c=32, CPU us a request", *ours, *does_what), lines)


def json_requests(found: Found) -> str:
    """Rates and latencies of answers in one piece."""
    lines = [
        (
            name,
            cell(one, MANY, "requests/s"),
            "" if name == DIRECT.name else cell(one, MANY, "busy share", "others' share"),
            cell(one, MANY, "p50 ms", "p99 ms"),
            cell(one, ONE, COST),
            cell(one, ONE, "p50 ms", "p99 ms"),
            cell(one, MESSAGES, COST),
            "" if name == DIRECT.name else number(one["start s"]),
            number(one["peak RSS MB"]),
        )
        for name, one in found.items()
    ]
    header = (
        "gateway",
        "c=32: requests/s",
        "its core: it / others",
        "p50 / p99 ms",
        "c=1: CPU us a request",
        "p50 / p99 ms",
    )
    return rows((*header, "/v1/messages c=32: CPU us", "start s", "peak RSS MB"), lines)


def streams(found: Found) -> str:
    """Streams of 64 deltas, at once and one every 10 ms."""
    lines = [
        (
            name,
            cell(one, BURST, COST, "CPU us a delta"),
            cell(one, BURST, "requests/s"),
            cell(one, PACED, COST, "CPU us a delta"),
            cell(one, PACED, "p50 ms", "p99 ms"),
        )
        for name, one in found.items()
    ]
    burst = ("burst c=16: CPU us a stream / a delta", "streams/s")
    return rows(("gateway", *burst, "paced c=100: CPU us a stream / a delta", "p50 / p99 ms"), lines)


def markdown(found: Found, around: dict[str, Any]) -> str:
    """All of it."""
    on = ", ".join(f"{name} {value}" for name, value in around.items() if name != "versions")
    parts = (what_it_costs(found, around), json_requests(found), streams(found))
    return "\n\n".join((*parts, f"One run of `benchmarks/gateway.py`: {on}."))
