"""The page of the documentation that holds every cross-validated error of the serving model, written from the catalog.

`ampacity show serving --errors --out docs/serving-errors.md` writes it; the figures are those of `serving_errors.csv`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ampacity.reporting.serving_errors_view import BY
from ampacity.scenario import lookup

Row = dict[str, str]
ALL, LATER = "all", "later months"
FIGURES = {
    "tpot": ("Time per output token", "TPOT: mean time of a request from one output token to the next."),
    "ttft": (
        "Time to first token",
        "TTFT: mean time from a request to its first token, in a burst; it hangs on queues.",
    ),
    "throughput": (
        "Throughput",
        "Output tokens per second. Points of `offline` are published throughputs of full systems;\n"
        "they say nothing of when a token comes.",
    ),
}
HEAD = """# How far off the serving model is

Every published point is predicted by running its protocol, and held against what was measured: error = predicted over
measured less one. A cell gives the median of the absolute errors and what nine in ten of them stay under (p90).
*In sample* are predictions of the points that were fitted. In the next three columns the fit has not seen the point's
configuration (model, accelerator, engine, precision and layout), any point of its model, or any of its accelerator.
*Later months* were measured from March 2026 on and are predicted by a fit to all before; in brackets how many points
those are. How the fit is made stands in [inference](rooms/inference.md#the-fit). A row of few points says little.

The tables are written from `serving_errors.csv` of the catalog by
`ampacity show serving --errors --out docs/serving-errors.md`. That file comes from
`ampacity calibrate serving --published`; `ampacity show serving --errors --by model` prints a part of it.
"""


def serving_errors_page() -> str:
    """The page in Markdown: a table each for TPOT, TTFT and throughput; a row all points, an accelerator, an engine, a
    model or a precision; a column a split, median / p90 of the absolute error. [%]"""
    return HEAD + "".join(f"\n## {title}\n\n{words}\n\n{_table(name)}" for name, (title, words) in FIGURES.items())


def _table(figure: str) -> str:
    rows = lookup.table("serving_errors")
    splits = list(dict.fromkeys(row["split"] for row in rows))
    lines = ["| of | | points | " + " | ".join(splits) + " |", "|---|---|---:|" + "---:|" * len(splits)]
    for by, level, points in _groups(rows, figure):
        own = {row["split"]: row for row in rows if (row["by"], row["level"]) == (by, level)}
        cells = " | ".join(_cell(own.get(split), figure) for split in splits)
        lines.append(f"| {by} | {level} | {points:,} | {cells} |")
    return "\n".join(lines) + "\n"


def _groups(rows: tuple[Row, ...], figure: str) -> Iterator[tuple[str, str, int]]:
    """What errors are known of, once each, and of how many points: all, then offline ones, then by each of BY."""
    for by in (ALL, "offline", *BY):
        for level in dict.fromkeys(row["level"] for row in rows if row["by"] == by and row[f"{figure}_median"]):
            own = (int(row["points"]) for row in rows if (row["by"], row["level"]) == (by, level))
            yield by, level, max(own)


def _cell(row: Row | None, figure: str) -> str:
    if row is None:
        return ""
    median, p90 = (f"{100 * float(row[f'{figure}_{of}']):.1f}" for of in ("median", "p90"))
    return f"{median} / {p90} %" + (f" ({int(row['points']):,})" if row["split"] == LATER else "")
