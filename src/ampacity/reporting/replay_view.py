"""A journal replayed, on one screen: how many decisions were made again, and which were others."""

from __future__ import annotations

from collections.abc import Mapping

from ampacity.reporting.catalog_views import View
from ampacity.simulator.journal_replay import Replayed


def replay_view(found: Mapping[str, Replayed]) -> View:
    """The replays of journals, by name, in sentences; the same as data, of several as a list."""
    told = [_one(replayed, name) for name, replayed in found.items()]
    data: dict[str, object] = {"journals": [{"journal": n} | v.data for n, v in zip(found, told, strict=True)]}
    return View("\n\n".join(v.text for v in told), told[0].data if len(told) == 1 else data)


def _one(found: Replayed, name: str) -> View:
    if found.decisions == 0:
        first = f"{name} holds no decision."
    elif not found.differing:
        one = found.decisions == 1
        decided = "The one decision" if one else f"All {found.decisions:,} decisions"
        first = f"{decided} of {name} {'is' if one else 'are'} made again by the same policy, each as it was."
    else:
        share = 100 * found.same / found.decisions
        others = found.decisions - found.same
        first = f"{others:,} of {found.decisions:,} decisions of {name} are others here; {share:.3g} % are the same."
    lines = [
        first,
        f"  {found.events:,} events, {found.starts:,} starts of a process, {found.changes:,} changes of terms, pools.",
    ]
    if found.skipped:
        lines.append(f"  {found.skipped:,} events before the first start that is kept were passed over.")
    if found.differing:
        lines += ["", "  first of them:", *(f"    {words}" for words in found.differing)]
    data = {
        "events": found.events,
        "decisions": found.decisions,
        "same": found.same,
        "starts": found.starts,
        "changes": found.changes,
        "skipped": found.skipped,
        "differing": list(found.differing),
    }
    return View("\n".join(lines), data)
