"""How engines compose an iteration: whether prompts share it with decoding, and how many tokens it takes at most."""

from __future__ import annotations

MIXED_BUDGET, SEPARATE_BUDGET = 8192, 16384
"""Tokens of one iteration: of engines that mix prompts with decoding, and of those that give prompts their own."""
SEPARATES = ("sglang",)
"""Engines that give prompts iterations of their own; vLLM and TensorRT-LLM mix them with decoding."""


def mixes(engine: str) -> bool:
    """Whether prompts share iterations with decoding."""
    return engine not in SEPARATES


def token_budget(engine: str) -> int:
    """Tokens that an iteration takes at most by the engine's default. [token]"""
    return MIXED_BUDGET if mixes(engine) else SEPARATE_BUDGET
