"""Models and accelerators of the catalog as nouns, without a scenario around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest
from ampacity.scenario.model import Model


@cache
def catalog_model(name: str) -> Model:
    """A model of the catalog. Raises Mistakes if it has none of that name."""
    return Model.model_validate({"name": name, **_known("model", name, lookup.model(name), lookup.model_names())})


@cache
def catalog_accelerator(name: str, as_of: date | None = None) -> Accelerator:
    """An accelerator of the catalog with the latest claim about every figure.

    as_of: the latest of that day; figures that nobody had published are absent. Raises Mistakes if the catalog has none
    of that name.
    """
    fields = _known("accelerator", name, lookup.accelerator(name), lookup.accelerator_names())
    if as_of is not None:
        fields = {key: found for key, found in fields.items() if _published(found, as_of)}
    return Accelerator.model_validate({"name": name, **fields}, context={"as_of": as_of})


def _known(kind: str, name: str, fields: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    if not fields:
        raise Mistakes([Mistake("catalog", 0, kind, name, f"nothing of that name; {nearest(name, names)}")])
    return fields


def _published(found: object, day: date) -> bool:
    """Whether any of the claims about a figure was known on a day; words are no claims."""
    return not isinstance(found, list) or any(claim.get("known_since", "") <= day.isoformat() for claim in found)
