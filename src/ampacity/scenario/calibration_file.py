"""Calibration files that placements name, or the command line.

A placement says `calibration: my-serving.yaml`. From then on the content stands in its place, with the file and line of
every key of its own. `ampacity show serving --calibration my-serving.yaml` reads one alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ampacity.scenario.calibration import Calibration
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.named_file import read_named
from ampacity.scenario.pydantic_words import mistakes_of
from ampacity.scenario.tree import Tree

WHAT, BEGINS = "a calibration", "kind: serving"
WRITTEN_BY = "`ampacity calibrate serving` writes such a file"
OPTION = "--calibration"


@dataclass(frozen=True)
class CalibrationFile:
    """A calibration, and the tree that knows where each of its keys stands."""

    calibration: Calibration
    tree: Tree

    def not_as_asked(self, **asked: str | None) -> list[Mistake]:
        """What of a question the calibration was not measured at, each at its line; None asks for nothing."""
        found = []
        for key, measured, message in self.calibration.not_as_asked(**asked):
            file, line = self.tree.mark((key,))
            found.append(Mistake(file, line, key, measured, message))
        return found


def read_calibration(stated: str) -> CalibrationFile:
    """The calibration in a file; its path counts from the current folder. Raises Mistakes."""
    if Path(stated).is_dir():
        raise Mistakes([Mistake(OPTION, 0, "file", stated, f"a folder; {WRITTEN_BY}")])
    told = Tree({}, {(): (OPTION, 0)})
    tree = read_named(told, ("file",), stated, Path(), WHAT, BEGINS, WRITTEN_BY)
    if tree is None:
        raise Mistakes(told.mistakes)
    if not tree.data.keys() & {"kind", "shifts"}:
        keys = ", ".join(tree.data)[:60]
        raise Mistakes([Mistake(Path(stated).name, 1, "keys", keys, f"{WHAT} begins with `{BEGINS}`; {WRITTEN_BY}")])
    try:
        return CalibrationFile(Calibration.model_validate(tree.data), tree)
    except ValidationError as err:
        wrong = mistakes_of(Calibration, tree.data, None, err)
        raise Mistakes(
            Mistake(*tree.mark(path), ".".join(path), found[:60], why) for path, found, why in wrong
        ) from err


def take_in(tree: Tree, folder: Path) -> None:
    """Put the content of calibration files in the place of their names; `tree.mistakes` gets what is wrong."""
    placements = tree.data.get("placements")
    for name, fields in placements.items() if isinstance(placements, dict) else ():
        if not isinstance(fields, dict) or not isinstance(fields.get("calibration"), str):
            continue
        key = ("placements", str(name), "calibration")
        stated = fields.pop("calibration")
        content = read_named(tree, key, stated, folder, WHAT, BEGINS, WRITTEN_BY)
        if content is not None:
            fields["calibration"] = content.data
            tree.graft(key, content)
