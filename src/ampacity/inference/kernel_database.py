"""NVIDIA's kernel measurements as a table of iteration times: a second opinion beside the fitted coefficients.

The package `aiconfigurator-core` (Apache-2.0, NVIDIA; extra `calibrate`) adds up measured kernels for one iteration.
It is asked once for a grid; between its points times are interpolated, so that for a fixed batch they are piecewise
linear in the context. It knows NVIDIA's chips and the models whose shapes it brings along.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ampacity.inference.published import PACKAGE, VERSION
from ampacity.inference.replica import Replica
from ampacity.inference.work import Array
from ampacity.scenario.mistakes import nearest

SYSTEMS = {
    "a100-sxm": "a100_sxm",
    "h100-sxm": "h100_sxm",
    "h200-sxm": "h200_sxm",
    "b200-sxm": "b200_sxm",
    "b300-sxm": "b300_sxm",
    "gb200-nvl72": "gb200",
    "gb300-nvl72": "gb300",
}
"""The package's names of accelerators of the catalog."""
MODELS = {
    "llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B",
    "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B",
    "llama-3.1-405b": "meta-llama/Meta-Llama-3.1-405B",
    "llama-4-scout": "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "llama-4-maverick": "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "deepseek-v3": "deepseek-ai/DeepSeek-V3",
    "deepseek-r1": "deepseek-ai/DeepSeek-R1",
    "deepseek-v3.2": "deepseek-ai/DeepSeek-V3.2",
    "qwen3-8b": "Qwen/Qwen3-8B",
    "qwen3-32b": "Qwen/Qwen3-32B",
    "qwen3-coder-480b-a35b": "Qwen/Qwen3-Coder-480B-A35B-Instruct",
    "qwen3.5-27b": "Qwen/Qwen3.5-27B",
    "qwen3.5-35b-a3b": "Qwen/Qwen3.5-35B-A3B",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-235b-a22b": "Qwen/Qwen3-235B-A22B",
    "qwen3.5-397b-a17b": "Qwen/Qwen3.5-397B-A17B",
    "gpt-oss-120b": "openai/gpt-oss-120b",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "minimax-m2.5": "MiniMaxAI/MiniMax-M2.5",
    "kimi-k2.5": "moonshotai/Kimi-K2.5",
    "glm-5": "zai-org/GLM-5",
}
"""The package's names of models of the catalog."""
CHECKPOINTS = {
    ("llama-3.1-70b", "fp8"): "nvidia/Llama-3.1-70B-Instruct-FP8",
    ("deepseek-v3", "fp8"): "deepseek-ai/DeepSeek-V3",
    ("deepseek-v3", "fp4"): "nvidia/DeepSeek-V3.1-NVFP4",
    ("deepseek-r1", "fp8"): "deepseek-ai/DeepSeek-R1",
    ("deepseek-r1", "fp4"): "nvidia/DeepSeek-V3.1-NVFP4",
    ("qwen3-32b", "fp8"): "Qwen/Qwen3-32B-FP8",
    ("qwen3-30b-a3b", "fp8"): "Qwen/Qwen3-30B-A3B-FP8",
    ("qwen3-235b-a22b", "fp8"): "Qwen/Qwen3-235B-A22B-FP8",
    ("qwen3-235b-a22b", "fp4"): "nvidia/Qwen3-235B-A22B-NVFP4",
    ("qwen3.5-397b-a17b", "fp4"): "nvidia/Qwen3.5-397B-A17B-NVFP4",
    ("deepseek-v3.2", "fp8"): "deepseek-ai/DeepSeek-V3.2",
    ("gpt-oss-120b", "fp4"): "openai/gpt-oss-120b",
    ("gpt-oss-20b", "fp4"): "openai/gpt-oss-20b",
    ("minimax-m2.5", "fp8"): "MiniMaxAI/MiniMax-M2.5",
    ("minimax-m2.5", "fp4"): "nvidia/MiniMax-M2.5-NVFP4",
    ("kimi-k2.5", "int4"): "moonshotai/Kimi-K2.5",
    ("kimi-k2.5", "fp4"): "nvidia/Kimi-K2.5-NVFP4",
    ("glm-5", "fp8"): "zai-org/GLM-5-FP8",
    ("glm-5", "fp4"): "nvidia/GLM-5-NVFP4",
}
"""Checkpoints that have the precision already; the package knows which numbers they are made of."""
_PLACE = re.compile(r" at (?:/|[A-Za-z]:\\)[^\s;,]+")
QUANTIZED = {"bf16": "bfloat16", "fp8": "fp8", "fp4": "nvfp4", "int4": "int4_wo"}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CONTEXTS = (64, 256, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
CHUNKS = (1, 16, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384)
BEFORE = (0, 1024, 4096, 16384, 65536)


class NotInDatabase(ValueError):
    """What the package does not know, with what it does."""


@dataclass(frozen=True)
class KernelTimes:
    """Iterations of one replica by measured kernels.

    decode_s: of an iteration that only decodes, by BATCHES and CONTEXTS of one sequence. prefill_s: of one that only
    prefills a chunk, by CHUNKS and the context BEFORE it. [s] Both by what one data parallel group is given.
    """

    replica: Replica
    source: str
    decode_s: Array
    prefill_s: Array

    def seconds(self, b: ArrayLike, k: ArrayLike, p: ArrayLike = 0.0, a: ArrayLike = 0.0) -> Array:
        """Time of iterations; arguments as in `work.py`, broadcast. [s]

        Where prompts share the iteration, decoding sequences lengthen the chunk by their token each, and what their
        context adds to a decoding iteration comes on top. Beyond the grid times go on in a straight line. Jumps where a
        matrix begins another tile (fp8: up to a quarter from 2,048 tokens to 2,064) lie between points of the grid.
        """
        groups = self.replica.layout.data
        b, k, p, a = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) / groups for x in (b, k, p, a)))
        context = k / np.maximum(b, 1.0)
        decode = _between(BATCHES, CONTEXTS, self.decode_s, b, context)
        alone = _between(BATCHES, CONTEXTS, self.decode_s, b, np.full_like(b, CONTEXTS[0]))
        before = np.maximum(a / np.maximum(p, 1.0) - p / 2, 0.0)
        mixed = _between(CHUNKS, BEFORE, self.prefill_s, p + b, before)
        attention = np.where(b > 0, np.maximum(decode - alone, 0.0), 0.0)
        return np.asarray(np.where(p > 0, mixed + attention, np.where(b > 0, decode, 0.0)))


def kernel_times(r: Replica) -> KernelTimes:
    """Tabulate the package's times for a replica, some 200 queries.

    Raises ModuleNotFoundError without the package, NotInDatabase for what it does not know.
    """
    if find_spec("aiconfigurator_core") is None:
        message = f"the kernel measurements come with {PACKAGE} {VERSION}: pip install 'ampacity[calibrate]'"
        raise ModuleNotFoundError(message, name="aiconfigurator_core")
    engine = _engine(r)
    try:
        with _silent():
            decode = [[engine.decode_step_latency(b, c, 2) for c in CONTEXTS] for b in BATCHES]
            prefill = [[engine.predict_prefill_latency(1, p + c, c) for c in BEFORE] for p in CHUNKS]
    except Exception as err:  # the package raises its own errors from Rust; none of them shares a base
        raise NotInDatabase(f"{PACKAGE} cannot time {r.model.name} {r.precision} on {r.chip}: {_short(err)}") from err
    source = f"{PACKAGE} {VERSION}, {' on '.join(_names(r)[:2])}, {r.engine}"
    return KernelTimes(r, source, np.array(decode) / 1e3, np.array(prefill) / 1e3)


def bundled_models() -> frozenset[str]:
    """Names of the models whose shapes the package brings along; any other it would look for on the network.

    Raises ModuleNotFoundError without the package.
    """
    from aiconfigurator_core.sdk.common import get_default_models

    return frozenset(get_default_models())


def _engine(r: Replica) -> Any:
    """The package's engine of a replica. Raises NotInDatabase."""
    from aiconfigurator_core.sdk.engine import EngineHandle

    model, system, numbers = _names(r)
    tensor, data, expert = r.layout.tensor, r.layout.data, r.layout.expert
    if r.layout.pipeline > 1:
        raise NotInDatabase(f"{r.layout}: iterations of a pipeline overlap; tabulate one without PP")
    if r.model.experts:
        numbers |= {"moe_ep_size": expert, "moe_tp_size": tensor * data // expert}
    attention = {"kvcache_quant_mode": "bfloat16" if r.kv_bytes == 2.0 else "fp8", "fmha_quant_mode": "bfloat16"}
    try:
        with _silent():
            return EngineHandle.compile(
                model, system, r.engine, tp_size=tensor, attention_dp_size=data, **attention, **numbers
            )
    except Exception as err:  # the package raises its own errors from Rust; none of them shares a base
        what = f"{r.model.name} {r.precision} on {r.chip} with {r.engine} ({r.layout})"
        raise NotInDatabase(f"{PACKAGE} {VERSION} has no {what}: {_short(err)}") from err


def _names(r: Replica) -> tuple[str, str, dict[str, Any]]:
    """The package's names of model and chip, and the precision to ask for where the checkpoint has another.

    Raises NotInDatabase with all that it does not know.
    """
    own = CHECKPOINTS.get((r.model.name, r.precision))
    model = own or MODELS.get(r.model.name, r.model.name)
    unknown = []
    if model not in bundled_models():
        unknown.append(f"brings no shape of {r.model.name}: {nearest(r.model.name, MODELS)}")
    if r.chip not in SYSTEMS:
        unknown.append(f"has measured no {r.chip}: {nearest(r.chip, SYSTEMS)}")
    if unknown:
        raise NotInDatabase(f"{PACKAGE} {VERSION} {', and '.join(unknown)}")
    numbers = {} if own else {"gemm_quant_mode": QUANTIZED[r.precision]}
    if r.model.experts and not own:
        numbers["moe_quant_mode"] = QUANTIZED[r.precision]
    return model, SYSTEMS[r.chip], numbers


def _short(err: Exception) -> str:
    """The first clause of somebody else's error, without the place where the package happens to be installed."""
    if not str(err):
        return type(err).__name__
    return _PLACE.sub("", str(err).splitlines()[0].split(": tried")[0])[:200]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the package's notices of which tables it fell back to."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _along(knots: tuple[int, ...], values: Array, x: Array) -> Array:
    """Rows of `values` interpolated at `x`, straight on at both ends, never below 0; shape of x and a row."""
    at = np.asarray(knots, dtype=np.float64)
    i = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    share = (x - at[i]) / (at[i + 1] - at[i])
    return np.asarray(np.maximum(values[i] + (values[i + 1] - values[i]) * share[..., None], 0.0))


def _between(rows: tuple[int, ...], columns: tuple[int, ...], values: Array, x: Array, y: Array) -> Array:
    """A table interpolated in both directions."""
    at_x = _along(rows, values, np.maximum(x, rows[0]))
    at = np.asarray(columns, dtype=np.float64)
    j = np.clip(np.searchsorted(at, y, side="right") - 1, 0, len(at) - 2)
    low = np.take_along_axis(at_x, j[..., None], -1)[..., 0]
    high = np.take_along_axis(at_x, j[..., None] + 1, -1)[..., 0]
    return np.asarray(np.maximum(low + (high - low) * (y - at[j]) / (at[j + 1] - at[j]), 0.0))
