"""What was used, from a journal: by subscriber and tier, over a span of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ampacity.journal import opening, read
from ampacity.journal.records import Use
from ampacity.reporting.catalog_views import View

DAY_MS = 86_400_000
SHOWN = 40


def use_view(paths: Sequence[Path], days: int, now_ms: int, names: Mapping[int, str] | None = None) -> View:
    """Requests and tokens by kind of each subscriber in the last days, most output first. Raises OSError, Mistakes.

    paths: the journals of a service, in all of which somebody may have use. names: of subscribers, by number.
    """
    begin_ms = now_ms - days * DAY_MS
    sums: dict[tuple[int, str], Use] = {}
    for path in paths:
        with opening.for_reading(path) as db:
            for u in read.use(db, begin_ms, now_ms + 1):
                before = sums.get((u.subscriber, u.tier))
                own = u[2:] if before is None else tuple(map(sum, zip(before[2:], u[2:], strict=True)))
                sums[u.subscriber, u.tier] = Use(u.subscriber, u.tier, *own)
    rows = sorted(sums.values(), key=lambda u: -u.output)
    since = datetime.fromtimestamp(begin_ms / 1000, UTC)
    requests, refused = sum(u.requests for u in rows), sum(u.refused for u in rows)
    overloaded = sum(u.overloaded for u in rows)
    tokens = sum(u.uncached + u.written + u.read + u.output for u in rows)
    called = [(names or {}).get(u.subscriber, str(u.subscriber)) for u in rows]
    width = max([10, *map(len, called)])
    who = "1 subscriber" if len(rows) == 1 else f"{len(rows):,} subscribers"
    asked = "1 request" if requests == 1 else f"{requests:,} requests"
    lines = [
        f"{who} used {tokens:,} tokens in {asked} since {since:%d %B %Y, %H:%M} UTC; {refused:,} more were refused"
        + (f", for {overloaded:,} there was no capacity." if overloaded else "."),
    ]
    if rows:
        lines += [
            "",
            f"  {'subscriber':<{width}}  {'tier':<16}{'requests':>10}{'refused':>9}{'no capacity':>13}"
            + "".join(f"{kind:>15}" for kind in ("uncached", "cache write", "cache read", "output")),
        ]
        for u, name in zip(rows[:SHOWN], called, strict=False):
            tokens_by_kind = "".join(f"{n:>15,}" for n in (u.uncached, u.written, u.read, u.output))
            lines.append(
                f"  {name:<{width}}  {u.tier:<16}{u.requests:>10,}{u.refused:>9,}{u.overloaded:>13,}{tokens_by_kind}"
            )
        if len(rows) > SHOWN:
            lines.append(f"  and {len(rows) - SHOWN:,} more; all of them with --json FILE")
    return View(
        "\n".join(lines),
        {
            "since_ms": begin_ms,
            "until_ms": now_ms,
            "use": [u._asdict() | {"name": n} for u, n in zip(rows, called, strict=True)],
        },
    )
