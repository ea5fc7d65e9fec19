"""Tables on the screen: columns under their heads, the first to the left, the others to the right."""

from __future__ import annotations


def aligned(table: list[list[str]]) -> list[str]:
    """Columns under their heads; a row of one cell is a line of its own."""
    full = [row for row in table if len(row) > 1]
    widths = [max(len(row[i]) for row in full) for i in range(len(full[0]))]
    lines = []
    for row in table:
        if len(row) == 1:
            lines.append(f"  {row[0]}")
            continue
        first = row[0].ljust(widths[0])
        lines.append(
            "  " + "   ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        )
    return lines
