"""Files that a scenario names: read where the scenario is read, so that their content is part of it.

A path counts from the file that states it; one of a `--set` counts from the current folder.
"""

from __future__ import annotations

from pathlib import Path

from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.tree import Key, NothingRead, Tree, read_tree


def read_named(tree: Tree, key: Key, stated: str, folder: Path, what: str, begins: str, written_by: str) -> Tree | None:
    """The tree of the file `stated` at `key`; nothing if it cannot be read, and then `tree.mistakes` says why.

    A file that gives no text (missing, empty, a folder) is a mistake of the line that names it; what is wrong inside
    stands in its own file.
    what: the file is to be, begins: how such a one begins, written_by: what makes one.
    """
    path = folder / stated
    try:
        return read_tree(path, path.name, what, begins, missing=f"no such file; {written_by}")
    except NothingRead as err:
        file, line = tree.mark(key)
        tree.mistakes += [Mistake(file, line, ".".join(key), stated[:60], m.message) for m in err.mistakes]
    except Mistakes as err:
        tree.mistakes += err.mistakes
    return None
