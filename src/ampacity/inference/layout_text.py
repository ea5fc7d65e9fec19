"""A layout in words, as people write it: `TP4`, `TP8 EP8`, `DP8EP8`, or a number of chips."""

from __future__ import annotations

import re

from ampacity.inference.layout import Layout, mistakes, usual_layout
from ampacity.scenario.model import Model

_DEGREES = {"TP": "tensor", "DP": "data", "PP": "pipeline", "EP": "expert"}
_WORD = re.compile(r"\s*,?\s*(TP|DP|PP|EP)\s*=?\s*(\d{1,5})", re.IGNORECASE)


def layout_from(text: str, model: Model) -> Layout:
    """The layout that a text names; a bare number of chips is the usual one. Raises ValueError with all mistakes."""
    text = text.strip()
    if text.isdigit() and 0 < int(text) < 100_000:
        return usual_layout(model, int(text))
    degrees: dict[str, int] = {}
    at = 0
    while at < len(text):
        word = _WORD.match(text, at)
        if word is None or _DEGREES[word[1].upper()] in degrees:
            raise ValueError(f'"{text}" is no layout; expected one like TP4, "TP8 EP8" or a number of chips')
        degrees[_DEGREES[word[1].upper()]] = int(word[2])
        at = word.end()
    if not degrees:
        raise ValueError('an empty layout; expected one like TP4, "TP8 EP8" or a number of chips')
    found = Layout(**degrees)
    if min(degrees.values()) < 1:
        raise ValueError(f"{text}: every degree of parallelism is at least 1")
    if wrong := mistakes(model, found):
        raise ValueError("; ".join(wrong))
    return found
