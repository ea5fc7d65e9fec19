"""A job: training or batch work that takes accelerators from serving."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from ampacity.scenario.value import Accelerators, Noun, PlainSeconds


class Job(Noun):
    """Accelerators set aside at a site from `start` for `duration_s`, or to the end. [s]

    kind: `training` holds its accelerators; `batch` yields to serving.
    """

    name: str
    kind: Literal["training", "batch"] = "training"
    site: str
    accelerator: str
    quantity: Accelerators
    start: date
    duration_s: PlainSeconds | None = Field(None, alias="duration")
