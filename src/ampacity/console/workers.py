"""Asking and telling the data processes of a service as if they were one: all of them, or the one that has somebody.

Of several, each is asked on its own and `merged` makes one answer. What changes something is done in all or said to be
done in some; one change goes on at a time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ampacity.base.files import write_whole
from ampacity.console import keys, merged
from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.folder import Folder
from ampacity.policy.terms import terms_of

Answer = dict[str, Any]
SAID = 1000
AGAIN = {"open": "reopen", "held": "hold", "draining": "drain", "gone": "reclaim"}


class DoneInSome(NotServing):
    """Some data processes did what they were told; the others do not answer."""


def answers(folder: Folder, do: str, **what: Any) -> list[Answer | NotServing | NotDone]:
    """What each of them says to the same question."""
    found: list[Answer | NotServing | NotDone] = []
    for share in folder.shares():
        try:
            found.append(ask(share.speaking, do, **what))
        except (NotServing, NotDone) as err:
            found.append(err)
    return found


def statuses(folder: Folder) -> list[Answer | None]:
    """The status of each, None of one that does not answer. Raises NotServing if none does."""
    found = answers(folder, "status")
    if not any(isinstance(a, dict) for a in found):
        raise _first(found)
    return [a if isinstance(a, dict) else None for a in found]


def status(folder: Folder) -> Answer:
    """The status of all of them. Raises NotServing."""
    found = statuses(folder)
    return merged.status(found, _slots(folder) if len(found) > 1 else {})


def near(folder: Folder, top: int) -> list[Answer]:
    """Who is nearest to a limit, as the one says that decides on them. Raises NotServing."""
    shares = folder.shares()
    if len(shares) == 1:
        rows: list[Answer] = ask(folder.speaking, "near", top=top)["near"]
        return rows
    found = answers(folder, "near", top=top)
    tables = {k: a["near"] for k, a in enumerate(found) if isinstance(a, dict)}
    if not tables:
        raise _first(found)
    owners = keys.owners_of(folder.keys, [n["subscriber"] for rows in tables.values() for n in rows])

    def has(k: int, n: Answer) -> bool:
        return int(n["organization"] or owners.get(n["subscriber"], k)) % len(shares) == k

    return merged.near([[n for n in rows if has(k, n)] for k, rows in tables.items()], top)


def share_of(folder: Folder, subscriber: str) -> Folder:
    """The data process that decides on a subscriber; of nobody known, the first, which will say so."""
    return folder.shares()[decides_on(folder, subscriber) or 0]


def decides_on(folder: Folder, subscriber: str) -> int | None:
    """Which of several data processes decides on a subscriber; None of nobody known, or where there is one."""
    several = folder.workers
    found = keys.owners_of(folder.keys, [subscriber]) if several > 1 else {}
    return found[subscriber] % several if subscriber in found else None


def said(folder: Folder) -> dict[tuple[int | None, int], Answer]:
    """What those refused at once were told, by worker and ordinal: `request`, their id, and `sentence`."""
    found = zip(folder.shares(), answers(folder, "said", top=SAID), strict=True)
    told = ((share.worker, row) for share, a in found if isinstance(a, dict) for row in a["said"])
    return {(worker, row["ordinal"]): {k: row[k] for k in ("request", "sentence")} for worker, row in told}


def explained(folder: Folder, request: str) -> Answer:
    """What was said to a request, from whoever refused it. Raises NotServing, NotDone."""
    found = answers(folder, "explain", request=request)
    for k, answer in enumerate(found):
        if isinstance(answer, dict):
            return answer if len(found) == 1 else {**answer, "worker": k}
    raise next((a for a in found if isinstance(a, NotServing)), None) or _first(found)


def tell(folder: Folder, do: str) -> list[Answer]:
    """Tell all of them something, and what each says. Raises NotServing, NotDone, DoneInSome."""
    found = answers(folder, do)
    told = [a for a in found if isinstance(a, dict)]
    if not told or any(isinstance(a, NotDone) for a in found):
        raise _first(found)
    if away := _away(found):
        raise DoneInSome(0, f"the others did it; {away} did not answer", str(folder.path))
    return told


def bring_into_force(folder: Folder, text: str) -> Answer:
    """Terms in force in all of them, and on file for whoever comes back; or in none. Raises NotServing, NotDone."""
    with _alone(folder):
        shares, before = folder.shares(), folder.terms.read_text(encoding="utf-8")
        if len(shares) > 1:
            for share in shares:  # one that is away would come back with those before
                ask(share.speaking, "status")
        for k, share in enumerate(shares):
            try:
                answer = ask(share.speaking, "terms", text=text)
            except (NotServing, NotDone) as err:
                if k == 0:
                    raise
                raise NotDone(f"worker {k}: {err}; {_taken_back(shares[:k], before)}") from err
        write_whole(folder.terms, text)
        folder.terms.chmod(0o600)
        return answer


def _taken_back(shares: Sequence[Folder], text: str) -> str:
    """Put the terms of before in force again where others were already; what came of it."""
    kept = []
    for share in shares:
        try:
            ask(share.speaking, "terms", text=text)
        except (NotServing, NotDone) as err:
            kept.append(f"worker {share.worker} goes by the new ones all the same ({err}): stop and serve again")
    return "; ".join(kept) or "those before are in force everywhere"


def move(folder: Folder, pool: str, action: str, deadline_ms: int) -> Answer:
    """Hold, drain, reopen or reclaim a pool in all of them. Raises NotServing, NotDone, DoneInSome."""
    with _alone(folder):
        found = answers(folder, "pool", pool=pool, action=action, deadline_ms=deadline_ms)
    done = [a["pool"] for a in found if isinstance(a, dict)]
    if not done or len(found) == 1:
        if not done:
            raise next((a for a in found if isinstance(a, NotDone)), None) or _first(found)
        return dict(done[0])
    if away := _away(found):
        words = f"the others did it; {away} did not answer: say it again when all are back"
        raise DoneInSome(0, words, str(folder.path))
    moved = next(dict(p) for p in status(folder)["pools"] if p["name"] == pool)
    return moved | {"cut": sum(p["cut"] for p in done)}


def tell_again(folder: Folder, back: Folder) -> None:
    """One that came back is told what became of pools while it was away. Raises NotServing, NotDone."""
    others = [a for share, a in zip(folder.shares(), statuses(folder), strict=True) if a and share != back]
    there = {p["name"]: p["state"] for p in ask(back.speaking, "status")["pools"]}
    for pool in merged.pools([a["pools"] for a in others], {}) if others else ():
        if there.get(pool["name"], pool["state"]) != pool["state"]:
            what = {"pool": pool["name"], "action": AGAIN[pool["state"]], "deadline_ms": pool["deadline_ms"] or 0}
            ask(back.speaking, "pool", **what)


def _away(found: Sequence[object]) -> str:
    return " and ".join(f"worker {k}" for k, a in enumerate(found) if isinstance(a, NotServing))


def _first(found: Sequence[object]) -> Exception:
    return next(a for a in found if isinstance(a, Exception))


def _slots(folder: Folder) -> dict[str, int]:
    """Of each pool, as the terms say: those that the data processes have of it are a part."""
    terms = terms_of(folder.terms.read_bytes())
    return {p.name: p.slots for s in terms.services for p in s.pools}


@contextmanager
def _alone(folder: Folder) -> Iterator[None]:
    """Nobody else changes anything meanwhile, so that all data processes hear the same in the same order."""
    handle = os.open(folder.path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
