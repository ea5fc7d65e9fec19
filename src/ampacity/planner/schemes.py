"""Two schemes of limits laid over the same subscribers: dated presets, files of limits, or scenarios."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ampacity.scenario import lookup
from ampacity.scenario.limit import Limit
from ampacity.scenario.load import load, rebuild
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tree import read_tree

PEOPLE_OF = "colossus-1"
"""The scenario whose subscribers meet presets and files of limits, unless another is named."""


@dataclass(frozen=True)
class LaidOver:
    """A scheme on a scenario's tiers. limits: name of the limit of each tier in the scenario; None has no window."""

    label: str
    limits: dict[str, str | None]


@dataclass(frozen=True)
class Comparison:
    """Schemes over one scenario. tiers: names of those that every scheme has a limit for. public: whether all of it
    rests on public statements about a real organization."""

    scenario: Scenario
    schemes: tuple[LaidOver, ...]
    tiers: tuple[str, ...]
    public: bool


def comparison(a: str, b: str, on: str | None = None, beside: tuple[str, ...] = ()) -> Comparison:
    """Lay schemes `a` and `b`, and those `beside`, over the subscribers of scenario `on`.

    A scheme is the name of a dated preset, a YAML file with `limits:` (tiers, each with windows), or a scenario.
    Without `on` it is the first of the two that is a scenario, else the announcement's. Raises Mistakes with all that
    is wrong.
    """
    names = (a, b, *(name for name in beside if name not in (a, b)))
    found = {name: _scheme(name) for name in names}
    labels: dict[str, str] = {}
    for name, scheme in found.items():
        plain = scheme.name if isinstance(scheme, Scenario) else _label(name)
        labels[name] = plain if plain not in labels.values() else f"{plain}-{len(labels) + 1}"
    own = next((s for s in found.values() if isinstance(s, Scenario)), None)
    base = load(on) if on else own or load(PEOPLE_OF)
    people = [t.name for t in base.tiers if t.kind == "subscribers" or t.limit is not None]
    schemes, scenario = [], base
    for name in names:
        scheme, label = found[name], labels[name]
        if isinstance(scheme, Scenario):
            scenario, limits = _of_scenario(scenario, scheme, label, people)
        else:
            scenario, limits = _of_tree(scenario, scheme, label, people)
        schemes.append(LaidOver(label, limits))
    tiers = tuple(t for t in people if all(t in s.limits for s in schemes))
    if not tiers:
        has = {base.name: people, **{s.label: list(s.limits) for s in schemes}}
        known = "; ".join(f"{label} has {', '.join(own) or 'none of them'}" for label, own in has.items())
        message = f"no tier that all have a limit for; {known}"
        raise Mistakes([Mistake("compare", 0, "tiers", "", message)])
    presets = set(found) <= set(lookup.preset_names())
    return Comparison(scenario, tuple(schemes), tiers, presets or base.about == "public")


def _label(name: str) -> str:
    stem = name if name in lookup.preset_names() else Path(name).stem
    return re.sub(r"[^a-z0-9-]+", "-", stem.lower()).strip("-") or "limits"


def _scheme(name: str) -> Scenario | dict[str, Any]:
    """A scenario, or the tree of a preset or file of limits."""
    if name in lookup.preset_names():
        return read_tree(Path(str(lookup.preset_path(name))), name).data
    if name not in lookup.scenario_names() and Path(f"{name}.yaml").is_file():
        name = f"{name}.yaml"
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        tree = read_tree(path, name)
        if "scenario" not in tree.data and "extends" not in tree.data:
            if not isinstance(tree.data.get("limits"), dict):
                message = "neither a scenario nor a file of limits; expected `limits:`, with a tier's windows below it"
                raise Mistakes([Mistake(name, 1, "limits", "", message)])
            return tree.data
    if not path.suffix and name not in lookup.scenario_names():
        known = (*lookup.preset_names(), *lookup.scenario_names())
        message = f"no preset, file or scenario of that name; {nearest(name, known)}"
        raise Mistakes([Mistake("compare", 0, "scheme", name, message)])
    return load(name)


def _of_tree(
    s: Scenario, tree: dict[str, Any], label: str, people: list[str]
) -> tuple[Scenario, dict[str, str | None]]:
    """The scenario with a file's limits beside its own, and which tier meets which; `formerly` names renamed ones."""
    formerly = tree.get("formerly") or {}
    limits: dict[str, str | None] = {}
    changes: dict[str, object] = {}
    for name, fields in tree["limits"].items():
        tier = name if name in people else formerly.get(name)
        if tier in people:
            limits[tier] = f"{label}-{name}"
            changes[f"limits.{label}-{name}"] = fields or {}
    return (rebuild(s, changes) if changes else s), limits


def _of_scenario(s: Scenario, other: Scenario, label: str, people: list[str]) -> tuple[Scenario, dict[str, str | None]]:
    """The same with another scenario's limits, tier by tier of one name."""
    limits: dict[str, str | None] = {}
    added: list[Limit] = []
    names = {limit.name for limit in s.limits}
    for tier in other.tiers:
        if tier.name not in people:
            continue
        if tier.limit is None:
            limits[tier.name] = None
            continue
        name = tier.limit if s is other else f"{label}-{tier.limit}"
        if name not in names:
            added.append(other.limit(tier.limit).model_copy(update={"name": name}))
            names.add(name)
        limits[tier.name] = name
    return (s.model_copy(update={"limits": (*s.limits, *added)}) if added else s), limits
