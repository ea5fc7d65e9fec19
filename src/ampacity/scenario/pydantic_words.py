"""Pydantic's findings in our words: which key, what was found, what belongs there."""

from __future__ import annotations

from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ampacity.scenario.mistakes import nearest

Finding = tuple[tuple[str, ...], str, str]

_PLAIN = {
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "tuple_type": "expected a list",
    "model_type": "expected a mapping of keys",
    "model_attributes_type": "expected a mapping of keys",
    "date_type": "expected a day, such as 2026-05-06",
    "date_parsing": "expected a day, such as 2026-05-06",
    "date_from_datetime_parsing": "expected a day, such as 2026-05-06",
    "time_type": 'expected a time of day, such as "05:00"',
    "time_parsing": 'expected a time of day, such as "05:00"',
    "too_short": "expected at least one entry",
}


def mistakes_of(
    noun: type[BaseModel], fields: dict[str, Any], as_of: date | None, err: ValidationError | None = None
) -> list[Finding]:
    """What is wrong with the fields of a noun, as (path below the noun, found, message)."""
    if err is None:
        try:
            noun.model_validate(fields, context={"as_of": as_of})
            return []
        except ValidationError as raised:
            err = raised
    findings = []
    for error in err.errors(include_url=False):
        location = tuple(part for part in error["loc"] if not str(part).startswith(("function-", "literal[", "tuple[")))
        suffix = tuple(error["type"].split(".")[1:]) if error["type"].startswith("mistake") else ()
        path = _named_path(fields, (*location, *suffix))
        findings.append((path, _found(error), _message(noun, location, error), error["type"]))
    # a list is called too short when its only entry is wrong: the entry's own mistake says it better
    paths = [path for path, _, _, _ in findings]
    hollow = [f for f in findings if f[3] == "too_short" and any(p[: len(f[0])] == f[0] and p != f[0] for p in paths)]
    return [
        (path, found, message) for path, found, message, kind in findings if (path, found, message, kind) not in hollow
    ]


def _message(noun: type[BaseModel], location: tuple[int | str, ...], error: Any) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(location[-1]), _keys_at(noun, location[:-1]))}"
    if kind == "missing":
        return f"missing; {_what(noun, location)}"
    if kind == "literal_error":
        return f"expected one of {error['ctx']['expected'].replace(chr(39), '')}"
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        (bound,) = error["ctx"].values()
        words = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most"}
        return f"expected {words.get(kind, 'less than')} {bound:g}"
    if kind == "string_pattern_mismatch":
        if error["loc"][-1] == "key_file":
            return "expected the whole path of a file, such as /run/secrets/vllm-key"
        return "expected the name of an environment variable, such as VLLM_KEY"
    return _PLAIN.get(kind) or str(error["msg"])


def _found(error: Any) -> str:
    value = error.get("input")
    if error["type"] in ("missing", "extra_forbidden") or isinstance(value, dict | list | tuple | BaseModel):
        return ""
    return "nothing" if value is None else str(value)


def _named_path(fields: Any, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """A location in the fields as the file writes it: entries that the file names by a key get that name back."""
    path: list[str] = []
    for part in location:
        entry: Any = None
        if isinstance(fields, list | tuple) and str(part).isdigit() and int(part) < len(fields):
            entry = fields[int(part)]
        elif isinstance(fields, dict):
            entry = fields.get(str(part))
        named = path[-1:] == ["windows"] and isinstance(entry, dict)
        path.append(str(entry.get("name", part)) if named and isinstance(entry, dict) else str(part))
        fields = entry
    return tuple(path)


def _model_at(noun: Any, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The noun that a location leads to."""
    for part in location:
        if isinstance(part, int):
            continue
        if not (isinstance(noun, type) and issubclass(noun, BaseModel)):
            return None
        field = next((f for n, f in noun.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            return None
        noun = _inner(field.annotation)
    return noun if isinstance(noun, type) and issubclass(noun, BaseModel) else None


def _inner(annotation: Any) -> Any:
    """The noun inside `X | None`, `tuple[X, ...]`, `Annotated[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (inner := _inner(argument)) is not None:
            return inner
    return None


def _keys_at(noun: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    model = _model_at(noun, location)
    return [f.alias or n for n, f in model.model_fields.items()] if model else []


def _what(noun: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The docstring's first sentence about the noun that misses a key."""
    model = _model_at(noun, location[:-1]) or noun
    sentence = (model.__doc__ or "").strip().splitlines()[0].split(". ")[0].rstrip(".")
    return f"{model.__name__.lower()}: {sentence[0].lower()}{sentence[1:]}"
