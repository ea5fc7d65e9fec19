"""Speculative decoding: tokens guessed ahead are checked in the iteration that decodes, and the right ones count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Drafts:
    """So many tokens guessed ahead of every sequence in an iteration [>= 0], each right with a chance [0 to 1] where
    those before it were. Guessing itself is taken to cost nothing."""

    tokens: int = 0
    acceptance: float = 0.0

    @property
    def per_iteration(self) -> float:
        """Output tokens of a sequence in one iteration: 1 + acceptance + acceptance^2 + ... for every guess."""
        return float(sum(self.acceptance**i for i in range(self.tokens + 1)))


NO_DRAFTS = Drafts()
