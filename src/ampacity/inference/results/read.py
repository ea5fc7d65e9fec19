"""A file of results, of whatever tool, as measurements and a list of the rows that are left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ampacity.inference.results.aiperf import aiperf, is_aiperf
from ampacity.inference.results.guidellm import guidellm, is_guidellm
from ampacity.inference.results.measurement import Measurement, Raw, measurement
from ampacity.inference.results.sglang import is_sglang, sglang
from ampacity.inference.results.table import table
from ampacity.inference.results.vllm import is_vllm, vllm
from ampacity.scenario.mistakes import Mistake, Mistakes

MAX_BYTES = 500_000_000
KNOWN = "a result of vllm bench serve, sglang.bench_serving, GuideLLM, AIPerf or GenAI-Perf, or a CSV table"


@dataclass(frozen=True)
class Results:
    """Rows of a file that can be used, and what is wrong with each that cannot.

    rows: how many the files have. repeated: rows that say to the last digit what an earlier one said, each beside that
    one; they are in `rows`, not in `measurements`: a second copy of a load is no second load.
    """

    measurements: tuple[Measurement, ...]
    left_out: tuple[Mistake, ...]
    rows: int
    repeated: tuple[tuple[Measurement, Measurement], ...] = ()

    @property
    def left_out_rows(self) -> frozenset[tuple[str, int]]:
        """File and row of each that is left out, however much is wrong with it."""
        return frozenset((m.file, m.line) for m in self.left_out)


def read_results(paths: list[Path]) -> Results:
    """All files together. Raises Mistakes with every file that cannot be read at all."""
    found: dict[Measurement, Measurement] = {}
    repeated: list[tuple[Measurement, Measurement]] = []
    left_out: list[Mistake] = []
    wrong: list[Mistake] = []
    rows = 0
    for path in paths:
        before = rows
        try:
            for line, raw in _rows(_text(path), path.name):
                rows += 1
                one = measurement(path.name, line, raw)
                if not isinstance(one, Measurement):
                    left_out += one
                    continue
                first = found.setdefault(replace(one, file="", line=0), one)
                if first is not one:
                    repeated.append((one, first))
            if rows == before:
                wrong.append(Mistake(path.name, 0, "rows", "", "none; expected one for each load that was measured"))
        except Mistakes as err:
            wrong += err.mistakes
    if wrong:
        raise Mistakes(wrong)
    return Results(tuple(found.values()), tuple(left_out), rows, tuple(repeated))


def _rows(text: str, file: str) -> Iterator[tuple[int, Raw]]:
    """Line or number and content of every row of a file. Raises Mistakes."""
    if not text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        found = list(table(text, file))
        wrong = [row for row in found if isinstance(row, Mistake)]
        if wrong:
            raise Mistakes(wrong)
        yield from (row for row in found if not isinstance(row, Mistake))
        return
    for number, content in _objects(text, file):
        if is_guidellm(content):
            runs = content["benchmarks"]
            assert isinstance(runs, list)
            yield from ((i, guidellm(run if isinstance(run, dict) else {})) for i, run in enumerate(runs, 1))
        else:
            yield number, _raw(content)


def _raw(content: dict[str, object]) -> Raw:
    for is_own, read in ((is_sglang, sglang), (is_vllm, vllm), (is_aiperf, aiperf)):
        if is_own(content):
            return read(content)
    keys = ", ".join(list(content)[:6])
    return Raw(unusable=[("row", keys, f"keys of no known tool; expected {KNOWN}")])


def _objects(text: str, file: str) -> Iterator[tuple[int, dict[str, object]]]:
    """JSON objects with the line each begins on: one object, a list of them, or one after the other."""
    decoder = json.JSONDecoder()
    at, number, text = 0, 0, text.lstrip("\ufeff")
    while (at := _next(text, at)) < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            content, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as err:
            message = f"not readable as JSON: {err.msg}; expected {KNOWN}"
            raise Mistakes([Mistake(file, err.lineno, "file", "", message)]) from err
        except (RecursionError, ValueError) as err:
            message = "JSON nested too deep or with a number too long to be one of a benchmark"
            raise Mistakes([Mistake(file, line, "file", "", message)]) from err
        for one in content if isinstance(content, list) else [content]:
            number += 1
            if not isinstance(one, dict):
                message = f"expected {KNOWN}"
                raise Mistakes([Mistake(file, line, "file", type(one).__name__, message)])
            yield (number if isinstance(content, list) else line), one


def _next(text: str, at: int) -> int:
    """The next place that is not white."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _text(path: Path) -> str:
    def wrong(message: str) -> Mistakes:
        return Mistakes([Mistake(path.name or str(path), 0, "file", "", message)])

    try:
        is_folder = path.is_dir()
    except OSError:
        is_folder = False
    if is_folder:
        raise wrong(f"a folder; expected {KNOWN}; name its files")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise wrong(f"not readable: {err.strerror}") from err
    except ValueError as err:
        raise wrong("no file can have that name") from err
    if len(data) > MAX_BYTES:
        raise wrong(f"more than {MAX_BYTES / 1e6:g} MB; save the result without details of every request")
    if not data.strip():
        raise wrong(f"empty; expected {KNOWN}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise wrong(f"not UTF-8 text (byte {err.start}); expected {KNOWN}") from err
