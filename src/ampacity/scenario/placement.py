"""A placement: which model runs on which pool, in which layout, under which name, behind which endpoint."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ampacity.base.calendar import DAY_S
from ampacity.scenario.calibration import Calibration
from ampacity.scenario.engine import Engine, KvPrecision, Precision
from ampacity.scenario.value import Bandwidth, Bytes, Noun, PlainSeconds, Share, Value

BYTES_PER_NUMBER: dict[str, float] = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5625, "int4": 0.5625}
"""Four-bit numbers carry a scale of 8 bits for 16 of them (NVFP4) or 16 bits for 32 (int4, weights only)."""
MEMORY_SHARE = 0.9
"""Share of HBM that an engine takes for weights and KV cache: vLLM's default gpu_memory_utilization."""

HOST_KV_BYTES_PER_S = 25e9
"""Of an accelerator from its host's memory, assumed: 40 % of the 63 GB/s of PCIe 5.0 x16 one way (32 GT/s, 128b/130b
coding), for the chips of a server load at once, in blocks, from memory that they share. [B/s]"""


class FollowsLoad(Noun):
    """Replicas that come and go with the load, looked at every quarter of a minute.

    target: requests that each is to have, waiting ones included [>= 1]. least: replicas that are always there [>= 1].
    start_s: until one that is started serves, its memory empty [s]. calm_s: for so long fewer must do before any goes.
    [s]
    """

    target: int = Field(ge=1, le=100_000)
    least: int = Field(1, ge=1)
    start_s: PlainSeconds = Field(120.0, alias="start", gt=0)
    calm_s: PlainSeconds = Field(300.0, alias="calm")

    @field_validator("start_s", "calm_s")
    @classmethod
    def _within_a_day(cls, seconds: float) -> float:
        if seconds > DAY_S:
            raise PydanticCustomError("mistake", "expected at most a day, such as 5 min")
        return seconds


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
    max_sequences, token_budget: what the engine of a replica runs at once, sequences and tokens of an iteration;
    absent: its defaults.
    host_kv, store_kv: memory beside each accelerator where context goes that HBM evicts: of its host; then of an SSD or
    a remote store [B]; absent: what is evicted is forgotten. host_kv_bandwidth, store_kv_bandwidth: at which each
    accelerator loads it back [B/s]; of a host HOST_KV_BYTES_PER_S where nothing is said, of a store to be stated.
    follows_load: replicas that come and go when requests are looked at one by one; absent: all are there. A plan counts
    on all of them.
    alias: the name that clients ask for. endpoint: URL of a running engine. key_env, key_file: the environment variable
    or the file, by its whole path, that holds its key.
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
    max_sequences: int | None = Field(None, ge=1, le=4096)
    token_budget: int | None = Field(None, ge=1, le=1 << 17)
    host_kv: Bytes | None = None
    host_kv_bandwidth: Bandwidth | None = None
    store_kv: Bytes | None = None
    store_kv_bandwidth: Bandwidth | None = None
    usable: Share = Value(value=1.0)
    calibration: Calibration | None = None
    draft_tokens: int = Field(0, ge=0, le=16)
    acceptance: Share = Value(value=0.0)
    follows_load: FollowsLoad | None = None
    alias: str | None = None
    endpoint: str | None = None
    known_since: date | None = None
    key_env: str | None = Field(None, pattern=r"^[A-Z_][A-Z0-9_]*$")
    key_file: str | None = Field(None, pattern=r"^~?/.*[^/]$")

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        wrong = []
        for name in ("host_kv", "store_kv"):
            if getattr(self, name) is None and getattr(self, f"{name}_bandwidth") is not None:
                wrong.append(f"{name}_bandwidth without {name}: state how much memory there is")
        if self.store_kv is not None and self.store_kv_bandwidth is None:
            wrong.append("store_kv without store_kv_bandwidth: stores differ too much for a default, state theirs")
        if self.token_budget is not None and self.token_budget < (self.max_sequences or 1):
            wrong.append(
                f"max_sequences {self.max_sequences} above token_budget {self.token_budget}: an iteration has a token "
                "of every sequence"
            )
        if self.key_env is not None and self.key_file is not None:
            wrong.append("key_env and key_file: the key is in one of them")
        if wrong:
            raise PydanticCustomError("mistake", "{message}", {"message": "; ".join(wrong)})
        return self

    def calibration_on(self, accelerator: str) -> Calibration | None:
        """The calibration, if it was measured on that accelerator: it says nothing of another."""
        own = self.calibration
        return own if own is not None and own.accelerator == accelerator else None
