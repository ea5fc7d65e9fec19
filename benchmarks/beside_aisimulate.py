"""The peer AISimulate (NVIDIA, Apache-2.0) as `fidelity.py` and a test use it: replay requests, ask for kernel times.

AMPACITY_AISIMULATE names its command, in an environment of its own (1.5 GB): `aisimulate` 0.13.0.dev, a pre-release.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator.engine import Engine

MODEL, CHIP, BACKEND, CHIPS = "Qwen/Qwen3-32B-FP8", "h200_sxm", "vllm", 1
BLOCKS = 46_112
"""Blocks of 16 tokens that it finds room for on one H200."""
PS_PER_MS = 1_000_000_000


@dataclass(frozen=True)
class Requests:
    """Requests that come when they come: arrival [ps, the first at 0, rising], tokens in and out, as arrays."""

    arrival_ps: NDArray[np.int64]
    inputs: NDArray[np.int64]
    outputs: NDArray[np.int64]


@dataclass(frozen=True)
class Replayed:
    """What requests met, in their order: first and last token [ms], the replica, and how often each was admitted."""

    first_ms: NDArray[np.float64]
    last_ms: NDArray[np.float64]
    replica: NDArray[np.int64]
    admissions: NDArray[np.int64]


def command() -> str | None:
    """The peer's command, or None."""
    return os.environ.get("AMPACITY_AISIMULATE") or None


def version() -> str:
    """Of the peer's package."""
    ask = "from importlib.metadata import version; print(version('aisimulate'))"
    return subprocess.run([_python(), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def _python() -> str:
    return str(Path(str(command())).parent / "python")


def replay(asked: Requests, engine: Engine, replicas: int = 1, fixed_ms: tuple[float, float] | None = None) -> Replayed:
    """Have the peer replay requests with the rules of an engine.

    fixed_ms: time of all prompts of an iteration, and of all its decoding sequences, instead of kernels. [ms]
    Raises CalledProcessError.
    """
    worker: dict[str, Any] = {
        "parallelism": {"replicas": replicas},
        "scheduler": {"max_batched_tokens": engine.token_budget, "max_sequences": engine.max_seqs},
        "kv_cache": {
            "block_size": 16,
            "prefix_caching": engine.prefix_cache,
            "capacity": {"type": "fixed", "blocks": engine.kv_blocks},
        },
    }
    if fixed_ms:
        worker["timing"] = {"type": "fixed", "prefill_ms": fixed_ms[0], "decode_ms": fixed_ms[1]}
    with tempfile.TemporaryDirectory() as folder:
        trace, config, out = (Path(folder) / name for name in ("trace.jsonl", "peer.yaml", "out"))
        _write_trace(trace, asked)
        wanted = {
            "traffic": {
                "source": {"type": "trace", "paths": [str(trace)], "format": "mooncake", "block_size": 16},
                "load": {"type": "trace_timestamps"},
            },
            "engine": {
                "mode": "aggregated",
                "model": MODEL,
                "hardware": CHIP,
                "backend": BACKEND,
                "workers": {"aggregated": worker},
            },
        }
        config.write_text(json.dumps(wanted))  # JSON is YAML
        to = ["--output-dir", str(out), "--capture-per-request"]
        subprocess.run([str(command()), "predict", "-c", str(config), *to], capture_output=True, text=True, check=True)
        met = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    met.sort(key=lambda r: int(r["session_id"].rsplit("_", 1)[1]))  # request_1, request_2, ... as in the trace
    names = ("first_token_ms", "last_token_ms", "decode_worker_idx", "admission_count")
    first, last, replica, admissions = (np.array([r[name] for r in met]) for name in names)
    return Replayed(first, last, replica, admissions)


def _write_trace(path: Path, asked: Requests) -> None:
    """A Mooncake trace in which no two requests share a block."""
    lines, block = [], 0
    for arrival, tokens, out in zip(asked.arrival_ps, asked.inputs, asked.outputs, strict=True):
        blocks = -(-int(tokens) // 16)
        row = {"timestamp": int(arrival) / PS_PER_MS, "input_length": int(tokens), "output_length": int(out)}
        lines.append(json.dumps(row | {"hash_ids": list(range(block, block + blocks))}))
        block += blocks
    path.write_text("\n".join(lines) + "\n")


class KernelTimes:
    """The peer's times of iterations, asked over a pipe; a context manager. Questions as in `kernel_times.py`."""

    def __enter__(self) -> KernelTimes:
        script = Path(__file__).with_name("kernel_times.py")
        at = [MODEL, CHIP, BACKEND, str(CHIPS)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([_python(), str(script), *at], text=True, **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def ask(self, questions: list[tuple[Any, ...]]) -> list[float]:
        """Times, in the order of the questions. [ms]"""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(questions) + "\n")
        self._process.stdin.flush()
        answer: list[float] = json.loads(self._process.stdout.readline())
        return answer
