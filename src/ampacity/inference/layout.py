"""How a model lies on the accelerators of one replica: tensor, data, pipeline and expert parallel."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.scenario.model import Model

NODE = 8
"""Chips of a server: as far as recipes spread one matrix product, and the fast link reaches where nobody says."""


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism; all >= 1.

    tensor: chips that share every matrix. data: groups that attend to their own sequences and keep their own copy of
    what is not an expert. pipeline: stages of consecutive layers. expert: groups over which whole experts are spread;
    the chips of such a group share each of its experts.
    """

    tensor: int = 1
    data: int = 1
    pipeline: int = 1
    expert: int = 1

    @property
    def accelerators(self) -> int:
        """Chips of the replica."""
        return self.tensor * self.data * self.pipeline

    def __str__(self) -> str:
        degrees = (("TP", self.tensor), ("DP", self.data), ("PP", self.pipeline), ("EP", self.expert))
        return " ".join(f"{name}{n}" for name, n in degrees if n > 1) or "one chip"


def mistakes(model: Model, layout: Layout) -> list[str]:
    """What of a layout is impossible for a model, in words; empty if nothing is."""
    found = []
    if min(layout.tensor, layout.data, layout.pipeline, layout.expert) < 1:
        found.append(f"{layout}: every degree of parallelism is at least 1")
    if model.heads % layout.tensor:
        found.append(f"TP{layout.tensor}: {model.name} has {model.heads} heads, which that many chips cannot share")
    if layout.pipeline > model.layers:
        found.append(f"PP{layout.pipeline}: {model.name} has only {model.layers} layers")
    if layout.data > 1 and not model.experts:
        found.append(f"DP{layout.data}: a dense model gains nothing from data parallel attention; use more replicas")
    if layout.expert > 1 and not model.experts:
        found.append(f"EP{layout.expert}: {model.name} has no experts")
    elif model.experts and (layout.tensor * layout.data) % layout.expert:
        found.append(f"EP{layout.expert} does not divide the {layout.tensor * layout.data} chips of a stage")
    elif layout.expert > max(model.experts, 1):
        found.append(f"EP{layout.expert}: {model.name} has only {model.experts} experts")
    return found


def usual_layout(model: Model, accelerators: int) -> Layout:
    """The layout that engines' recipes use for so many chips.

    Latent attention keeps one copy of the cache per tensor-parallel chip, so it goes data parallel with the experts
    spread. Other models go tensor parallel within a node; beyond it, attention goes data parallel and experts are
    spread, or a dense model's layers are divided.
    """
    if model.attention == "mla" and model.experts:
        return Layout(data=accelerators, expert=_divisor(accelerators, model.experts))
    tensor = _divisor(accelerators, model.heads, NODE)
    rest = accelerators // tensor
    if model.experts:
        return Layout(tensor, data=rest, expert=_divisor(rest, model.experts))
    return Layout(tensor, pipeline=min(rest, model.layers))


def _divisor(one: int, other: int, most: int = 1 << 30) -> int:
    """The largest number up to `most` that divides both."""
    return next(n for n in range(min(one, other, most), 0, -1) if one % n == 0 and other % n == 0)
