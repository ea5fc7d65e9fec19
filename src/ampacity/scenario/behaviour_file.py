"""Behaviours that a tier takes from a file: one's own trace, fitted, in the place of the catalog's coding agent.

A tier says `behaviour: {like: office.demand.yaml, active_hours: 20 h/week}`, or `behaviour: office.demand.yaml`. From
then on `like` holds the file's section `behaviour`, with the file and line of every key of its own. What the section
does not give comes from the catalog.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ampacity.scenario.mistakes import Mistake
from ampacity.scenario.named_file import read_named
from ampacity.scenario.tree import Key, Tree

SECTION = "behaviour"
WRITTEN_BY = "`ampacity calibrate demand TRACE` writes it"


def take_in(tree: Tree, folder: Path) -> None:
    """Put the behaviours of files in the place of their names; `tree.mistakes` gets what is wrong."""
    tiers = tree.data.get("tiers")
    for name, fields in tiers.items() if isinstance(tiers, dict) else ():
        own = fields.get("behaviour") if isinstance(fields, dict) else None
        if _names_file(own):
            own = fields["behaviour"] = {"like": own}
        if isinstance(own, dict) and _names_file(own.get("like")):
            own["like"] = _section(tree, ("tiers", str(name), "behaviour", "like"), own["like"].strip(), folder)


def _names_file(like: object) -> bool:
    """Whether a name is the path of a file and no word of the catalog."""
    return isinstance(like, str) and like.strip().endswith((".yaml", ".yml"))


def _section(tree: Tree, key: Key, stated: str, folder: Path) -> dict[str, Any]:
    """The behaviour in the file `stated`, its marks under `key`; empty if there is none, and then that is a mistake."""
    content = read_named(tree, key, stated, folder, "a fit of demand", "about:", WRITTEN_BY)
    if content is None:
        return {}
    found = content.data.get(SECTION)
    if isinstance(found, dict) and found:
        tree.graft(key, content, (SECTION,))
        return found
    if SECTION in content.data:
        file, line = content.mark((SECTION,))
        message = f"expected keys such as `output_tokens: 35000 token/h`; {WRITTEN_BY}"
        tree.mistakes.append(Mistake(file, line, SECTION, "", message))
    else:
        file, line = tree.mark(key)
        message = f"no section `{SECTION}` in that file; {WRITTEN_BY}"
        tree.mistakes.append(Mistake(file, line, ".".join(key), stated[:60], message))
    return {}
