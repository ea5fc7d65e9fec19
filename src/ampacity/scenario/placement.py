"""A placement: which model runs on which pool, in which layout, under which name, behind which endpoint."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from ampacity.scenario.calibration import Calibration
from ampacity.scenario.engine import Engine, KvPrecision, Precision
from ampacity.scenario.value import Noun, Share, Value

BYTES_PER_NUMBER: dict[str, float] = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5625, "int4": 0.5625}
"""Four-bit numbers carry a scale of 8 bits for 16 of them (NVFP4) or 16 bits for 32 (int4, weights only)."""
MEMORY_SHARE = 0.9
"""Share of HBM that an engine takes for weights and KV cache: vLLM's default gpu_memory_utilization."""


class Placement(Noun):
    """A model on a pool.

    contract, site, accelerator: which pools; each left out means any.
    precision: of the weights' products (int4: weights only); kv_precision: of the KV cache. engine: what serves it.
    accelerators_per_replica: chips that hold one copy; absent: the fewest powers of two that fit model and contexts.
    usable: share of the pool that this model can use; the rest holds other models, versions and spares [0 to 1].
    calibration: how own measurements differ from the catalog; a scenario names the file that holds it.
    draft_tokens, acceptance: tokens guessed ahead in an iteration, and the chance that a guess is right where those
    before it were (speculative decoding) [0 to 1].
    kv_blocks: blocks of 16 tokens of context that the engine of a replica says it has; absent: what memory leaves.
    alias: the name that clients ask for. endpoint: URL of a running engine. key_env: environment variable of its key.
    """

    name: str
    model: str
    contract: str | None = None
    site: str | None = None
    accelerator: str | None = None
    precision: Precision = "fp8"
    kv_precision: KvPrecision = "fp8"
    engine: Engine = "vllm"
    accelerators_per_replica: int | None = Field(None, ge=1, le=100_000)
    kv_blocks: int | None = Field(None, ge=1)
    usable: Share = Value(value=1.0)
    calibration: Calibration | None = None
    draft_tokens: int = Field(0, ge=0, le=16)
    acceptance: Share = Value(value=0.0)
    alias: str | None = None
    endpoint: str | None = None
    known_since: date | None = None
    key_env: str | None = Field(None, pattern=r"^[A-Z_][A-Z0-9_]*$")

    def calibration_on(self, accelerator: str) -> Calibration | None:
        """The calibration, if it was measured on that accelerator: it says nothing of another."""
        own = self.calibration
        return own if own is not None and own.accelerator == accelerator else None
