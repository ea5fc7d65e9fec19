"""How each gateway of `gateway.py` is started: one function a tool, as its authors' manual has it, one worker each.

A tool gets two running mock model servers (routers refuse to balance over one), writes what configuration it
needs into a folder, and says where it listens. Skipped with a reason if it is not installed (`gateway_peers.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_load import ANTHROPIC, GATEWAY_CORE, LOAD_CORE, OPENAI, Endpoint
from gateway_peers import installed

KEY = "sk-ampacity-bench-6f1c0d9a4b7e"


class SkipTool(Exception):
    """Why a tool is not measured here."""


@dataclass(frozen=True)
class Started:
    """A running tool."""

    process: subprocess.Popen[Any]
    endpoint: Endpoint

    def stop(self) -> None:
        """End it and what it started."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)  # its own session, see launch
                self.process.wait(3)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


@dataclass(frozen=True)
class Place:
    """What a tool is started with: the mocks behind it, an empty folder, where peers are installed."""

    mocks: tuple[Started, Started]
    folder: Path
    peers: Path

    def command(self, peer: str, name: str) -> str:
        """A command of a peer's environment."""
        found = self.peers / peer / "bin" / name
        if installed(peer, self.peers) is None or not found.exists():
            raise SkipTool(f"not installed in {self.peers}; python benchmarks/gateway_peers.py --install")
        return str(found)

    def write(self, name: str, content: dict[str, Any]) -> str:
        """A configuration as JSON, which YAML readers read too."""
        path = self.folder / name
        path.write_text(json.dumps(content))
        return str(path)

    def urls(self, after: str = "") -> list[str]:
        """Of both mocks."""
        return [f"http://127.0.0.1:{mock.endpoint.port}{after}" for mock in self.mocks]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def launch(
    command: list[str], folder: Path, core: int = GATEWAY_CORE, more: dict[str, str] | None = None
) -> subprocess.Popen[Any]:
    """A process in a session of its own, held on one core; what it says goes to folder/log."""
    pinned = ["taskset", "-c", str(core), *command]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            pinned, cwd=folder, stdout=log, stderr=log, env=os.environ | (more or {}), start_new_session=True
        )


def build_mock(folder: Path) -> Path:
    """The compiled mock."""
    if shutil.which("gcc") is None:
        raise SystemExit("the mock model server is compiled when the benchmark starts: apt-get install gcc")
    made = folder / "gateway_mock"
    source = Path(__file__).with_name("gateway_mock.c")
    subprocess.run(["gcc", "-O2", "-o", made, source], check=True)
    return made


def start_mock(program: Path, paced: bool, folder: Path) -> Started:
    """A mock on the load's core."""
    port = free_port()
    process = launch([str(program), "paced" if paced else "burst", str(port)], folder, LOAD_CORE)
    return Started(process, Endpoint(port))


def ours_pass_through(place: Place) -> Started:
    """Nothing on but forwarding: `gateway_bare.py`."""
    port, program = free_port(), Path(__file__).with_name("gateway_bare.py")
    command = [sys.executable, str(program), str(port), str(place.mocks[0].endpoint.port)]
    return Started(launch(command, place.folder), Endpoint(port))


def ours(place: Place) -> Started:
    """Authentication, four windows (five hours, a week, requests and tokens of a minute), journal, metrics."""
    from ampacity.gateway.keys import TABLES, hashed
    from ampacity.policy import rows
    from ampacity.policy.rows import EVENLY_MOST, ONE_REQUEST, WindowRule
    from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms

    hour_ms, much = 3_600_000, 10**15
    windows = (
        WindowRule("five-hour", much, rows.AT_FIRST_USE, 5 * hour_ms),
        WindowRule("weekly", much, rows.AT_FIRST_USE, 168 * hour_ms),
        WindowRule("requests", 10**13, rows.EVENLY, 60_000, ONE_REQUEST),
        WindowRule("tokens", EVENLY_MOST, rows.EVENLY, 60_000),
    )
    pool = PoolTerms("mock", place.urls()[0], "mock", slots=4096)
    terms = Terms("benchmark", {"all": windows}, (TierTerms("all", "all"),), (ServiceTerms("mock", (pool,)),))
    (place.folder / "terms.json").write_text(terms.text())
    with closing(sqlite3.connect(place.folder / "keys")) as db:
        db.executescript(TABLES)
        db.execute("INSERT INTO subscriber VALUES (1, 'all', 'all', 0)")
        db.execute("INSERT INTO key VALUES (?, 1, '', 'sk-', 0, NULL)", (hashed(KEY.encode()),))
        db.commit()
    port = free_port()
    own = {"terms": "terms.json", "journal": "journal", "keys": "keys", "port": port}
    command = [sys.executable, "-m", "ampacity.gateway", place.write("settings.json", own)]
    return Started(launch(command, place.folder), Endpoint(port, {"authorization": f"Bearer {KEY}"}))


def envoy(place: Place, filters: tuple[dict[str, Any], ...] = ()) -> Started:
    """One listener, one route to one static cluster, one worker."""
    program, port = place.command("envoy", "envoy"), free_port()
    kinds = "type.googleapis.com/envoy.extensions.filters"

    def address(of: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": of}}

    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "mock", "timeout": "60s"}}],
                }
            ]
        },
        "http_filters": [
            *filters,
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kinds}.http.router.v3.Router"}},
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": address(place.mocks[0].endpoint.port)}}
    cluster = {
        "name": "mock",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "mock", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "in", "address": address(port), "filter_chains": [chain]}
    file = place.write("envoy.json", {"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    command = [program, "-c", file, "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    return Started(launch(command, place.folder), Endpoint(port))


def envoy_limited(place: Place) -> Started:
    """With one token bucket for everybody, too large to refuse anything."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    kind = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    bucket = {"max_tokens": 10_000_000, "tokens_per_fill": 10_000_000, "fill_interval": "1s"}
    counted = {
        "@type": kind,
        "stat_prefix": "limit",
        "token_bucket": bucket,
        "filter_enabled": always,
        "filter_enforced": always,
    }
    return envoy(place, ({"name": "envoy.filters.http.local_ratelimit", "typed_config": counted},))


def router(place: Place, peer: str, command: list[str], policy: str, error: str = "error") -> Started:
    """A model server's router over two workers, with a port of its own for metrics."""
    port = free_port()
    listens = ["--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port())]
    asked = [*listens, "--worker-urls", *place.urls(), "--policy", policy, "--log-level", error]
    program = place.command(peer, command[0])
    return Started(launch([program, *command[1:], *asked], place.folder), Endpoint(port))


def sglang_router(place: Place) -> Started:
    """Power of two choices."""
    return router(place, "sglang-router", ["sglang-router", "launch"], "power_of_two")


def vllm_router(place: Place) -> Started:
    """Power of two choices."""
    return router(place, "vllm-router", ["vllm-router"], "power_of_two")


def smg(place: Place) -> Started:
    """In turns."""
    return router(place, "smg", ["smg", "launch"], "round_robin")


TENSORZERO = """
import asyncio, pathlib, sys, tensorzero
async def main():
    started = await tensorzero._start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=True)
    pathlib.Path("address").write_text(started.base_url)
    await asyncio.sleep(1e9)
asyncio.run(main())
"""


def said_port(process: subprocess.Popen[Any], file: Path, within_s: float = 20) -> int:
    """The port of the address that a tool writes down when it has chosen one."""
    until = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < until:
        if file.exists() and (address := file.read_text()):
            return int(address.split(":")[2].partition("/")[0])
        time.sleep(0.01)
    Started(process, Endpoint(0)).stop()
    raise SkipTool(f"said no address within {within_s:g} s")


def tensorzero(place: Place) -> Started:
    """In the process of its Python package, through a function it calls private; nothing is recorded."""
    program, file = place.command("tensorzero", "python"), place.folder / "tensorzero.toml"
    file.write_text(
        f"""gateway.observability.enabled = false
[models.mock]
routing = ["mock"]
[models.mock.providers.mock]
type = "openai"
model_name = "mock"
api_base = "{place.urls("/v1/")[0]}"
api_key_location = "none"
"""
    )
    process = launch([program, "-c", TENSORZERO, str(file)], place.folder)
    port = said_port(process, place.folder / "address")
    paths = {OPENAI: "/openai/v1/chat/completions", ANTHROPIC: None}
    return Started(process, Endpoint(port, {}, paths, {OPENAI: "tensorzero::model_name::mock"}))


def litellm(place: Place) -> Started:
    """No database, no Redis, one worker; a master key, since it refuses to start without."""
    program, port = place.command("litellm", "litellm"), free_port()
    base = place.urls()[0]
    models = {"mock": ("openai/mock", f"{base}/v1"), "claude-mock": ("anthropic/mock", base)}
    file = place.write(
        "litellm.yaml",
        {
            "model_list": [
                {"model_name": name, "litellm_params": {"model": model, "api_base": url, "api_key": "none"}}
                for name, (model, url) in models.items()
            ],
            "litellm_settings": {"telemetry": False, "num_retries": 0, "request_timeout": 60},
            "general_settings": {"master_key": KEY},
        },
    )
    calm = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DISABLE_ADMIN_UI": "True"}
    command = [program, "--config", file, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    process = launch(command, place.folder, more=calm)
    headers = {"authorization": f"Bearer {KEY}"}
    return Started(process, Endpoint(port, headers, {}, {OPENAI: "mock", ANTHROPIC: "claude-mock"}))


def direct(place: Place) -> Started:
    """Nothing between: the mock, which shares its core with wrk here as behind every other."""
    return place.mocks[0]


@dataclass(frozen=True)
class Tool:
    """One row: its name, how it starts, whose version it is, and what it does while it is measured."""

    name: str
    start: Callable[[Place], Started]
    peer: str = ""
    authentication: str = "no"
    limits: str = "no"
    journal: str = "no"
    metrics: str = "no"
    routing: str = "no"


PASS_THROUGH, OURS = "ampacity pass-through", "ampacity"
POWER = "yes, power of two"
DIRECT = Tool("direct", direct)
TOOLS = (
    DIRECT,
    Tool(PASS_THROUGH, ours_pass_through),
    Tool(OURS, ours, "", "yes", "yes", "yes", "yes", "one pool"),
    Tool("envoy", envoy, "envoy", metrics="counted, not served"),
    Tool("envoy + local_ratelimit", envoy_limited, "envoy", limits="one bucket for all", metrics="counted, not served"),
    Tool("vllm-router", vllm_router, "vllm-router", metrics="yes", routing=POWER),
    Tool("sglang-router", sglang_router, "sglang-router", metrics="yes", routing=POWER),
    Tool("smg", smg, "smg", metrics="yes", routing="yes, in turns"),
    Tool("tensorzero", tensorzero, "tensorzero", routing="one provider"),
    Tool("litellm", litellm, "litellm", authentication="yes, one key", routing="one deployment a model"),
)
