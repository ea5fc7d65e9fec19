"""Many replicas of one model on one kind of chip as a single step time whose numbers are columns.

Every formula of `work.py` is arithmetic on the numbers of a replica, so a replica whose degrees of parallelism, bytes
and peaks are columns gives the times of all of them at once: shape (replicas, batches).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ampacity.inference.coefficients import Coefficients
from ampacity.inference.layout import Layout
from ampacity.inference.step_time import StepTime

_OF_REPLICA = (
    "dense_bytes",
    "expert_bytes",
    "kv_bytes",
    "dense_flops_per_s",
    "expert_flops_per_s",
    "attention_flops_per_s",
    "bytes_per_s",
    "hbm_bytes",
    "link_bytes_per_s",
    "exchange_bytes_per_s",
)


def stacked(steps: Sequence[StepTime]) -> StepTime:
    """Step times as one whose `seconds` and `roofline` have a row for each of them.

    All are of one model; memory (`kv_tokens`, `weight_bytes`) has to be asked of each alone. Raises ValueError if there
    is none, or if the models differ, or what an iteration takes the longer of.
    """
    if not steps or any(step.replica.model is not steps[0].replica.model for step in steps):
        raise ValueError("step times are stacked for one or more replicas of one model")
    c = steps[0].coefficients
    if any(step.coefficients.prompts_beside_reading != c.prompts_beside_reading for step in steps):
        raise ValueError("step times are stacked with prompts beside reading the weights in all of them or in none")
    replicas = [step.replica for step in steps]
    layouts = [r.layout for r in replicas]
    degrees = {name: column([getattr(x, name) for x in layouts]) for name in ("tensor", "data", "pipeline", "expert")}
    numbers = {name: column([getattr(r, name) for r in replicas]) for name in _OF_REPLICA}
    costs: Any = np.array([step.coefficients.cost for step in steps]).T[:, :, None]
    first: Any = np.array([step.coefficients.first for step in steps]).T[:, :, None]
    return StepTime(
        replace(replicas[0], layout=Layout(**degrees), **numbers),
        Coefficients(costs, first, c.label, c.version, prompts_beside_reading=c.prompts_beside_reading),
        column([step.speed for step in steps]),
    )


def column(values: Sequence[float]) -> Any:
    """Numbers one below the other, so that they broadcast against a row of batches; in place of a plain number."""
    return np.array(values, dtype=np.float64)[:, None]
