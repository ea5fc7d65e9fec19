"""Throughput that others published for as much load as a system takes, with nobody waiting for a token.

MLPerf's Offline scenario and TensorRT-LLM's own tables (`serving_points.csv` of the catalog): one number a system. The
batch is what memory holds, up to the engine's largest, so the composition of the iteration is known beforehand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ampacity.inference.layout import Layout, usual_layout
from ampacity.inference.replica import Replica, replica
from ampacity.scenario import lookup
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model

ENGINE, VERSION = "trtllm", "offline"
LARGEST_BATCH = 2048
"""Sequences at once: the default of TensorRT-LLM's benchmark."""
MANY = 64
"""Contexts that a replica holds at the least where nobody states how a system was split into replicas."""


@dataclass(frozen=True)
class OfflinePoint:
    """One published throughput.

    seconds_per_token: of one accelerator for one output token [s]. input_tokens, output_tokens: means of the requests.
    """

    suite: str
    model: str
    accelerator: str
    precision: str
    layout: Layout
    input_tokens: float
    output_tokens: float
    seconds_per_token: float

    @property
    def group(self) -> str:
        """Model, accelerator, precision and layout: what is left out together."""
        return "|".join((self.model, self.accelerator, "offline", self.precision, str(self.layout)))

    @property
    def context_tokens(self) -> float:
        """Mean context of a sequence being decoded."""
        return self.input_tokens + self.output_tokens / 2


@cache
def offline_points(vendor: str = "NVIDIA") -> tuple[OfflinePoint, ...]:
    """The published throughputs on a vendor's chips."""
    rows = (row for row in lookup.table("serving_points") if row["scenario"] == "offline")
    return tuple(_point(row) for row in rows if catalog_accelerator(row["accelerator"]).vendor == vendor)


def busiest_iteration(p: OfflinePoint, r: Replica) -> tuple[float, float, float, float]:
    """b, k, p and a of the iteration of a full replica."""
    b = float(max(min(r.sequences(p.context_tokens), LARGEST_BATCH), 1))
    prefill = b * p.input_tokens / p.output_tokens
    return b, b * p.context_tokens, prefill, prefill * p.input_tokens / 2


def replica_of(p: OfflinePoint) -> Replica:
    """The replica that a point was measured on; its cache is taken to be at fp8."""
    return replica(catalog_model(p.model), catalog_accelerator(p.accelerator), p.precision, "fp8", p.layout, ENGINE)


def _point(row: dict[str, str]) -> OfflinePoint:
    chips = int(row["accelerators"])
    inputs, outputs = float(row["input_tokens"]), float(row["output_tokens"])
    return OfflinePoint(
        suite=row["suite"],
        model=row["model"],
        accelerator=row["accelerator"],
        precision=row["precision"],
        layout=_stated(row["layout"]) or _smallest(row, inputs + outputs / 2, chips),
        input_tokens=inputs,
        output_tokens=outputs,
        seconds_per_token=chips / float(row["output_tokens_per_s"]),
    )


def _stated(text: str) -> Layout | None:
    """`TP2 PP4 EP1`, or `DEP8` for attention data parallel with experts spread."""
    degrees = {name: int(count) for name, count in re.findall(r"(DEP|TP|PP|EP)(\d+)", text)}
    if "DEP" in degrees:
        return Layout(data=degrees["DEP"], expert=degrees["DEP"])
    if "TP" in degrees:
        return Layout(degrees["TP"], 1, degrees.get("PP", 1), degrees.get("EP", 1))
    return None


def _smallest(row: dict[str, str], context_tokens: float, chips: int) -> Layout:
    """The smallest usual layout with room for many contexts, or all chips that one fabric joins."""
    model, chip = catalog_model(row["model"]), catalog_accelerator(row["accelerator"])
    chips = min(chips, int(chip.scaleup_world.value)) if chip.scaleup_world is not None else chips
    count = 1
    while count < chips:
        layout = usual_layout(model, count)
        if replica(model, chip, row["precision"], "fp8", layout, ENGINE).sequences(context_tokens) >= MANY:
            return layout
        count *= 2
    return usual_layout(model, min(count, chips))
