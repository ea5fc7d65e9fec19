"""Results as a CSV table of one's own: a row a load, with a head of column names."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from ampacity.inference.results.measurement import Raw
from ampacity.scenario.mistakes import Mistake, nearest

REQUIRED = ("isl", "osl", "concurrency")
MEASURED = ("throughput", "ttft_ms", "tpot_ms")
OPTIONAL = ("cached", "requests")
OTHER = {";": ";", "\t": "tab"}
"""What else people set columns apart by, as a mistake shows it."""


def table(text: str, file: str) -> Iterator[tuple[int, Raw] | Mistake]:
    """Line and content of every row; a mistake for each that is wrong about the columns, and then no row."""
    try:
        lines = list(csv.reader(text.splitlines()))
    except csv.Error as err:
        yield Mistake(file, 0, "file", "", f"not readable as CSV: {err}")
        return
    first = next((i for i, cells in enumerate(lines) if any(c.strip() for c in cells)), None)
    if first is None:
        yield Mistake(file, 0, "file", "", f"empty; expected a head of columns: {', '.join(REQUIRED + MEASURED)}")
        return
    apart = next((word for mark, word in OTHER.items() if mark in lines[first][0]), None)
    if len(lines[first]) == 1 and apart is not None:
        yield Mistake(file, first + 1, "separator", apart, "columns stand apart by commas; expected ','")
        return
    names = [c.strip().lower().removeprefix("\ufeff") for c in lines[first]]
    wrong = list(_columns(names, file, first + 1))
    yield from wrong
    if wrong:
        return
    for number, cells in enumerate(lines[first + 1 :], first + 2):
        if not any(c.strip() for c in cells):
            continue
        raw = Raw()
        if len(cells) != len(names):
            raw.unusable.append(("row", f"{len(cells)} cells", f"the head has {len(names)} columns"))
        for name, cell in zip(names, cells, strict=False):
            setattr(raw, "tokens_per_s" if name == "throughput" else name, (name, cell.strip()))
        yield number, raw


def _columns(names: list[str], file: str, line: int) -> Iterator[Mistake]:
    known = (*REQUIRED, *MEASURED, *OPTIONAL)
    if not any(name in known for name in names):
        wanted = f"{', '.join(REQUIRED)} and at least one of {', '.join(MEASURED)}"
        yield Mistake(
            file, line, "columns", ", ".join(names)[:60], f"no column of a table of results; expected {wanted}"
        )
        return
    for name in names:
        if name not in known:
            yield Mistake(file, line, name or "column", "", f"unknown column; {nearest(name, known)}")
        elif names.count(name) > 1:
            yield Mistake(file, line, name, "", "twice; a column stands once")
    for name in REQUIRED:
        if name not in names:
            yield Mistake(file, line, name, "", "no such column; isl, osl and concurrency are needed")
    if not any(name in names for name in MEASURED):
        yield Mistake(file, line, "columns", "", f"nothing measured; expected at least one of {', '.join(MEASURED)}")
