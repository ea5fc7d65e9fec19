"""Rows of CSV and JSON-lines files as columns, quickly, with every row that does not fit counted and its line known.

A file that is right is read by polars alone. Where polars refuses, the stretch that it refused is read once more, line
by line, to tell the rows that are right from those that are not.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ampacity.demand.traces.trace import SHOWN_FAULTS, Malformed
from ampacity.scenario.mistakes import Mistake, Mistakes

Kind = Literal["count", "number", "duration", "text", "instant", "as-is"]
CHUNK_BYTES = 1 << 25
MOST = 2**53  # beyond it a float misses whole numbers, and a sum of few overflows
LATEST_S = 9_000_000_000  # the year 2255: nanoseconds of Unix time end in 2262
_EXPECTED = {
    "count": "a whole number, 0 or more",
    "number": "a number",
    "duration": "a number, 0 or more",
    "text": "a text",
    "instant": "a date and time like 2023-11-16 18:17:03.9799600",
    "as-is": "a value",
}


@dataclass(frozen=True)
class Field:
    """A column of a source: its name there, its name here, what it holds; `always`: a row without it is malformed."""

    source: str
    name: str
    kind: Kind
    always: bool = True


@dataclass(frozen=True)
class Rows:
    """Rows as read: columns of the source and `line` (from 1); `read` counts the malformed too, but no blank lines."""

    frame: pl.DataFrame
    read: int
    malformed: Malformed = field(default_factory=Malformed)


def content(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzip. Raises OSError, and Mistakes if the packing is damaged."""
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data.removeprefix(b"\xef\xbb\xbf")
    try:
        return gzip.decompress(data).removeprefix(b"\xef\xbb\xbf")
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise Mistakes([Mistake(str(path), 0, "gzip", "", "the packed file is damaged or cut off")]) from err


def csv_rows(data: bytes, file: str, columns: list[str]) -> Rows:
    """The named columns of a CSV file with a header, as text; a column that the file does not have is null."""
    try:
        frame = pl.read_csv(io.BytesIO(data), infer_schema=False, encoding="utf8-lossy")
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        if frame.height != lines - 1:  # a quoted value runs over several lines
            return _csv_by_line(data, file, columns)
    except pl.exceptions.PolarsError:
        return _csv_by_line(data, file, columns)
    kept = frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None, pl.String)).alias(name) for name in columns
    )
    kept = kept.with_columns(line=pl.int_range(2, kept.height + 2, dtype=pl.Int64))
    kept = kept.filter(~frame.select(pl.all_horizontal(pl.all().is_null())).to_series())
    return Rows(kept, kept.height)


def _csv_by_line(data: bytes, file: str, columns: list[str]) -> Rows:
    """The same, row by row: for quoted line breaks, and for rows with more values than the header has names."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
    header = next(reader, [])
    places = [header.index(name) if name in header else None for name in columns]
    taken: list[list[str | None]] = []
    faults: list[Mistake] = []
    count = 0
    before = reader.line_num
    for row in reader:
        line, before = before + 1, reader.line_num
        if not row:
            continue
        if len(row) > len(header):
            count += 1
            if len(faults) < SHOWN_FAULTS:
                message = f"the header names {len(header)}"
                faults.append(Mistake(file, line, "row", f"{len(row)} values", message))
            continue
        cells = [row[p] or None if p is not None and p < len(row) else None for p in places]
        taken.append([*cells, str(line)])
    frame = pl.DataFrame(taken, schema=dict.fromkeys([*columns, "line"], pl.String), orient="row")
    return Rows(frame.with_columns(pl.col("line").cast(pl.Int64)), len(taken) + count, Malformed(count, tuple(faults)))


def json_rows(data: bytes, file: str, schema: dict[str, pl.DataType], private: bool = False) -> Rows:
    """The keys of `schema` of a file with one JSON object a line; other keys are not looked at.

    private: the file may hold what people wrote, so that a fault is told without what was found.
    """
    frames: list[pl.DataFrame] = [pl.DataFrame(schema={**schema, "line": pl.Int64()})]
    malformed, read, line, offset = Malformed(), 0, 1, 0
    while offset < len(data):
        end = data.find(b"\n", offset + CHUNK_BYTES)
        end = len(data) if end < 0 else end + 1
        chunk = data[offset:end]
        lines = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
        frame = _json_chunk(chunk, schema)
        if frame is not None and frame.height == lines:
            frames.append(frame.with_columns(line=pl.int_range(line, line + lines, dtype=pl.Int64)))
            read += lines
        else:
            found = _json_by_line(chunk, file, schema, line, private)
            frames.append(found.frame)
            malformed, read = malformed + found.malformed, read + found.read
        line, offset = line + lines, end
    return Rows(pl.concat(frames), read, malformed)


def _json_chunk(chunk: bytes, schema: dict[str, pl.DataType]) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(io.BytesIO(chunk), schema=schema)
    except pl.exceptions.PolarsError:
        return None


def _json_by_line(chunk: bytes, file: str, schema: dict[str, pl.DataType], line: int, private: bool) -> Rows:
    taken: list[dict[str, Any]] = []
    faults: list[Mistake] = []
    count = 0
    for number, text in enumerate(chunk.split(b"\n"), line):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
            if not isinstance(value, dict):
                raise Misfit("line", value, "one JSON object a line")
            taken.append({**{k: fitted(value.get(k), t, k) for k, t in schema.items()}, "line": number})
        except (Misfit, ValueError, RecursionError) as err:
            count += 1
            if len(faults) < SHOWN_FAULTS:
                misfit = err if isinstance(err, Misfit) else Misfit("line", text, "one JSON object a line")
                faults.append(misfit.at(file, number, private))
    frame = pl.DataFrame(taken, schema={**schema, "line": pl.Int64()}, orient="row")
    return Rows(frame, len(taken) + count, Malformed(count, tuple(faults)))


class Misfit(Exception):
    """A value that is not what its key should hold."""

    def __init__(self, key: str, value: object, expected: str) -> None:
        self.key, self.value, self.expected = key, value, expected

    def at(self, file: str, line: int, private: bool) -> Mistake:
        """As a mistake of a file's line; in private files only the kind of the value is told."""
        return Mistake(file, line, self.key, _kind(self.value) if private else _shown(self.value), self.expected)


def fitted(value: Any, dtype: pl.DataType, key: str) -> Any:
    """A JSON value as polars will take it for `dtype`, without keys that nobody asked for. Raises Misfit."""
    if value is None:
        return None
    if isinstance(dtype, pl.Struct):
        if not isinstance(value, dict):
            raise Misfit(key, value, "an object")
        return {f.name: fitted(value.get(f.name), _made(f.dtype), f"{key}.{f.name}") for f in dtype.fields}
    if isinstance(dtype, pl.List):
        if not isinstance(value, list):
            raise Misfit(key, value, "a list")
        return [fitted(v, _made(dtype.inner), f"{key}[{i}]") for i, v in enumerate(value)]
    if dtype == pl.String:
        if isinstance(value, dict | list):
            raise Misfit(key, value, "a text")
        return str(value)
    if dtype == pl.Boolean:
        if not isinstance(value, bool):
            raise Misfit(key, value, "true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit(key, value, "a number")
    if dtype == pl.Int64:
        if not abs(value) < 2**63 or value != int(value):  # "not" so that what is not a number misses, too
            raise Misfit(key, value, _EXPECTED["count"])
        return int(value)
    if not abs(value) < 1e300:
        raise Misfit(key, value, _EXPECTED["number"])
    return float(value)


def _made(dtype: Any) -> pl.DataType:
    """A polars type as an instance: fields of a struct may hold the class."""
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def take(rows: Rows, fields: list[Field], file: str, private: bool = False) -> tuple[pl.DataFrame, Malformed]:
    """The fields of the rows in their types and under their new names, and the rows in which one does not fit."""
    typed = rows.frame.with_columns(_typed(f, rows.frame[f.source]).alias(f"_{f.name}") for f in fields)
    bad = typed.select(pl.any_horizontal(_misfits(f) for f in fields)).to_series()
    names = [pl.col(f"_{f.name}").alias(f.name) for f in fields]
    if not bad.any():
        return typed.select(*names, "line"), rows.malformed
    wrong = typed.filter(bad)
    shown = wrong.head(SHOWN_FAULTS).with_columns(**{f"?{f.name}": _misfits(f) for f in fields})
    faults = []
    for row in shown.iter_rows(named=True):
        f = next(f for f in fields if row[f"?{f.name}"])
        faults.append(Misfit(f.source, row[f.source], _EXPECTED[f.kind]).at(file, row["line"], private))
    return typed.filter(~bad).select(*names, "line"), rows.malformed + Malformed(wrong.height, tuple(faults))


def _misfits(f: Field) -> pl.Expr:
    """Whether a row's value of this field is missing where it must not be, or not what it should be."""
    value, raw = pl.col(f"_{f.name}"), pl.col(f.source)
    wrong = value.is_null() if f.always else value.is_null() & raw.is_not_null()
    if f.kind in ("count", "duration"):
        wrong = wrong | (value < 0).fill_null(False)
    if f.kind == "count":
        wrong = wrong | (value >= MOST).fill_null(False)
    return wrong


def _typed(f: Field, raw: pl.Series) -> pl.Series:
    """A column in the type of its field; null where it does not fit."""
    if f.kind == "as-is":
        return raw
    if f.kind == "text":
        return raw.cast(pl.String)
    if f.kind == "instant":
        return _instants(raw.cast(pl.String))
    if f.kind == "count":
        return _counts(raw)
    number = _stripped(raw, pl.Float64)
    return pl.select(pl.when(number.is_finite()).then(number)).to_series()


def _counts(raw: pl.Series) -> pl.Series:
    """Whole numbers; "4808.0" is one too, since spreadsheets write it."""
    plain = raw.cast(pl.Int64, strict=False)
    if not raw.dtype.is_float() and plain.null_count() == raw.null_count():
        return plain
    number = _stripped(raw, pl.Float64)
    whole = pl.when((number == number.round()) & (number.abs() < MOST)).then(number.cast(pl.Int64, strict=False))
    exact = pl.lit(None, pl.Int64) if raw.dtype.is_float() else pl.lit(_stripped(raw, pl.Int64))
    return pl.select(pl.coalesce(exact, whole)).to_series()


def _stripped(raw: pl.Series, dtype: type[pl.DataType]) -> pl.Series:
    return (raw.str.strip_chars() if raw.dtype == pl.String else raw).cast(dtype, strict=False)


def _instants(text: pl.Series) -> pl.Series:
    """The same as `instant_ns`, at a third of the cost if all are written as 2023-11-16 18:17:03.9799600."""
    seconds = text.str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    decimals = text.str.slice(19)
    fraction = decimals.cast(pl.Float64, strict=False)
    late = (seconds.dt.epoch("s").abs() > LATEST_S).any()
    if late or seconds.null_count() or fraction.null_count() or not decimals.str.starts_with(".").all():
        return text.to_frame("text").select(instant_ns(pl.col("text"))).to_series()
    return seconds.dt.epoch("s") * 1_000_000_000 + (fraction * 1e9).round().cast(pl.Int64)


def instant_ns(text: pl.Expr) -> pl.Expr:
    """ISO dates and times, with up to nine decimals, as nanoseconds of Unix time; UTC if no offset is written."""
    clean = text.str.strip_chars()
    seconds = (
        clean.str.slice(0, 19)
        .str.replace("T", " ", literal=True)
        .str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
        .dt.epoch("s")
    )
    rest = clean.str.slice(19)
    decimals = rest.str.extract(r"^\.(\d{1,9})", 1)
    fraction_ns = decimals.str.pad_end(9, "0").cast(pl.Int64, strict=False).fill_null(0)
    zone = rest.str.extract_groups(r"([+-])(\d\d):?(\d\d)?$")
    ahead = (
        zone.struct[1].cast(pl.Int64, strict=False) * 3600
        + zone.struct[2].cast(pl.Int64, strict=False).fill_null(0) * 60
    )
    offset = pl.when(zone.struct[0] == "-").then(-ahead).otherwise(ahead).fill_null(0)
    right = (rest == "") | rest.str.contains(r"^(\.\d{1,9})?\s?(Z|UTC|[+-]\d\d(:?\d\d)?)?$")
    right = right & (seconds.abs() < LATEST_S)
    return pl.when(right).then((seconds - offset) * 1_000_000_000 + fraction_ns)


def _shown(value: object) -> str:
    """A value as a person would look for it in the file, cut short."""
    if value is None:
        return "nothing"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _kind(value: object) -> str:
    """What sort of thing a value is, without what it says."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number that does not fit"
    if isinstance(value, str | bytes):
        return f"text of {len(value)} characters"
    return "a list" if isinstance(value, list) else "an object"
