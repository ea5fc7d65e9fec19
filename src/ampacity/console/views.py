"""What the terminal shows of a live service: text from the operator's dicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

NOTHING = "  none"


def status_view(status: dict[str, Any]) -> str:
    """How a service stands."""
    journal = status["journal"]
    lines = [
        f"{status['scenario']} · up {duration(status['uptime_s'])} · {'ready' if status['ready'] else 'NOT READY'}"
        f" · terms {status['terms']} · {status['memory_bytes'] / 1e6:.0f} MB",
        "",
        f"  now        {status['exchanges']} requests in flight, "
        f"{sum(q['waiting'] for q in status['queue'])} wait, {status['connections']} connections",
        f"  keys       {status['keys']} in force, of {status['subscribers']} subscribers",
        f"  journal    event {journal['last']:,}, on disk to {journal['durable']:,}"
        + (f"; CANNOT BE WRITTEN: {journal['error']}" if journal["error"] else ""),
        *([f"  workers    {_workers(status['workers'])}"] if "workers" in status else []),
        *(f"  TROUBLE    {words}" for words in status.get("trouble", ())),
        "",
        *table(
            ("pool", "state", "health", "requests", "of", "backlog"),
            (
                (
                    p["name"],
                    p["state"] + (f" until {clock(p['deadline_ms'])}" if p["deadline_ms"] else ""),
                    p["health"] + (f", {p['failures_in_a_row']} failed in a row" if p["failures_in_a_row"] else ""),
                    p["requests"],
                    p["slots"],
                    number(p["backlog_tokens"]),
                )
                for p in status["pools"]
            ),
        ),
    ]
    kinds = status["metrics"]["kinds"]
    if kinds:
        head = ("tier", "model", "answers", "queued", "refused", "no capacity", "first token", "output")
        lines += ["", *table(head, (_kind_row(k) for k in kinds))]
    return "\n".join(lines)


def _workers(workers: Sequence[dict[str, Any]]) -> str:
    """How many data processes answer, and the load of each."""
    there = [w for w in workers if w["process"] is not None]
    return f"{len(there)} of {len(workers)} answer; in flight " + ", ".join(str(w["exchanges"]) for w in there)


def _kind_row(kind: dict[str, Any]) -> tuple[object, ...]:
    outcomes, answers = kind["outcomes"], kind["answers"]
    streams = sum(kind["ttft_ms"])
    mean = f"{kind['ttft_sum_ms'] / streams / 1000:.2f} s" if streams else "-"
    refused = outcomes["refused"] + outcomes["refused_organization"]
    return (
        kind["tier"], kind["alias"], answers, outcomes["queued"], refused, outcomes["no_capacity"], mean,
        number(kind["tokens"]["output"]),
    )  # fmt: skip


def keys_view(keys: Sequence[dict[str, Any]]) -> str:
    """All keys."""
    rows = (
        (
            k["shown"],
            k["subscriber"],
            k["tier"],
            k["organization"] or "-",
            clock(k["made_ms"]),
            f"revoked {clock(k['revoked_ms'])}" if k["revoked_ms"] else "in force",
        )
        for k in keys
    )
    return "\n".join(table(("key", "subscriber", "tier", "organization", "made", "state"), rows))


def made_view(made: dict[str, Any]) -> str:
    """A key that was made."""
    words = "It is shown this once; only its hash is kept."
    note = f"\n  {made['note']}" if "note" in made else ""
    return f"{made['key']}\n  of {made['subscriber']} in tier {made['tier']}. {words}{note}"


def use_view(use: Sequence[dict[str, Any]], hours: float) -> str:
    """What subscribers used."""
    counts = ("requests", "refused", "overloaded")
    rows = ((u["subscriber"], u["tier"], *(u[k] for k in counts), *(number(u[k]) for k in _TOKENS)) for u in use)
    head = (
        "subscriber",
        "tier",
        "requests",
        "refused",
        "no capacity",
        "uncached",
        "cache write",
        "cache read",
        "output",
    )
    return "\n".join([f"Tokens settled in the last {hours:g} h", "", *table(head, rows)])


_TOKENS = ("uncached", "written", "read", "output")


def limits_view(told: dict[str, Any]) -> str:
    """The windows of every limit."""
    users: dict[str, list[str]] = {}
    for tier in told["tiers"]:
        users.setdefault(tier["limit"], []).append(tier["name"])
    for name, limit in told["organizations"].items():
        users.setdefault(limit, []).append(f"organization {name}")
    lines = []
    for name, windows in told["limits"].items():
        lines.append(f"{name}: {', '.join(users.get(name, [])) or 'nobody'}")
        for w in windows:
            size = "without bound" if w["size"] is None else f"{number(w['size'])} {w['counts']}"
            length = "" if w["length_s"] is None else f" in {duration(w['length_s'])}"
            of = "" if w["aliases"] is None else f", of {', '.join(w['aliases'])}"
            lines.append(f"  {w['name']:<12} {size}{length}, back {w['returns']}{of}")
        if not windows:
            lines.append("  no window: nothing is refused")
    return "\n".join(lines)


def near_view(near: Sequence[dict[str, Any]]) -> str:
    """Who is nearest to a limit."""
    rows = ((n["subscriber"], n["tier"], n["window"], f"{100 * n['share']:.0f} %") for n in near)
    return "\n".join(table(("subscriber", "tier", "window", "used"), rows))


def explain_view(told: dict[str, Any]) -> str:
    """Why something was refused, or how somebody stands."""
    if "request" in told:
        whose = f" of worker {told['worker']}" if "worker" in told else ""
        return f"{told['request']}, event {told['ordinal']:,} of the journal{whose}, was refused:\n  {told['sentence']}"
    if "people" in told:
        lines = [f"organization {told['who']}, {counted(told['people'], 'member')}"]
    else:
        lines = [f"{told['who']}, tier {told['tier']}"]
    for alias, now in told["now"].items():
        lines.append(f"  {alias}: {'would be admitted' if now['admits'] else 'WOULD BE REFUSED'}. {now['sentence']}")
    lines += ["", "The latest refusals", *refusal_rows(told["refusals"])]
    return "\n".join(lines)


def refusal_rows(refusals: Sequence[dict[str, Any]]) -> list[str]:
    """Refusals, a line each."""
    rows = (
        (clock(r["now_ms"]), r["subscriber"], r["alias"], r["outcome"], r["window"] or "-", r.get("request", "-"))
        for r in refusals
    )
    return table(("when", "subscriber", "model", "outcome", "by", "request"), rows)


def audit_view(rows: Sequence[dict[str, Any]]) -> str:
    """What operators did."""
    shown = ((clock(r["now_ms"]), r["who"], r["what"], r["subject"]) for r in rows)
    return "\n".join(table(("when", "who", "what", "of"), shown))


def pool_view(pool: dict[str, Any]) -> str:
    """A pool after it was held, drained or opened."""
    until = f" until {clock(pool['deadline_ms'])}" if pool["deadline_ms"] else ""
    cut = f"; cut with it: {counted(pool['cut'], 'answer')}" if pool.get("cut") else ""
    return f"{pool['name']}: {pool['state']}{until}, {pool['requests']} requests in flight{cut}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as they need; numbers to the right."""
    body = [tuple(row) for row in rows]
    if not body:
        return [NOTHING]
    texts = [tuple(f"{c:,}" if isinstance(c, int) else str(c) for c in row) for row in body]
    widths = [max(len(head[i]), *(len(t[i]) for t in texts)) for i in range(len(head))]
    right = [all(t[i][:1].isdigit() for t in texts) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return ("  " + "   ".join(padded)).rstrip()

    return [line(head), *map(line, texts)]


def counted(many: int, what: str) -> str:
    """So many of something."""
    return f"{many} {what}" if many == 1 else f"{many} {what}s"


def number(amount: float) -> str:
    """A count of tokens to three digits."""
    for scale, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(amount) >= scale:
            return f"{amount / scale:.3g}{letter}"
    return f"{amount:.3g}"


def clock(ms: int) -> str:
    """An instant by the clock of UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """So long, in the largest unit that fits."""
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
