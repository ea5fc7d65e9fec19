"""What a gateway before a model server costs: CPU microseconds a request, ours and others' in one run.

Every gateway runs on one core; wrk and a compiled mock model server (`gateway_mock.c`) share another. CPU is that of
the gateway's processes over completed requests; rates and latencies are those of this machine, so look at them beside
`direct`, which is the mock alone. Of several repeats the one with the least CPU counts. A tool that is not installed
is skipped (`gateway_peers.py --install`). Needs wrk, gcc and taskset, two cores, Linux.

    python benchmarks/gateway.py [--tools NAME ...] [--peers DIR] [--repeats N] [--json FILE] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gateway_load import ANTHROPIC, LOADS, OPENAI, Load, measured, peak_rss_mb
from gateway_peers import FOLDER
from gateway_table import UNCHANGED, conditions, markdown
from gateway_tools import DIRECT, OURS, PASS_THROUGH, TOOLS, Place, SkipTool, Started, Tool, build_mock, start_mock
from measure import parser

READY_S = 120


def ready(tool: Tool, running: Started, until: float) -> None:
    """Wait for its first answer."""
    while time.monotonic() < until and running.process.poll() is None:
        try:
            if running.endpoint.ask(OPENAI, stream=False)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.01)
    ended = running.process.poll()
    raise SkipTool(f"no answer in {READY_S} s" if ended is None else f"{tool.name} ended with {ended}")


@contextmanager
def running(tool: Tool, mock: Path, paced: bool, peers: Path) -> Iterator[tuple[Started, Started, float, Path]]:
    """A tool over two mocks: itself, a mock, the seconds to its first answer, its folder. Everything is ended after."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mocks = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            mocks.append(start_mock(mock, paced, folder / name))
            stack.callback(mocks[-1].stop)
            ready(DIRECT, mocks[-1], time.monotonic() + 5)
        began = time.monotonic()
        started = tool.start(Place((mocks[0], mocks[1]), folder, peers))
        stack.callback(started.stop)
        try:
            ready(tool, started, began + READY_S)
        except SkipTool as no:
            raise SkipTool(f"{no}: {(folder / 'log').read_text(errors='replace')[-300:]}") from no
        yield started, mocks[0], time.monotonic() - began, folder


def unchanged(through: Started, mock: Started) -> bool:
    """Whether answers come through as the mock gave them, byte for byte, in every form that the tool speaks."""
    for form in (OPENAI, ANTHROPIC):
        for stream in (False, True):
            status, body = through.endpoint.ask(form, stream) if through.endpoint.path(form) else (404, b"")
            if status == 200 and body != mock.endpoint.ask(form, stream)[1]:
                return False
    return True


def one_load(tool: Started, load: Load, seconds: float, folder: Path) -> dict[str, Any]:
    """Figures of a load, or why there are none."""
    if tool.endpoint.path(load.path) is None:
        return {"none": "not spoken"}
    status, _ = tool.endpoint.ask(load.path, load.stream)
    if status != 200:
        return {"none": f"HTTP {status}"}
    return dict(measured(tool.endpoint, tool.process.pid, load, seconds, folder))


def measure(tool: Tool, mock: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Every load on a tool, the paced one with mocks of its own."""
    found: dict[str, Any] = {}
    for paced in (False, True):
        with running(tool, mock, paced, options.peers) as (through, behind, start_s, folder):
            if not paced:
                found[UNCHANGED] = unchanged(through, behind)
            for load in LOADS:
                if load.paced == paced:
                    found[load.name] = one_load(through, load, 1 if options.smoke else load.seconds, folder)
                    print(f"  {tool.name:<24} {load.name:<20} {told(found[load.name])}", flush=True)
            found["start s"] = min(start_s, found.get("start s", READY_S))
            found["peak RSS MB"] = max(peak_rss_mb(through.process.pid), found.get("peak RSS MB", 0.0))
    return found


def told(figures: dict[str, Any]) -> str:
    """On one line."""
    if "none" in figures:
        return str(figures["none"])
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


def better(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Of two runs of a tool, for each load the one with less CPU a request."""
    if one is None:
        return other
    best = dict(other)
    for load in LOADS:
        if one[load.name].get("CPU us a request", 0) < other[load.name].get("CPU us a request", 0):
            best[load.name] = one[load.name]
    best["start s"] = min(one["start s"], other["start s"])
    best["peak RSS MB"] = max(one["peak RSS MB"], other["peak RSS MB"])
    return best


def asked() -> argparse.Namespace:
    """The command line."""
    taken = parser(__doc__ or "")
    taken.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [tool.name for tool in TOOLS]
    taken.add_argument("--tools", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    taken.add_argument("--peers", type=Path, default=FOLDER, help=f"where they are installed (default {FOLDER})")
    taken.add_argument(
        "--repeats", type=int, default=1, help="rounds over all tools; the least CPU of each load counts"
    )
    taken.add_argument("--markdown", type=Path, help="write the tables of docs/benchmarks.md there")
    options = taken.parse_args()
    options.peers = options.peers.absolute()
    if options.smoke:
        options.tools = [name for name in options.tools if name in (DIRECT.name, PASS_THROUGH, OURS)]
    return options


def main() -> None:
    """Measure and print."""
    options = asked()
    missing = [name for name in ("wrk", "gcc", "taskset") if shutil.which(name) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)} (apt-get install wrk gcc util-linux)")
    around = conditions(options.peers)
    print(", ".join(f"{name} {value}" for name, value in around.items() if name != "versions"))
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        mock = build_mock(Path(folder))
        for _ in range(1 if options.smoke else options.repeats):
            for tool in TOOLS:
                if tool.name in options.tools:
                    try:
                        found[tool.name] = better(found.get(tool.name), measure(tool, mock, options))
                    except SkipTool as no:
                        print(f"  {tool.name:<24} skipped: {no}")
    table = markdown(found, around)
    print(table)
    if options.json:
        result = {"subject": "a gateway before a model server", "figures": found, "machine": around}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(table + "\n")


if __name__ == "__main__":
    main()
