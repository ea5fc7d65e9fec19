"""What was used, from a journal: by subscriber and tier, over a span of days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ampacity.journal import opening, read
from ampacity.journal.records import Use
from ampacity.reporting.catalog_views import View

DAY_MS = 86_400_000
SHOWN = 40


def use_view(paths: Sequence[Path], days: int, now_ms: int) -> View:
    """Requests and tokens by kind of each subscriber in the last days, most output first. Raises OSError, Mistakes.

    paths: the journals of a service, in all of which somebody may have use.
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
    tokens = sum(u.uncached + u.written + u.read + u.output for u in rows)
    lines = [
        f"{len(rows):,} subscribers used {tokens:,} tokens in {requests:,} requests since {since:%d %B %Y, %H:%M} UTC; "
        f"{refused:,} more were refused.",
    ]
    if rows:
        lines += [
            "",
            f"  {'subscriber':>10}  {'tier':<16}{'requests':>10}{'refused':>9}"
            + "".join(f"{kind:>15}" for kind in ("uncached", "written", "read", "output")),
        ]
        for u in rows[:SHOWN]:
            tokens_by_kind = "".join(f"{n:>15,}" for n in (u.uncached, u.written, u.read, u.output))
            lines.append(f"  {u.subscriber:>10}  {u.tier:<16}{u.requests:>10,}{u.refused:>9,}{tokens_by_kind}")
        if len(rows) > SHOWN:
            lines.append(f"  and {len(rows) - SHOWN:,} more; all of them with --json FILE")
    return View("\n".join(lines), {"since_ms": begin_ms, "until_ms": now_ms, "use": [u._asdict() for u in rows]})
