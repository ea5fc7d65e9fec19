"""The JSON schema of a scenario file, from the nouns: for editors, and for whoever writes scenarios by program."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ampacity.scenario.load import COLLECTIONS
from ampacity.scenario.lookup import orbit_defaults
from ampacity.scenario.scenario import ServiceLevel

_LIKE = "what to start from: a behaviour of the catalog, or a file (.yaml) that `ampacity calibrate demand` wrote"


def json_schema() -> dict[str, Any]:
    """Schema (draft 2020-12) of the file as people write it: collections are mappings from names to nouns."""
    nouns: list[type[BaseModel]] = [*COLLECTIONS.values(), ServiceLevel]
    _, definitions = models_json_schema([(noun, "validation") for noun in nouns], by_alias=True)
    defs = definitions["$defs"]
    for noun in COLLECTIONS.values():
        _as_written(defs[noun.__name__])
    windows = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Window"}}
    _as_written(defs["Window"])
    defs["Limit"]["properties"]["windows"] = windows
    behaviour = defs["Behaviour"]
    _as_written(behaviour)
    behaviour.pop("required", None)
    behaviour["properties"]["like"] = {"type": "string", "description": _LIKE}
    defs["Tier"]["properties"]["behaviour"] = {
        "anyOf": [{"type": "string", "description": _LIKE}, {"$ref": "#/$defs/Behaviour"}]
    }
    file = {"type": "string", "description": "a file that `ampacity calibrate serving` wrote"}
    defs["Placement"]["properties"]["calibration"] = {"anyOf": [file, {"$ref": "#/$defs/Calibration"}]}
    # what the catalog fills in where a scenario is silent
    for name, filled in {"Site": None, "Model": None, "Orbit": set(orbit_defaults()), "Tier": {"behaviour"}}.items():
        required = set(defs[name].get("required", ())) - (filled or set(defs[name]["properties"]))
        defs[name]["required"] = sorted(required)
    text = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ampacity scenario",
        "type": "object",
        "additionalProperties": False,
        "required": ["scenario", "start"],
        "properties": {
            "scenario": {**text, "pattern": "^[a-z0-9][a-z0-9._-]*$"},
            "title": text,
            "extends": {**text, "description": "a file, or the name of a packaged scenario, to lay this one over"},
            "start": {**text, "format": "date"},
            "horizon": {**text, "description": 'such as "28 d", "4 weeks" or "12 months"'},
            "worlds": {"type": "integer", "minimum": 1, "maximum": 10000},
            "service_level": {"$ref": "#/$defs/ServiceLevel"},
            **{key: _collection(noun.__name__) for key, noun in COLLECTIONS.items()},
        },
        "$defs": defs,
    }


def _collection(noun: str) -> dict[str, Any]:
    """A mapping from names to nouns; an entry that says nothing takes all from the catalog."""
    return {"type": "object", "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{noun}"}, {"type": "null"}]}}


def _as_written(noun: dict[str, Any]) -> None:
    """A noun as it stands under its name: the name is the key above, not a key of its own."""
    noun["properties"].pop("name", None)
    noun["required"] = [key for key in noun.get("required", ()) if key != "name"]
