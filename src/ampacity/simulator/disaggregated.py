"""Prefill and decoding on two replicas: prompts are computed on one, their context moves to the other, which goes on.

As vLLM does it: the replica that decodes computes the last token of the prompt again and gives the first one. A fleet
does the same with its own routing: OUTPUT 1 on the one side, COMPUTED on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ampacity.simulator.engine import Engine
from ampacity.simulator.open_loop import Served, serve_open_loop
from ampacity.simulator.rows import Ints
from ampacity.simulator.step_table import StepTable


@dataclass(frozen=True)
class Transfer:
    """Moving a context: latency_ps, and ps_per_token of context, both >= 0. Transfers do not share a link."""

    latency_ps: int = 0
    ps_per_token: int = 0

    def __post_init__(self) -> None:
        if self.latency_ps < 0 or self.ps_per_token < 0:
            raise ValueError(f"a transfer of {self.latency_ps} ps and {self.ps_per_token} ps a token: both at least 0")

    def ps(self, tokens: Ints) -> Ints:
        """Time that contexts of so many tokens take."""
        return self.latency_ps + self.ps_per_token * tokens


def serve_apart(
    prefill: tuple[Engine, StepTable],
    decode: tuple[Engine, StepTable],
    transfer: Transfer,
    arrival_ps: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
) -> tuple[Served, Served]:
    """What requests meet on both replicas, in the order given; the answers are those of the second.

    Memory of the first is given back when the prompt is computed, not when it has moved. Arguments and errors as of
    `serve_open_loop`.
    """
    arrival, inputs, outputs = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, np.int64)) for x in (arrival_ps, input_tokens, output_tokens))
    )
    prompts = serve_open_loop(*prefill, arrival, inputs, 1)
    there = prompts.finish_ps + transfer.ps(inputs)
    order = np.argsort(there, kind="stable")
    answers = serve_open_loop(
        *decode, there[order], inputs[order], outputs[order], brought_tokens=np.maximum(inputs[order] - 1, 0)
    )
    back = np.argsort(order)
    counts = answers.stepped, answers.jumped, answers.preemptions
    return prompts, Served(answers.first_ps[back], answers.finish_ps[back], *counts)
