"""Files that a scenario names: read where the scenario is read, so that their content is part of it.

A path counts from the file that states it; one of a `--set` counts from the current folder.
"""

from __future__ import annotations

from pathlib import Path

from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.tree import Key, Tree, read_tree


def read_named(tree: Tree, key: Key, stated: str, folder: Path, what: str, begins: str, written_by: str) -> Tree | None:
    """The tree of the file `stated` at `key`; nothing if it cannot be read, and then `tree.mistakes` says why.

    A file that is missing or empty is a mistake of the line that names it; what is wrong inside stands in its own file.
    what: the file is to be, begins: how such a one begins, written_by: what makes one.
    """
    try:
        return _content(folder / stated, stated, what, begins, written_by)
    except Mistakes as err:
        first = err.mistakes[0]
        if (first.key, first.line) == ("file", 0):
            file, line = tree.mark(key)
            tree.mistakes.append(Mistake(file, line, ".".join(key), stated[:60], first.message))
        else:
            tree.mistakes += err.mistakes
        return None


def _content(path: Path, stated: str, what: str, begins: str, written_by: str) -> Tree:
    """The file's tree. Raises Mistakes."""
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise Mistakes([Mistake(stated, 0, "file", "", f"no such file; {written_by}")])
    return read_tree(path, path.name, what, begins)
