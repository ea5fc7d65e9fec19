"""One copy of a model on accelerators that work as one: what each number of it weighs, and how fast it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ampacity.inference.engines import MIXED_BUDGET
from ampacity.inference.layout import Layout, usual_layout
from ampacity.scenario.accelerator import PRECISIONS, Accelerator
from ampacity.scenario.model import Model
from ampacity.scenario.placement import BYTES_PER_NUMBER, MEMORY_SHARE

KV_BLOCK_TOKENS = 16
ACTIVATION_TOKENS = MIXED_BUDGET
"""Tokens of one iteration that memory is kept free for: the usual token budget of an engine."""
PCIE_BYTES_PER_S = 64e9
"""Link of a chip whose link nobody states: PCIe 5.0 x16, one way."""
STATE_BYTES = 4.0
"""Of one number of a linear attention state: engines keep them at 32 bits."""
INDEX_KEY_BYTES = 128.0
"""Key of one token that a sparse-attention indexer reads in a layer: 128 numbers of 8 bits (DeepSeek-V3.2, GLM-5)."""


@dataclass(frozen=True)
class Replica:
    """A model on chips.

    dense_bytes, expert_bytes, head_bytes, kv_bytes: of one number of the weights that every token passes, of routed
    experts, of the output projection, and of the cache [B]. dense_flops_per_s, expert_flops_per_s: peak of one chip at
    the precision of those products; attention_flops_per_s: of attention, at the finest precision that the datasheet
    states. bytes_per_s, hbm_bytes: of one chip. link_bytes_per_s: between the chips that share a product;
    exchange_bytes_per_s: between all of the replica. stated_blocks, stated_seqs: KV blocks that the engine says it has,
    and sequences that it runs at once, if it does.
    """

    model: Model
    chip: str
    vendor: str
    engine: str
    precision: str
    layout: Layout
    dense_bytes: float
    expert_bytes: float
    kv_bytes: float
    dense_flops_per_s: float
    expert_flops_per_s: float
    attention_flops_per_s: float
    bytes_per_s: float
    hbm_bytes: float
    link_bytes_per_s: float
    exchange_bytes_per_s: float
    stated_blocks: int | None = None
    stated_seqs: int | None = None

    @property
    def accelerators(self) -> int:
        """Chips of the replica."""
        return self.layout.accelerators

    @property
    def head_bytes(self) -> float:
        """Engines keep embedding and output projection at two bytes a number."""
        return 2.0

    @property
    def weight_bytes(self) -> float:
        """Memory that the weights take on all chips together, copies of data parallel groups counted. [B]"""
        m, scale = self.model, self.model.scale.value
        dense = m.dense_parameters * self.dense_bytes + 2 * m.head_parameters * self.head_bytes
        return scale * (dense * self.layout.data + m.expert_parameters * self.expert_bytes)

    @property
    def kv_copies(self) -> float:
        """How often a token's cache lies on the chips: tensor parallel repeats latent attention, and few heads."""
        if self.model.attention == "mla":
            return float(self.layout.tensor)
        return self.layout.tensor / min(self.layout.tensor, self.model.kv_heads)

    @property
    def kv_bytes_per_token(self) -> float:
        """Memory that one token of a long context takes on all chips together. [B]"""
        m = self.model
        index = m.whole_layers * INDEX_KEY_BYTES if m.sparse_tokens else 0.0
        return (m.kv_numbers_per_token() * self.kv_bytes + index) * self.kv_copies

    @property
    def activation_bytes(self) -> float:
        """Memory for the largest iteration on all chips: a chip holds its tokens at some ten hidden widths. [B]"""
        widths = 10 + (self.model.experts_per_token if self.model.experts else 0)
        return ACTIVATION_TOKENS * self.model.hidden * 2.0 * widths * self.accelerators / self.layout.pipeline

    @property
    def state_bytes(self) -> float:
        """Memory that a sequence's states of linear attention take, however long it is. [B]"""
        m = self.model
        return (m.layers - m.whole_layers) * m.state_numbers * STATE_BYTES

    @property
    def room_bytes(self) -> float:
        """Memory that weights and activations leave on all chips; negative if those alone do not fit. [B]"""
        return MEMORY_SHARE * self.hbm_bytes * self.accelerators - self.weight_bytes - self.activation_bytes

    @property
    def kv_tokens(self) -> float:
        """Tokens of context that fit, states of sequences not counted: those of the stated blocks, or of the room."""
        if self.stated_blocks is not None:
            return float(self.stated_blocks * KV_BLOCK_TOKENS)
        return self.room_bytes / self.kv_bytes_per_token

    @property
    def kv_blocks(self) -> int:
        """Blocks of KV_BLOCK_TOKENS tokens that an engine finds free at start, or says that it has."""
        return max(int(self.kv_tokens // KV_BLOCK_TOKENS), 0)

    def sequences(self, context_tokens: float) -> int:
        """Sequences of so many tokens that memory holds; every data parallel group keeps its own, in whole blocks."""
        blocks = math.ceil(context_tokens / KV_BLOCK_TOKENS)
        if self.stated_blocks is not None:
            return self.stated_blocks // self.layout.data // blocks * self.layout.data
        each = blocks * KV_BLOCK_TOKENS * self.kv_bytes_per_token + self.state_bytes
        return max(int(self.room_bytes / self.layout.data // each), 0) * self.layout.data


def replica(
    model: Model,
    chip: Accelerator,
    precision: str,
    kv_precision: str,
    layout: Layout | int,
    engine: str = "vllm",
    stated_blocks: int | None = None,
    stated_seqs: int | None = None,
) -> Replica:
    """A replica of `model` on chips in a layout, or on so many in the usual one.

    Checkpoints of experts in four bits keep attention and shared experts at 16 bits. A chip without arithmetic for
    four-bit numbers reads them and multiplies at 16 bits. Raises ValueError if a figure of the chip is not known.
    """
    layout = layout if isinstance(layout, Layout) else usual_layout(model, layout)
    finest, peak = finest_flops(chip), chip.flops(precision)
    if finest is None or chip.hbm_bytes is None or chip.hbm_bytes_per_s is None:
        raise ValueError(f"{chip.name}: its speed, its memory or its bandwidth is not known")
    if precision in ("fp8", "bf16") and peak is None:
        raise ValueError(f"{chip.name}: it has no speed at {precision}, or none is known")
    four_bits = precision in ("fp4", "int4")
    low = peak.value if peak is not None and precision != "int4" else finest
    dense_precision = "bf16" if four_bits and model.experts else precision
    return Replica(
        model=model,
        chip=chip.name,
        vendor=chip.vendor,
        engine=engine,
        precision=precision,
        layout=layout,
        dense_bytes=BYTES_PER_NUMBER[dense_precision],
        expert_bytes=BYTES_PER_NUMBER[precision],
        kv_bytes=BYTES_PER_NUMBER[kv_precision],
        dense_flops_per_s=finest if dense_precision == "bf16" else low,
        expert_flops_per_s=low,
        attention_flops_per_s=finest,
        bytes_per_s=chip.hbm_bytes_per_s.value,
        hbm_bytes=chip.hbm_bytes.value,
        link_bytes_per_s=_link(chip, layout.tensor),
        exchange_bytes_per_s=_link(chip, layout.accelerators),
        stated_blocks=stated_blocks,
        stated_seqs=stated_seqs,
    )


def _link(chip: Accelerator, chips: int) -> float:
    """Speed at which so many chips talk: the scale-up link as far as it joins them, else the network. [B/s]"""
    within = chip.scaleup_world is None or chips <= chip.scaleup_world.value
    first, second = chip.scaleup_bytes_per_s, chip.scaleout_bytes_per_s
    found = (first or second) if within else (second or first)
    return found.value if found is not None else PCIE_BYTES_PER_S


def usual_kv(precision: str) -> str:
    """Precision of the cache that engines are usually run with beside weights at one: bf16 beside bf16, else fp8."""
    return "bf16" if precision == "bf16" else "fp8"


def finest_flops(chip: Accelerator) -> float | None:
    """Peak of a chip at the finest precision that is known of it. [FLOP/s]"""
    known = (chip.flops(precision) for precision in PRECISIONS)
    return next((found.value for found in known if found is not None), None)
