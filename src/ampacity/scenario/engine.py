"""The engines that serve, and the precisions at which they keep weights and cache."""

from __future__ import annotations

from typing import Literal

Engine = Literal["vllm", "sglang", "trtllm"]
Precision = Literal["bf16", "fp8", "fp4", "int4"]
"""Of the weights' products; int4: of the weights alone."""
KvPrecision = Literal["bf16", "fp8", "fp4"]
"""Of the KV cache."""
