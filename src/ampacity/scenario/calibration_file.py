"""Calibration files that placements name: read where the scenario is read, so that their content is part of it.

A placement says `calibration: my-serving.yaml`, a path from the file that says so; a `--set` counts from the current
folder. From then on the content stands in its place, with the file and line of every key of its own.
"""

from __future__ import annotations

from pathlib import Path

from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.tree import Tree, read_tree

WRITTEN_BY = "`ampacity calibrate serving` writes such a file"


def take_in(tree: Tree, folder: Path) -> None:
    """Put the content of calibration files in the place of their names; `tree.mistakes` gets what is wrong."""
    placements = tree.data.get("placements")
    for name, fields in placements.items() if isinstance(placements, dict) else ():
        if not isinstance(fields, dict) or not isinstance(fields.get("calibration"), str):
            continue
        key = ("placements", str(name), "calibration")
        stated = fields.pop("calibration")
        file, line = tree.mark(key)
        try:
            content = _content(folder / stated, stated)
        except Mistakes as err:
            first = err.mistakes[0]
            if (first.key, first.line) == ("file", 0):
                tree.mistakes.append(Mistake(file, line, ".".join(key), stated[:60], first.message))
            else:
                tree.mistakes += err.mistakes
            continue
        fields["calibration"] = content.data
        tree.marks |= {(*key, *path): mark for path, mark in content.marks.items() if path}


def _content(path: Path, stated: str) -> Tree:
    """The file's tree. Raises Mistakes."""
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise Mistakes([Mistake(stated, 0, "file", "", f"no such file; {WRITTEN_BY}")])
    return read_tree(path, path.name, "a calibration", "kind: serving")
