"""Every candidate replica of a model on a kind of chip at every batch worth looking at: what all choices start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.inference.candidates import Candidates, candidates
from ampacity.inference.coefficients import Coefficients
from ampacity.inference.replica import Replica
from ampacity.inference.stack import stacked
from ampacity.inference.steady import Load, Steady, steady, usual_load
from ampacity.inference.step_time import StepTime
from ampacity.inference.work import Array
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.calibration import Calibration
from ampacity.scenario.model import Model

BATCHES = 28
"""Batches looked at for each replica, from one request to the most that it holds, evenly in the logarithm."""


@dataclass(frozen=True)
class Operation:
    """A replica with so many requests in flight.

    requests: of the whole replica. ttft_s, tpot_s: means [s]. tokens_per_s_per_chip: output tokens [token/s].
    binds: what keeps it from more: `memory`, `sequences`, `TPOT`, `TTFT`, or `nothing` where more would not help.
    """

    step: StepTime
    load: Load
    requests: int
    ttft_s: float
    tpot_s: float
    tokens_per_s_per_chip: float
    binds: str = "nothing"

    @property
    def replica(self) -> Replica:
        """The replica at work."""
        return self.step.replica

    @property
    def coefficients(self) -> Coefficients:
        """What its times were found with."""
        return self.step.coefficients

    @property
    def tokens_per_s_per_user(self) -> float:
        """Output tokens of one request while it decodes. [token/s]"""
        return 1.0 / self.tpot_s


@dataclass(frozen=True)
class Survey:
    """Candidates in steady state.

    chips: accelerators of each (a column). at: arrays of (candidates, batches). owned: chips that there are; None: as
    many as it takes.
    """

    model: Model
    chip: Accelerator
    load: Load
    candidates: Candidates
    stack: StepTime
    chips: Array
    at: Steady
    owned: int | None = None

    @property
    def in_use(self) -> Array:
        """Share of the chips that there are which whole replicas of each candidate take (a column). [0 to 1]"""
        if self.owned is None:
            return np.ones_like(self.chips)
        return np.asarray(self.owned // self.chips * self.chips / self.owned)

    @property
    def tokens_per_s_per_chip(self) -> Array:
        """Output tokens. [token/s]"""
        return self.at.output_tokens_per_s / self.chips

    def operation(self, row: int, batch: int, binds: str = "nothing") -> Operation:
        """One candidate at one of its batches, by their places in `at`."""
        times = float(self.at.ttft_s[row, batch]), float(self.at.tpot_s[row, batch])
        rate = float(self.tokens_per_s_per_chip[row, batch])
        return Operation(self.candidates.steps[row], self.load, int(self.at.requests[row, batch]), *times, rate, binds)


def survey(
    model: Model,
    chip: Accelerator,
    load: Load | None = None,
    engine: str = "vllm",
    precision: str | None = None,
    chips: int | None = None,
    calibration: Calibration | None = None,
) -> Survey:
    """Survey every candidate. load: absent: 1,024 tokens in and out. chips: that there are; absent:
    as many as it takes. calibration: one's own, of that model, chip and engine, at whose precisions everything is.

    Raises Mistakes as `candidates` does.
    """
    load = load or usual_load(engine)
    found = candidates(model, chip, load, engine, precision, chips, calibration)
    stack = stacked(found.steps)
    shares = np.linspace(0.0, 1.0, BATCHES)
    requests = np.maximum(np.rint(found.most[:, None] ** shares), 1.0)
    size = np.array([[float(step.replica.accelerators)] for step in found.steps])
    return Survey(model, chip, load, found, stack, size, steady(stack, load, requests), chips)


def operation(step: StepTime, load: Load, requests: int, binds: str = "nothing") -> Operation:
    """A replica at work with so many requests in flight."""
    at = steady(step, load, float(requests))
    rate = float(at.output_tokens_per_s) / step.replica.accelerators
    return Operation(step, load, requests, float(at.ttft_s), float(at.tpot_s), rate, binds)
