"""The loads of `gateway.py`: what wrk sends, what it saw, and what the gateway's processes used meanwhile.

CPU is user and system time of a process and all its descendants from /proc, so it holds for any language and any
number of workers. It knows nothing of what the processes are; `gateway_tools.py` does.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

DELTAS = 64
OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"
TICKS_A_S = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
GATEWAY_CORE, LOAD_CORE = CORES[0], CORES[-1]
ROUNDS = 8  # a load lasts until each connection has had about so many answers, or what is cut off at its end would tell
LONGEST_S = 30


@dataclass(frozen=True)
class Load:
    """So many connections, each sending its next request when it has its answer."""

    name: str
    path: str
    connections: int
    seconds: float
    stream: bool = False
    paced: bool = False


ONE = Load("JSON c=1", OPENAI, 1, 3)
MANY = Load("JSON c=32", OPENAI, 32, 5)
MESSAGES = Load("Anthropic JSON c=32", ANTHROPIC, 32, 5)
BURST = Load("burst SSE c=16", OPENAI, 16, 4, stream=True)
PACED = Load("paced SSE c=100", OPENAI, 100, 8, stream=True, paced=True)
LOADS = (ONE, MANY, MESSAGES, BURST, PACED)


@dataclass(frozen=True)
class Endpoint:
    """Where a tool listens and what it wants to be sent. A path of None: it does not speak that form."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str | None] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)

    def path(self, form: str) -> str | None:
        """Its path for OpenAI's or Anthropic's form."""
        return self.paths.get(form, form)

    def body(self, form: str, stream: bool) -> str:
        """A request of about 330 bytes."""
        said = "A conductor carries a limited current before its temperature passes what its insulation bears. " * 2
        return json.dumps(
            {
                "model": self.models.get(form, "mock"),
                "max_tokens": 64,
                "stream": stream,
                "messages": [{"role": "user", "content": f"Say in one sentence what limits it. {said}"[:242]}],
            },
            separators=(",", ":"),
        )

    def all_headers(self, form: str) -> dict[str, str]:
        """With those that every request of the form has."""
        more = {"anthropic-version": "2023-06-01"} if form == ANTHROPIC else {}
        return {"content-type": "application/json"} | more | self.headers

    def ask(self, form: str, stream: bool, timeout_s: float = 30) -> tuple[int, bytes]:
        """Status and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            sent = self.body(form, stream)
            connection.request("POST", self.path(form) or form, sent, self.all_headers(form))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@dataclass(frozen=True)
class Seen:
    """What wrk saw."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float


SCRIPT = """wrk.method, wrk.path, wrk.body, wrk.headers = "POST", [==[{path}]==], [==[{body}]==], {{ {headers} }}
function done(s, latency, requests)
  local e = s.errors
  print(string.format('SEEN {{"requests":%d,"seconds":%f,"failed":%d,"p50_ms":%f,"p99_ms":%f}}', s.requests,
    s.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def wrk(to: Endpoint, load: Load, seconds: float, folder: Path) -> Seen:
    """One run of wrk, on the load's core."""
    headers = ", ".join(f"[{json.dumps(k)}] = {json.dumps(v)}" for k, v in to.all_headers(load.path).items())
    script = folder / "load.lua"
    body = to.body(load.path, load.stream)
    script.write_text(SCRIPT.format(path=to.path(load.path), body=body, headers=headers))
    asked = ["-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", *asked, f"http://127.0.0.1:{to.port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Seen(**json.loads(done.stdout.partition("SEEN ")[2].partition("\n")[0]))


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    parents: dict[int, list[int]] = {}
    for found in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = found.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(after_name[1]), []).append(int(found.parent.name))
    members = [pid]
    for one in members:
        members += parents.get(one, [])
    return members


def cpu_used_s(pid: int) -> float:
    """User and system seconds of the tree until now, children that ended included."""
    ticks = 0
    for one in tree(pid):
        try:
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return ticks / TICKS_A_S


def core_used_s(core: int) -> float:
    """Seconds in which a core ran anything, or its host took it away."""
    with Path("/proc/stat").open() as lines:
        words = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_A_S


def peak_rss_mb(pid: int) -> float:
    """Most memory each process of the tree had resident, added up."""
    kb = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:
            continue
        kb += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return kb / 1024


def measured(to: Endpoint, pid: int, load: Load, seconds: float, folder: Path) -> dict[str, float]:
    """One load after a second of warm-up. Slow gateways get longer, so that what is cut off at the end does not tell.

    Returns CPU microseconds a request (and a delta of a stream), requests a second, latencies, the shares of wall time
    in which the gateway and everybody else were on its core, and how many requests failed. Others in its way
    lower the rate and lengthen the tail, and spoil caches.
    """
    warm = wrk(to, load, 1, folder)
    rate = max(warm.requests, 1) / warm.seconds
    seconds = seconds if seconds < load.seconds else min(LONGEST_S, max(seconds, ROUNDS * load.connections / rate))
    core = min(os.sched_getaffinity(pid))
    before, core_before = cpu_used_s(pid), core_used_s(core)
    seen = wrk(to, load, seconds, folder)
    used, core_used = cpu_used_s(pid) - before, core_used_s(core) - core_before
    figures = {
        "CPU us a request": used / max(seen.requests, 1) * 1e6,
        "requests/s": seen.requests / seen.seconds,
        "p50 ms": seen.p50_ms,
        "p99 ms": seen.p99_ms,
        "busy share": used / seen.seconds,
        "others' share": max(0.0, core_used - used) / seen.seconds,
        "requests": seen.requests,
        "failed": seen.failed,
    }
    if load.stream:
        figures["CPU us a delta"] = figures["CPU us a request"] / DELTAS
    return figures
