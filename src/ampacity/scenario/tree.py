"""YAML as a plain tree that remembers where everything stands.

The text is composed to nodes by ruamel.yaml and read from there, so that duplicate keys, depth, size and aliases
("YAML bombs") are met before they cost anything, and every key knows its file and line.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ampacity.scenario.mistakes import Mistake, Mistakes

MAX_BYTES = 250_000
MAX_NODES = 50_000
MAX_DEPTH = 32

Key = tuple[str, ...]


class NothingRead(Mistakes):
    """A file that gave no text: the mistake is the file, not a line of it, so whoever names the file may tell it."""


@dataclass
class Tree:
    """Plain data, for the path of every key the file and line it stands on, and what was found wrong so far."""

    data: dict[str, Any]
    marks: dict[Key, tuple[str, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def mark(self, path: Key) -> tuple[str, int]:
        """File and line of a path, or of the nearest thing above it."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, ("", 0))

    def lend(self, lender: Key, borrower: Key, keys: Iterable[str]) -> None:
        """Give `keys` of one path the file and line that they have under another."""
        under = {(*lender, key) for key in keys}
        depth = len(lender)
        lent = {(*borrower, *p[depth:]): m for p, m in self.marks.items() if p[: depth + 1] in under}
        self.marks |= lent

    def graft(self, at: Key, scion: Tree, of: Key = ()) -> None:
        """Give everything below `at` the file and line that it has below `of` in another tree; `at` keeps its own."""
        depth = len(of)
        below = {p[depth:]: mark for p, mark in scion.marks.items() if len(p) > depth and p[:depth] == of}
        self.marks |= {(*at, *path): mark for path, mark in below.items()}


def read_tree(
    path: Path,
    shown: str,
    what: str = "a scenario",
    begins: str = "scenario: NAME",
    missing: str = "no such file",
) -> Tree:
    """The tree of a YAML file. shown: the name that mistakes use. what: it is to be, and how that begins.

    missing: said of a file that is not there. Raises Mistakes, NothingRead if the file gives no text.
    """
    text = _read_text(path, shown, missing)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = mark.line + 1 if mark else 0
        raise Mistakes([Mistake(shown, line, "YAML", "", f"not readable: {err.problem or err.context}")]) from err
    except (YAMLError, RecursionError, ValueError) as err:
        raise Mistakes([Mistake(shown, 0, "YAML", "", f"not readable: {str(err).splitlines()[0]}")]) from err
    if node is None:
        raise NothingRead([Mistake(shown, 0, "file", "", f"empty; {what} begins with `{begins}`")])
    reader = _Reader(shown)
    data = reader.read(node, (), 0)
    if not isinstance(data, dict):
        reader.mistakes.append(Mistake(shown, 1, "file", "", f"{what} is a mapping of keys, such as `{begins}`"))
    if reader.mistakes:
        raise Mistakes(reader.mistakes)
    return Tree(data, reader.marks)


def merged(below: Tree, above: Tree) -> Tree:
    """The upper tree laid over the lower: mappings key by key, everything else replaced; null removes."""
    tree, replaced = Tree({}, {}, [*below.mistakes, *above.mistakes]), set[Key]()
    _merge(tree.data, below.data, above.data, (), replaced)
    kept = {p: m for p, m in below.marks.items() if not any(p[:i] in replaced for i in range(1, len(p) + 1))}
    tree.marks = {**kept, **above.marks}
    return tree


def _merge(into: dict[str, Any], below: dict[str, Any], above: dict[str, Any], path: Key, replaced: set[Key]) -> None:
    for key in [*below, *(k for k in above if k not in below)]:
        if key not in above:
            into[key] = below[key]
        elif above[key] is None:
            continue
        elif isinstance(above[key], dict) and isinstance(below.get(key), dict) and not _is_whole(path, key, above[key]):
            into[key] = {}
            _merge(into[key], below[key], above[key], (*path, key), replaced)
        else:
            replaced.add((*path, key))
            into[key] = above[key]


def _is_whole(path: Key, key: str, found: dict[str, Any]) -> bool:
    """Whether a mapping is a number with its claim, a calibration, or a behaviour from a file: laid over another it
    replaces it whole, so that no source outlives what it was said of."""
    from_file = "shifts" in found or (key == "like" and path[-1:] == ("behaviour",))
    return "value" in found or ("low" in found and "high" in found) or from_file


def _read_text(path: Path, shown: str, missing: str) -> str:
    def wrong(message: str) -> NothingRead:
        return NothingRead([Mistake(shown, 0, "file", "", message)])

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
            size = max(os.fstat(file.fileno()).st_size, len(data))
    except IsADirectoryError as err:
        raise wrong("a folder; expected a YAML file") from err
    except (FileNotFoundError, NotADirectoryError, ValueError) as err:
        raise wrong(missing) from err
    except OSError as err:
        raise wrong(missing if err.errno == errno.ENAMETOOLONG else f"not readable: {err.strerror}") from err
    if size > MAX_BYTES:
        raise wrong(f"{size / 1e6:.1f} MB; a scenario is text written by people, at most {MAX_BYTES / 1e6:g} MB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise wrong(f"not UTF-8 text (byte {err.start})") from err


def _text(node: Any) -> str:
    """The text of a scalar; half a surrogate pair, which no file can hold, becomes a question mark."""
    return str(node.value).encode("utf-8", "replace").decode()


def _tag(node: Any) -> str:
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


class _Reader:
    """One walk over the nodes: values out, marks and mistakes kept."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.marks: dict[Key, tuple[str, int]] = {}
        self.mistakes: list[Mistake] = []
        self.nodes = 0

    def read(self, node: Any, path: Key, depth: int) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        if path not in self.marks:
            self.marks[path] = (self.file, line)
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            what = "levels deep" if depth > MAX_DEPTH else "values once aliases are written out"
            most = MAX_DEPTH if depth > MAX_DEPTH else MAX_NODES
            raise Mistakes([Mistake(self.file, line, ".".join(path), "", f"more than {most} {what}")])
        if node.id != "scalar" and _tag(node) not in ("map", "seq"):
            self._wrong(line, path, "", f"a YAML tag ({node.tag}); a scenario is plain data")
        match node.id:
            case "mapping":
                return self._mapping(node, path, depth)
            case "sequence":
                return [self.read(item, (*path, str(i)), depth + 1) for i, item in enumerate(node.value)]
            case _:
                return self._scalar(node, path)

    def _mapping(self, node: Any, path: Key, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.id != "scalar":
                self._wrong(line, path, "", "a key is a word, not a list or mapping")
                continue
            key = _text(key_node)
            if key == "<<":
                self._wrong(line, path, key, "merge keys are not read; use `extends:`")
                continue
            if key in result:
                first = self.marks[(*path, key)][1]
                self._wrong(line, (*path, key), "", f"duplicate key; it stands on line {first} already")
                continue
            self.marks[(*path, key)] = (self.file, line)
            result[key] = self.read(value_node, (*path, key), depth + 1)
        return result

    def _scalar(self, node: Any, path: Key) -> Any:
        text, tag = _text(node), _tag(node)
        try:
            match tag:
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    return int(text.replace("_", ""), 0) if not text.lstrip("+-").startswith("0") else int(text)
                case "float":
                    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
                case "timestamp":
                    return text  # a date; the noun that holds it reads it
                case "str":
                    return text
        except (KeyError, ValueError):
            message = "not a number, date, true or false as YAML 1.2 has them"
            self._wrong(node.start_mark.line + 1, path, text, message)
            return None
        self._wrong(node.start_mark.line + 1, path, text, f"a YAML tag ({node.tag}); a scenario is plain data")
        return None

    def _wrong(self, line: int, path: Key, found: str, message: str) -> None:
        self.mistakes.append(Mistake(self.file, line, ".".join(path) or "file", found[:60], message))
