"""One answer out of those of several data processes: counts added, the same things said once, differences in words.

Of a single data process, its own answer. Quantiles are not merged: they are read from histograms that were added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

Row = dict[str, Any]
CLOSED = ("open", "held", "draining", "gone")  # the later, the less there is to count on
ILL = ("sound", "full", "on trial", "ejected")
SUMMED = ("exchanges", "connections", "cut_off", "memory_bytes")
OF_EACH = ("process", "ready", "started_ms", "exchanges", "connections", "memory_bytes")


def status(answers: Sequence[Row | None], slots: Mapping[str, int]) -> Row:
    """The status of all; None stands for one that does not answer, and one does. slots: of each pool in the terms."""
    told = [a for a in answers if a is not None]
    first = told[0]
    if len(answers) == 1:
        return first
    journals = [a["journal"] for a in told]
    errors = [j["error"] for j in journals if j["error"] is not None]
    return {
        **first,
        "now_ms": max(a["now_ms"] for a in told),
        "started_ms": min(a["started_ms"] for a in told),
        "uptime_s": max(a["uptime_s"] for a in told),
        "ready": len(told) == len(answers) and all(a["ready"] for a in told),
        "draining": any(a["draining"] for a in told),
        "pools": pools([a["pools"] for a in told], slots),
        "services": grouped([a["services"] for a in told], ("alias",), ("waiting",)),
        "queue": grouped([a["queue"] for a in told], ("tier", "alias"), ("waiting",)),
        "room": sum(a["room"] for a in told),
        "metrics": metrics([a["metrics"] for a in told]),
        **{name: sum(a[name] for a in told) for name in SUMMED},
        "keys": max(a["keys"] for a in told),
        "subscribers": max(a["subscribers"] for a in told),
        "journal": {
            "last": sum(j["last"] for j in journals),
            "durable": sum(j["durable"] for j in journals),
            "error": errors[0] if len(errors) == len(told) else None,
            "path": ", ".join(j["path"] for j in journals),
        },
        "workers": [{"worker": k, **{name: (a or {}).get(name) for name in OF_EACH}} for k, a in enumerate(answers)],
        "trouble": trouble(answers),
    }


def trouble(answers: Sequence[Row | None]) -> list[str]:
    """What is not as it should be between data processes, a sentence each."""
    found = []
    for k, a in enumerate(answers):
        if a is None:
            found.append(f"worker {k} does not answer; its subscribers are refused until it is back")
        elif a["journal"]["error"] is not None:
            found.append(f"worker {k} refuses its subscribers: its journal cannot be written ({a['journal']['error']})")
    told = {k: a for k, a in enumerate(answers) if a is not None}
    found += _differ("terms", {k: a["terms"] for k, a in told.items()})
    names = dict.fromkeys(p["name"] for a in told.values() for p in a["pools"])
    for name in names:
        states = {k: p["state"] for k, a in told.items() for p in a["pools"] if p["name"] == name}
        found += _differ(f"pool {name}", states)
    return found


def _differ(what: str, said: Mapping[int, str]) -> list[str]:
    if len(set(said.values())) <= 1:
        return []
    return [f"{what}: " + ", ".join(f"{value} at worker {k}" for k, value in said.items())]


def pools(tables: Sequence[Sequence[Row]], slots: Mapping[str, int]) -> list[Row]:
    """Each pool once, with what all send to it; as closed and as ill as any of them finds it."""
    found: dict[str, list[Row]] = {}
    for row in chain.from_iterable(tables):
        found.setdefault(row["name"], []).append(row)
    return [
        {
            **rows[0],
            "state": max((r["state"] for r in rows), key=CLOSED.index),
            "deadline_ms": _latest(r["deadline_ms"] for r in rows),
            **{name: sum(r[name] for r in rows) for name in ("requests", "begun", "backlog_tokens")},
            "slots": slots.get(name, sum(r["slots"] for r in rows)),
            "health": max((r["health"] for r in rows), key=ILL.index),
            "failures_in_a_row": max(r["failures_in_a_row"] for r in rows),
            "out_until_ms": _latest(r["out_until_ms"] for r in rows),
        }
        for name, rows in found.items()
    ]


def _latest(instants: Iterable[int | None]) -> int | None:
    return max((i for i in instants if i is not None), default=None)


def metrics(counts: Sequence[Row]) -> Row:
    """All counts added, histograms bucket by bucket."""
    found: Row = {
        "kinds": grouped([c["kinds"] for c in counts], ("tier", "alias")),
        "refusals": grouped([c["refusals"] for c in counts], ("tier", "window", "owner", "alias")),
    }
    rest = [name for name in counts[0] if name not in found]
    return found | {name: sum(c[name] for c in counts) for name in rest}


def grouped(tables: Iterable[Sequence[Row]], by: Sequence[str], of: Sequence[str] | None = None) -> list[Row]:
    """Rows that are alike in `by`, made one, in that order if there are several tables; `of`: added, or all others."""
    tables = list(tables)
    if len(tables) < 2:
        return [*chain.from_iterable(tables)]
    found: dict[tuple[Any, ...], Row] = {}
    for row in chain.from_iterable(tables):
        at = tuple(row[name] for name in by)
        there = found.get(at)
        names = [name for name in row if name not in by] if of is None else of
        found[at] = row if there is None else {**there, **{name: added(there[name], row[name]) for name in names}}
    return [found[at] for at in sorted(found)] if of is None else list(found.values())


def added(a: Any, b: Any) -> Any:
    """The sum of two numbers, of two lists place by place, of two tables name by name."""
    if isinstance(a, dict):
        return a | b | {name: added(a[name], b[name]) for name in a.keys() & b.keys()}
    if isinstance(a, list):
        return [added(x, y) for x, y in zip(a, b, strict=True)]
    return a + b


def near(tables: Sequence[Sequence[Row]], top: int) -> list[Row]:
    """Who is nearest to a limit of all of them."""
    if len(tables) < 2:
        return [*chain.from_iterable(tables)]
    rows = sorted(chain.from_iterable(tables), key=lambda n: (-n["share"], n["subscriber"], n["organization"] or 0))
    return rows[: max(top, 0)]


def use(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """What everybody used, most output first."""
    return sorted(grouped(tables, ("subscriber", "tier")), key=lambda u: -u["output"])


def latest(tables: Sequence[Sequence[Row]], most: int) -> list[Row]:
    """Rows of several journals, each with the latest first, in the order of time."""
    if len(tables) < 2:
        return [*chain.from_iterable(tables)]
    return sorted(chain.from_iterable(tables), key=lambda r: -r["now_ms"])[:most]


def versions(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """When other terms came into force, the latest first: once, however many processes and starts went by them."""
    found: list[Row] = []
    for row in sorted(chain.from_iterable(tables), key=lambda v: v["now_ms"]):
        if not found or found[-1]["terms"] != row["terms"]:
            found.append(row)
    return found[::-1]
