"""What an emulated model says: plausible words, one a token, and arguments that a tool's schema would let pass."""

from __future__ import annotations

from typing import Any

from ampacity.base.streams import bits

_TEXT = (
    "the a of to and in that it for is on with as this be by from or an not are which one all can has "
    "more its was when so each first then we value test file line code change here case call list returns "
    "should reads writes small large time same next other after before between result where name error "
    "fix run start check"
)
WORDS = tuple(_TEXT.split())
PIECE_CHARS = 4
"""Characters of a token of a tool's arguments."""


def answer_words(seed: int, key: int, tokens: int) -> list[str]:
    """So many words, each but the first with the space before it; the same for the same seed and key."""
    at = bits(seed, key, "words")
    step = 1 + at % (len(WORDS) - 1)
    words = [" " + WORDS[(at + i * step + i // len(WORDS)) % len(WORDS)] for i in range(tokens)]
    words[0] = words[0].strip().capitalize()
    return words


def pieces_of(text: str) -> list[str]:
    """A text in tokens."""
    return [text[i : i + PIECE_CHARS] for i in range(0, len(text), PIECE_CHARS)]


def example(schema: Any) -> Any:
    """The simplest value that a JSON schema lets pass, as far as plain schemas of tools go."""
    if not isinstance(schema, dict):
        return "word"
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return example(schema[key][0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example(properties.get(name)) for name in schema.get("required", ())}
    if kind == "array":
        return [example(schema.get("items"))] * int(schema.get("minItems", 0))
    return {"integer": 1, "number": 1, "boolean": True, "null": None}.get(kind, "word")
