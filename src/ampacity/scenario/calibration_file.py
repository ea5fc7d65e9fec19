"""Calibration files that placements name.

A placement says `calibration: my-serving.yaml`. From then on the content stands in its place, with the file and line of
every key of its own.
"""

from __future__ import annotations

from pathlib import Path

from ampacity.scenario.named_file import read_named
from ampacity.scenario.tree import Tree

WRITTEN_BY = "`ampacity calibrate serving` writes such a file"


def take_in(tree: Tree, folder: Path) -> None:
    """Put the content of calibration files in the place of their names; `tree.mistakes` gets what is wrong."""
    placements = tree.data.get("placements")
    for name, fields in placements.items() if isinstance(placements, dict) else ():
        if not isinstance(fields, dict) or not isinstance(fields.get("calibration"), str):
            continue
        key = ("placements", str(name), "calibration")
        stated = fields.pop("calibration")
        content = read_named(tree, key, stated, folder, "a calibration", "kind: serving", WRITTEN_BY)
        if content is not None:
            fields["calibration"] = content.data
            tree.graft(key, content)
