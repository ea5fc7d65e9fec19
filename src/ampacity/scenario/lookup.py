"""The catalog's tables as the nouns' own keys: what a scenario gets by naming a thing instead of describing it."""

from __future__ import annotations

import csv
import math
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

CATALOG: Traversable = files("ampacity.catalog")
AGENTS = "coding-agent"
_CLAIM = ("unit", "basis", "status", "who", "source", "known_since", "confidence")


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one of the catalog's CSV files."""
    text = (CATALOG / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def claim(row: dict[str, str]) -> dict[str, Any]:
    """A row of a claim table as a scenario would write it."""
    numbers = {k: float(row[k]) for k in ("value", "low", "high") if row[k]}
    words = {k: row[k] for k in _CLAIM if row[k]}
    return {**numbers, **words, **({"reason": row["note"]} if row["note"] else {})}


def claims(name: str, key: str, of: str) -> dict[str, list[dict[str, Any]]]:
    """All claims about `of` in a claim table whose first column is `key`, grouped by quantity, oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table(name):
        if row[key] == of:
            found.setdefault(row.get("quantity", "value"), []).append(claim(row))
    for group in found.values():
        group.sort(key=lambda c: c.get("known_since", ""))
    return found


def accelerator_names() -> tuple[str, ...]:
    """The accelerators that the catalog knows."""
    return tuple(row["accelerator"] for row in table("accelerators"))


def accelerator(name: str) -> dict[str, Any]:
    """An accelerator with all its claims; empty if the catalog does not know it."""
    for row in table("accelerators"):
        if row["accelerator"] == name:
            words = {k: row[k] for k in ("vendor", "system", "availability")}
            return {**words, **claims("accelerator_claims", "accelerator", name)}
    return {}


def model_names() -> tuple[str, ...]:
    """The models that the catalog knows."""
    return tuple(row["model"] for row in table("models"))


def model(name: str) -> dict[str, Any]:
    """A model's shape; empty if the catalog does not know it."""
    for row in table("models"):
        if row["model"] == name:
            return {k: v for k, v in row.items() if v and k != "model"}
    return {}


def behaviour_names() -> tuple[str, ...]:
    """The behaviours that the catalog knows."""
    return tuple(dict.fromkeys(row["behaviour"] for row in table("behaviours")))


def behaviour(name: str, window_tokens: float = math.inf) -> dict[str, Any]:
    """A behaviour's claims, as it is on a model of so long a context; empty if the catalog does not know it."""
    found: dict[str, Any] = dict(claims("behaviours", "behaviour", name))
    if name == AGENTS:
        for quantity, times in compaction(window_tokens).items():
            if times != 1:
                found[quantity] = [_scaled(claim, times, window_tokens) for claim in found[quantity]]
    return {"name": name, **found} if found else {}


def compaction(window_tokens: float) -> dict[str, float]:
    """What quantities of agents are multiplied by where their model holds no more context than this.

    The table is what `demand.sessions.generate` draws for such windows; between its rows the logarithm of the window
    counts. Beyond its ends the end stands: agents in the traces had windows of up to a million tokens.
    """
    rows = table("demand/compaction")
    known = [float(row["window_tokens"]) for row in rows]
    at = math.log(min(max(window_tokens, known[0]), known[-1]))
    i = max(i for i, k in enumerate(known[:-1]) if math.log(k) <= at + 1e-12)
    part = (at - math.log(known[i])) / (math.log(known[i + 1]) - math.log(known[i]))
    quantities = [c for c in rows[0] if c != "window_tokens"]
    return {q: float(rows[i][q]) * (1 - part) + float(rows[i + 1][q]) * part for q in quantities}


def _scaled(claim: dict[str, Any], times: float, window_tokens: float) -> dict[str, Any]:
    """A claim multiplied, and its reason with what was done to it."""
    numbers: dict[str, Any] = {k: float(f"{claim[k] * times:.4g}") for k in ("value", "low", "high") if k in claim}
    why = f"times {times:.3g}: agents compact their context to fit the model's {window_tokens:,.0f} tokens"
    reason = f"{claim['reason']}; {why}" if "reason" in claim else why
    return {**claim, **numbers, "reason": reason}


def grid_names() -> tuple[str, ...]:
    """The grids whose carbon intensity the catalog knows."""
    return tuple(dict.fromkeys(row["grid"] for row in table("grid_carbon")))


def grid_carbon(name: str) -> list[dict[str, Any]]:
    """Carbon intensity of a grid, one claim a year; empty if the catalog does not know it."""
    return claims("grid_carbon", "grid", name).get("value", [])


def emission_claims(control: str) -> dict[str, list[dict[str, Any]]]:
    """Emission factors of a control word by quantity; empty if the catalog does not know it."""
    return claims("emission_factors", "control", control)


def site_defaults() -> dict[str, Any]:
    """What a site is taken to be where the scenario is silent."""
    return dict(claims("site_defaults", "kind", "ground"))


def orbital_site_defaults() -> dict[str, Any]:
    """What a site in orbit is taken to be where the scenario is silent, beyond its orbit."""
    return {**site_defaults(), **claims("orbital_defaults", "noun", "site")}


def orbit_defaults() -> dict[str, Any]:
    """What an orbit and the satellites in it are taken to be where the scenario is silent."""
    return dict(claims("orbital_defaults", "noun", "orbit"))


def shape_names() -> tuple[str, ...]:
    """The hour-of-week shapes that the catalog knows."""
    return tuple(dict.fromkeys(row["shape"] for row in table("hour_shapes")))


def preset_path(name: str) -> Traversable:
    """Where a limit preset would be."""
    return CATALOG / "limits" / f"{name}.yaml"


def preset_names() -> tuple[str, ...]:
    """The dated limit presets of the catalog."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in (CATALOG / "limits").iterdir()))


def scenario_path(name: str) -> Traversable:
    """Where a packaged scenario would be."""
    return CATALOG / "scenarios" / f"{name}.yaml"


def scenario_names() -> tuple[str, ...]:
    """The packaged scenarios."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in (CATALOG / "scenarios").iterdir()))
