"""A model to serve: its shape, from which memory, FLOPs and bytes per token follow."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.engine import Precision
from ampacity.scenario.value import Confidence, Noun, Ratio, Status, Value


class Model(Noun):
    """A transformer's published shape.

    layers, hidden, heads, kv_heads, head_dim: as in its configuration; dense_layers of an MoE have no experts.
    attention: `mha`, `gqa`, or `mla` with kv_latent_dim numbers kept per token and layer.
    full_layers: layers that attend to the whole context; 0 means all. The others attend to window_tokens or, where
    that is 0, keep state_numbers of a linear attention each. sparse_tokens: a full layer reads at most so many tokens
    of the context, those that its indexer picks; 0 means all. qk_norm: queries and keys are normalized.
    experts, experts_per_token, shared_experts, expert_parameters (all routed experts together): 0 for a dense model.
    parameters_total, parameters_active: stored, and touched by one token. context_tokens: longest context.
    published_precision: of the weights as the vendor gives them out; anything narrower is the operator's choice.
    family: what limits group it under. scale: factor on all parameter counts; a range where the size is a guess.
    """

    name: str
    vendor: str = ""
    family: str = ""
    architecture: Literal["dense", "moe"] = "dense"
    layers: int = Field(ge=1)
    dense_layers: int = Field(0, ge=0)
    hidden: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    attention: Literal["mha", "gqa", "mla"] = "gqa"
    kv_latent_dim: int = Field(0, ge=0)
    full_layers: int = Field(0, ge=0)
    window_tokens: int = Field(0, ge=0)
    state_numbers: int = Field(0, ge=0)
    sparse_tokens: int = Field(0, ge=0)
    qk_norm: bool = False
    vocabulary: int = Field(0, ge=0)
    experts: int = Field(0, ge=0)
    experts_per_token: int = Field(0, ge=0)
    shared_experts: int = Field(0, ge=0)
    expert_parameters: float = Field(0.0, ge=0)
    parameters_total: float = Field(gt=0)
    parameters_active: float = Field(gt=0)
    scale: Ratio = Value(value=1.0)
    published_precision: Precision = "bf16"
    context_tokens: int = Field(131072, ge=1)
    released: date | None = None
    status: Status = "assumed"
    source: str = ""
    confidence: Confidence = "medium"
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.parameters_active > self.parameters_total:
            raise PydanticCustomError("mistake.parameters_active", "more than parameters_total")
        if self.architecture == "moe" and not 0 < self.experts_per_token <= self.experts:
            raise PydanticCustomError(
                "mistake.experts_per_token", "an MoE model routes each token to 1 to `experts` experts"
            )
        if (self.attention == "mla") != (self.kv_latent_dim > 0):
            raise PydanticCustomError("mistake.kv_latent_dim", "mla attention has a kv_latent_dim, and only mla")
        if self.full_layers > self.layers:
            raise PydanticCustomError("mistake.full_layers", "more than layers")
        return self

    @property
    def whole_layers(self) -> int:
        """Layers that attend to the whole context."""
        return self.full_layers or self.layers

    @property
    def moe_layers(self) -> int:
        """Layers with routed experts."""
        return self.layers - self.dense_layers if self.experts else 0

    @property
    def head_parameters(self) -> float:
        """Parameters of the output projection onto the vocabulary, as large as the input embedding."""
        return float(self.vocabulary * self.hidden)

    @property
    def dense_parameters(self) -> float:
        """Parameters that every token passes, without embeddings and routed experts."""
        return self.parameters_total - self.expert_parameters - 2 * self.head_parameters

    def kv_numbers_per_layer(self) -> int:
        """Numbers kept in the KV cache for one token in one attending layer."""
        return self.kv_latent_dim if self.attention == "mla" else 2 * self.kv_heads * self.head_dim

    def kv_numbers_per_token(self) -> int:
        """Numbers kept in the KV cache for one token of a long context, all layers that keep every token."""
        return self.whole_layers * self.kv_numbers_per_layer()
