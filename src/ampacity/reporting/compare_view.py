"""`ampacity compare`: two schemes of limits on the same subscribers, as text for people and data for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ampacity.planner.compare import Calibration, Compared
from ampacity.planner.interval import Interval
from ampacity.planner.scheme_figures import KINDS
from ampacity.reporting.catalog_views import View
from ampacity.reporting.chapter import Table
from ampacity.reporting.compare_words import binding, rough, sentences
from ampacity.reporting.words import digits, tokens

KIND_WORDS = {
    "uncached_input": "uncached input",
    "cached_input": "cached input",
    "output": "output",
    "all": "all kinds",
}
PARTED = ("peak_hour_tokens", "weekly_tokens")
PLAIN = ("hours_lost_per_week", "hours_delayed_per_week", "hours_lost_per_person_hit")


def compare_view(c: Compared) -> View:
    """Sentences first, then the tables."""
    a, b = c.labels
    r = c.record
    drawn = " + ".join(f"{n:,} {tier}" for tier, n in c.drawn.items())
    lines = [
        f"{a} against {b} · on the subscribers of {c.comparison.scenario.name} · {r.worlds} worlds · {drawn} drawn "
        f"· seed {r.seed} · {r.cpu_s:.0f} CPU s",
        "",
        *(f"  {sentence}" for sentence in sentences(c)),
    ]
    for t in tables(c):
        lines += ["", *as_text(t)]
    lines += [f"  note: {note}" for note in c.notes]
    return View("\n".join(lines), compared_data(c))


def compared_data(c: Compared) -> dict[str, Any]:
    """All figures with low and high; shares between 0 and 1, tokens and hours of all the scenario's people."""
    a, b = c.labels
    return {
        "schemes": {s: _scheme(c, s) for s in dict.fromkeys((a, b))},
        "change": {k: asdict(v) for k, v in c.change.items()},
        "deferred": [asdict(d) for d in c.deferrals],
        "calibration": _calibration(c.calibration),
        "answer": sentences(c),
        "people_drawn": c.drawn,
        "record": c.record.as_dict(),
        "notes": list(c.notes),
    }


def _calibration(k: Calibration | None) -> dict[str, Any] | None:
    """The same keys whether or not a world agrees: what hangs on that is null where none does."""
    if k is None:
        return None
    p = k.predicted
    names = ("hit_2025", "newly_hit", "newly_hit_in_four")
    return {
        "worlds": k.worlds,
        "kept": k.kept,
        **{name: asdict(getattr(p, name)) if p else None for name in names},
        "holds": p.holds if p else None,
        "holds_in_four": p.holds_in_four if p else None,
    }


def _scheme(c: Compared, scheme: str) -> dict[str, Any]:
    f = c.figures[scheme]
    tiers = {
        tier: {
            "share_hit_per_week": asdict(f[f"share_hit_per_week/{tier}"]),
            "hit_by_window": {
                k.removeprefix(f"hit_by/{tier}/"): asdict(v) for k, v in f.items() if k.startswith(f"hit_by/{tier}/")
            },
            "binding_window_share": {k: asdict(v) for k, v in binding(c, scheme, tier).items()},
        }
        for tier in c.comparison.tiers
    }
    return {
        "share_hit_per_week": asdict(f["share_hit_per_week"]),
        "binding_window_share": {k: asdict(v) for k, v in binding(c, scheme).items()},
        **{name: {kind: asdict(f[f"{name}/{kind}"]) for kind in (*KINDS, "all")} for name in PARTED},
        "accelerators": {**asdict(f["accelerators"]), "accelerator": c.accelerator} if "accelerators" in f else None,
        **{name: asdict(f[name]) for name in PLAIN},
        "tiers": tiers,
    }


def tables(c: Compared) -> list[Table]:
    """Whom it hits by tier and window; tokens by kind, and what serves them; what returns."""
    a, b = c.labels
    columns = ("", a, "90 % of worlds", b, "90 % of worlds")
    return [
        Table("Share of people whom a window stops in a week", columns, _hit_rows(c)),
        Table("Tokens, accelerators and hours, all people", columns, _volume_rows(c)),
        Table(
            f"{b} over {a}, by the share of stopped work that returns (the rest is lost; stated values)",
            ("work that returns", "tokens a week", "tokens in the busiest hour"),
            [
                (rough(d.share), f"x {digits(d.weekly_tokens, 4)}", f"x {digits(d.peak_hour_tokens, 4)}")
                for d in c.deferrals
            ],
        ),
    ]


def _hit_rows(c: Compared) -> list[tuple[str, ...]]:
    rows = [_row(c, "all tiers, any window", "share_hit_per_week", rough)]
    for tier in c.comparison.tiers:
        rows.append(_row(c, f"{tier}, any window", f"share_hit_per_week/{tier}", rough))
        windows = dict.fromkeys(
            k.split("/")[2] for s in c.labels for k in c.figures[s] if k.startswith(f"hit_by/{tier}/")
        )
        rows += [_row(c, f"{tier}, {w}", f"hit_by/{tier}/{w}", rough) for w in windows]
    return rows


def _volume_rows(c: Compared) -> list[tuple[str, ...]]:
    rows = []
    for name, words in (("peak_hour_tokens", "busiest hour"), ("weekly_tokens", "week")):
        rows += [_row(c, f"{words}, {KIND_WORDS[kind]}", f"{name}/{kind}", tokens) for kind in (*KINDS, "all")]
    rows.append(_row(c, f"{c.accelerator or 'accelerators'} in the hour that needs most", "accelerators", digits))
    rows.append(_row(c, "active hours lost in a week", "hours_lost_per_week", digits))
    rows.append(_row(c, "of them, per person who is stopped", "hours_lost_per_person_hit", digits))
    rows.append(_row(c, "hours waited by work that returns", "hours_delayed_per_week", digits))
    return rows


def _row(c: Compared, words: str, key: str, write: Callable[[float], str]) -> tuple[str, ...]:
    cells = [words]
    for s in c.labels:
        found: Interval | None = c.figures[s].get(key)
        cells += ["none", ""] if found is None else [write(found.value), f"{write(found.low)} to {write(found.high)}"]
    return tuple(cells)


def as_text(t: Table) -> list[str]:
    """A table on the screen: words to the left, numbers to the right."""
    rows = [t.columns, *t.rows]
    wide = [max(len(row[i]) for row in rows) for i in range(len(t.columns))]
    lines = [f"  {t.caption}"]
    for row in rows:
        cells = [
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, wide, strict=True))
        ]
        lines.append("    " + "   ".join(cells).rstrip())
    return lines
