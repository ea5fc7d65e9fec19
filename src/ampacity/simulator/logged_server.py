"""What the `meta.json` beside a log says of the server: what ran on what, and what bounds an iteration.

LLMServingSim writes it from vLLM's own arguments. What it does not say has to be stated; its names of models and cards
are those of their vendors, and only one that can mean nothing else is taken for one of the catalog.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ampacity.inference.replica import Replica
from ampacity.scenario import lookup
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.simulator.engine import Engine, vllm

STATED_BY = {
    "max_num_batched_tokens": "--token-budget",
    "max_num_seqs": "--max-sequences",
    "tensor_parallel_size": "--layout",
}
"""The numbers that a server is not known without, with the option of `ampacity calibrate serving` that states each."""
SIXTEEN_BITS = ("bfloat16", "float16", "half")
SAME_SHAPE = re.compile(r"(-(instruct|chat|base|hf|it|thinking|fp8|bf16|\d{4}))*")
"""What may follow the name of a model that has the shape of its namesake."""
FORMS = ("sxm", "nvl72")
OTHER_CARDS = {"pcie", "nvl", "laptop", "max", "server", "d", "40gb", "mig"}
"""Words of a device that is not the card of the catalog whose number it bears."""


@dataclass(frozen=True)
class LoggedEngine:
    """What ran. model, device: in their vendors' words. layout: as people write it. blocks: of context. precision,
    kv_precision: of weights and cache. None is what nobody said.
    """

    model: str
    layout: str
    token_budget: int
    max_seqs: int
    blocks: int | None
    device: str | None = None
    precision: str | None = None
    kv_precision: str | None = None

    def engine(self, r: Replica) -> Engine:
        """Its rules; the blocks of the replica where none are stated."""
        return vllm(r.kv_blocks if self.blocks is None else self.blocks, self.token_budget, self.max_seqs)


def read_logged_engine(
    path: Path, stated: Mapping[str, int | None] | None = None, layout: str | None = None
) -> LoggedEngine:
    """Read a `meta.json`. stated: numbers by vLLM's names (STATED_BY, num_gpu_blocks) that go before the file's, as
    does a layout.

    A file that is not there is one that says nothing. Raises OSError; Mistakes that names all that is missing or no
    number, or what of such a server is not modelled.
    """
    given = {key: n for key, n in (stated or {}).items() if n is not None}
    meta = _meta(path)
    asked = {**_part(meta, "engine_kwargs"), **given}
    cache = {**_part(meta, "kv_cache"), **given}
    wrong = []
    for key, option in STATED_BY.items():
        if key == "tensor_parallel_size" and layout is not None:
            continue
        if not isinstance(n := asked.get(key), int) or n < 1:
            why = f"expected a whole number, at least 1; {option} states it"
            wrong.append(Mistake(str(path), 0, f"engine_kwargs.{key}", "" if n is None else str(n), why))
    for key in ("data_parallel_size", "pipeline_parallel_size"):
        if asked.get(key) not in (None, 1):
            why = "compared are logs of one group of chips without stages, and this one is of several"
            wrong.append(Mistake(str(path), 0, f"engine_kwargs.{key}", str(asked[key]), why))
    if wrong:
        missing = (
            [Mistake(str(path), 0, "file", "", "not there; beside the log it says all of this")] if not meta else []
        )
        raise Mistakes([*missing, *wrong])
    precision, kv_precision = _precisions(asked)
    return LoggedEngine(
        model=str(meta.get("model", "")),
        layout=layout or _layout(asked),
        token_budget=int(asked["max_num_batched_tokens"]),
        max_seqs=int(asked["max_num_seqs"]),
        blocks=cache.get("num_gpu_blocks"),
        device=_part(meta, "hardware").get("device_name"),
        precision=precision,
        kv_precision=kv_precision,
    )


def catalog_model_of(stated: str) -> str | None:
    """The model of the catalog that a checkpoint's name can only mean; None if that is none."""
    name = stated.rsplit("/", 1)[-1].lower()
    known = sorted(lookup.model_names(), key=len, reverse=True)
    return next((k for k in known if name.startswith(k) and SAME_SHAPE.fullmatch(name[len(k) :])), None)


def catalog_accelerator_of(device: str) -> str | None:
    """The accelerator of the catalog that a device's name can only mean; None if that is none."""
    words = set(re.split(r"[\s_-]+", device.lower()))
    if words & OTHER_CARDS:
        return None
    fit = [k for k in lookup.accelerator_names() if all(part in words or part in FORMS for part in k.split("-"))]
    return fit[0] if len(fit) == 1 else None


def _meta(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    why = "expected the JSON object that LLMServingSim writes, with model and engine_kwargs"
    try:
        meta = json.loads(path.read_text())
    except ValueError as err:
        raise Mistakes([Mistake(str(path), 0, "meta", str(err)[:60], why)]) from err
    if not isinstance(meta, dict) or not isinstance(meta.get("engine_kwargs"), dict):
        raise Mistakes([Mistake(str(path), 0, "meta", str(meta)[:60], why)])
    return meta


def _part(meta: dict[str, Any], key: str) -> dict[str, Any]:
    found = meta.get(key)
    return found if isinstance(found, dict) else {}


def _layout(asked: Mapping[str, Any]) -> str:
    chips = int(asked["tensor_parallel_size"])
    return f"TP{chips} EP{chips}" if asked.get("enable_expert_parallel") and chips > 1 else f"TP{chips}"


def _precisions(asked: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Of the weights and of the cache, where the arguments of the engine leave no doubt."""
    quantized, dtype, cache = (asked.get(key) for key in ("quantization", "dtype", "kv_cache_dtype"))
    precision = "bf16" if quantized is None and dtype in SIXTEEN_BITS else "fp8" if quantized == "fp8" else None
    if cache is not None and str(cache).startswith("fp8"):
        return precision, "fp8"
    return precision, "bf16" if cache == "auto" and dtype in SIXTEEN_BITS else None
