"""The names in a question about serving, as the catalog spells them; wrong ones are answered with right ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from ampacity.scenario import lookup
from ampacity.scenario.engine import Engine, Precision
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest

SIMILAR = 4
"""Names that a suggestion lists at most."""
LISTS = {"model": "ampacity show models", "accelerator": "ampacity show accelerators"}


def spelled(
    model: str, accelerators: Sequence[str], engine: str, precision: str | None
) -> tuple[str, list[str], str, str | None]:
    """All four as the catalog spells them, upper and lower case being one. Raises Mistakes for those it has not."""
    models, chips = lookup.model_names(), lookup.accelerator_names()
    wrong: list[Mistake] = []

    def one(kind: str, name: str, known: Sequence[str], others: Sequence[str] = ()) -> str:
        found = {k.lower(): k for k in known}.get(name.lower())
        if found is None:
            wrong.append(Mistake("show serving", 0, kind, name, _message(kind, name, known, others)))
        return found or name

    names = (
        one("model", model, models, chips),
        [one("accelerator", name, chips, models) for name in accelerators],
        one("engine", engine, get_args(Engine)),
        None if precision is None else one("precision", precision, get_args(Precision)),
    )
    if wrong:
        raise Mistakes(wrong)
    return names


def _message(kind: str, name: str, known: Sequence[str], others: Sequence[str]) -> str:
    """What belongs there: the other kind of name, those that have all its parts, or the nearest."""
    if name.lower() in others:
        other = "an accelerator" if kind == "model" else "a model"
        return f"that is {other}; the model comes first, then accelerators"
    like = [k for k in known if all(part in k for part in name.lower().split("-"))]
    if kind == "model":
        like.sort(key=lambda k: lookup.model(k).get("released", ""), reverse=True)
    if len(like) > 1:
        return "nothing of that name; like it are " + ", ".join(f'"{k}"' for k in like[:SIMILAR])
    words = f'the nearest is "{like[0]}"' if like else nearest(name.lower(), known)
    more = f" ({LISTS[kind]} lists all)" if words.endswith("...") and kind in LISTS else ""
    return f"nothing of that name; {words}{more}"
