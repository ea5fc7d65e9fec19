"""A calibration: how one's own measurements of a model on an accelerator differ from the catalog's coefficients.

`ampacity calibrate serving` writes it, a placement names it, `inference` applies it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from ampacity.scenario.engine import Engine, KvPrecision, Precision
from ampacity.scenario.value import Noun

Shift = Annotated[float, Field(ge=-5.0, le=5.0)]
Error = Annotated[float | None, Field(ge=0.0)]


class Shifts(Noun):
    """Logarithms of how much more each path of an iteration costs than the catalog says; 0 leaves it as it is.

    all: every path of an iteration; first: everything else that a first token waits for. The others add to these.
    An efficiency is moved towards 1 but never past it.
    """

    all: Shift = 0.0
    first: Shift = 0.0
    dense_memory: Shift = 0.0
    dense_compute: Shift = 0.0
    expert_memory: Shift = 0.0
    expert_compute: Shift = 0.0
    decode_memory: Shift = 0.0
    decode_compute: Shift = 0.0
    prefill_attention: Shift = 0.0
    link: Shift = 0.0
    kernel_us: Shift = 0.0
    collective_us: Shift = 0.0
    sequence_us: Shift = 0.0
    activation: Shift = 0.0
    iteration_ms: Shift = 0.0
    request_ms: Shift = 0.0
    input_token_us: Shift = 0.0
    client_ms: Shift = 0.0


class Errors(Noun):
    """Median error of a time over the measured points, as a share.

    before: with the catalog's coefficients; after: with the shifts; left_out: of each point by a fit to the others.
    """

    before: Error = None
    after: Error = None
    left_out: Error = None

    @property
    def expected(self) -> float | None:
        """The error to expect of what was not measured; None if nothing says."""
        return self.left_out if self.left_out is not None else self.after


class Calibration(Noun):
    """What a fit to own measurements found.

    model, accelerator, engine, precision, kv_precision, layout: of the measurements. version: of the engine in the
    catalog, from whose coefficients the shifts count; catalog: hash of those. points: measured loads that were fitted;
    left_out: rows that could not be. sources: files. tpot, ttft: errors. prompts_beside_reading: an iteration takes the
    dense products of its prompts on top of reading the weights; else the longer of the two, as in the catalog.
    """

    kind: Literal["serving"] = "serving"
    date: datetime.date
    sources: tuple[str, ...] = Field(min_length=1)
    points: int = Field(ge=1)
    left_out: int = Field(0, ge=0)
    model: str
    accelerator: str
    engine: Engine
    version: str = ""
    catalog: str = ""
    precision: Precision
    kv_precision: KvPrecision = "fp8"
    layout: str = ""
    tpot: Errors = Errors()
    ttft: Errors = Errors()
    prompts_beside_reading: bool = False
    shifts: Shifts

    def not_as_asked(self, **asked: str | None) -> Iterator[tuple[str, str, str]]:
        """What of a question (model=, accelerator=, engine=, precision=) was not measured: key, measured, in words."""
        for key, wanted in asked.items():
            measured = str(getattr(self, key))
            if wanted not in (None, measured):
                yield key, measured, f"what was measured; asked for is {wanted}"

    @property
    def expected_error(self) -> float | None:
        """The error of TPOT to expect, as a share; None if nothing says."""
        return self.tpot.expected

    @property
    def label(self) -> str:
        """How the coefficients were come by, in words."""
        return f"calibrated on {self.points} point{'' if self.points == 1 else 's'} of your own"
