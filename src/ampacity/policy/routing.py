"""Which replica of a cell gets a request: by chance, in turn, by load, or where it is served soonest.

A cell is `count` rows of REPLICA_FIELDS whole numbers side by side, from `at` on; a replica is named by its position, 0
to count - 1, and NOBODY is chosen if none takes requests now. Which one a session calls its home is `homes.py`'s.
Chance is an argument, `draw`, of 62 bits; so is `start`, a number that moves on from call to call (or another draw): of
equals the first from there on is chosen, so that replica 0 is not the busiest for being the first.

    R_SHARE         how much of a whole replica it is [1 / WHOLE_SHARE]; 0: it takes nothing new (held, drained, gone)
    R_OUT_UNTIL_MS  it takes nothing before this instant: ejected [ms]
    R_REQUESTS      outstanding requests
    R_BACKLOG       outstanding prompt tokens that its cache is not expected to have
    R_STALL_NS      what a request waits there beside the backlog: places and memory that are taken [ns]
    R_PACE_NS       how long it takes for one uncached prompt token [ns]
    R_NAME          a mixed number that is its own wherever its row lies
    R_FULL          not 0: it has all that it has room for, and takes only what has context there

The bounds below keep every sum of products under 2^62. What a request finds cached is the caller's estimate, in tokens
of its prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from ampacity.policy.book import Flat, Row
from ampacity.policy.mixing import mixed

R_SHARE, R_OUT_UNTIL_MS, R_REQUESTS, R_BACKLOG, R_STALL_NS, R_PACE_NS, R_NAME, R_FULL = range(8)
REPLICA_FIELDS = 8  # a line of the processor's cache

NOBODY = -1
WHOLE_SHARE = 1 << 8
REPLICAS_MOST = 1 << 10
REQUESTS_MOST = 1 << 32
BACKLOG_MOST = 1 << 32  # also prompt tokens of one request
STALL_MOST_NS = 1 << 60
PACE_MOST_NS = 1 << 24
MOVE_MOST_NS = 1 << 56
TIMES_MOST = 16
CHANCES = 4  # so often a draw may hit a replica that takes nothing, before all are looked at


def replica_rows(names: Sequence[int], pace_ns: int) -> list[int]:
    """Rows of idle, whole replicas. names: any whole numbers, all different; pace_ns: of one uncached token, >= 1."""
    mistakes = []
    if len(set(names)) != len(names):
        mistakes.append(f"{len(names)} replicas have {len(set(names))} names; each needs one of its own")
    if len(names) > REPLICAS_MOST:
        mistakes.append(f"{len(names)} replicas in a cell, at most {REPLICAS_MOST}")
    if not 1 <= pace_ns <= PACE_MOST_NS:
        mistakes.append(f"pace {pace_ns} ns a token, expected 1 to {PACE_MOST_NS}")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    rows: list[int] = []
    for name in names:
        rows += [WHOLE_SHARE, 0, 0, 0, 0, pace_ns, mixed(name), 0]
    return rows


def takes(cell: Flat, r: int, now_ms: int) -> bool:
    """Whether the replica whose row begins at `r` takes new requests now."""
    return cell[r + R_FULL] == 0 and serves(cell, r, now_ms)


def serves(cell: Flat, r: int, now_ms: int) -> bool:
    """Whether it takes requests at all now, if it has room or not."""
    return cell[r + R_SHARE] > 0 and now_ms >= cell[r + R_OUT_UNTIL_MS]


def wait_ns(cell: Flat, r: int) -> int:
    """What a request waits at the replica whose row begins at `r` before its own prompt is computed. [ns]"""
    return cell[r + R_STALL_NS] + cell[r + R_BACKLOG] * cell[r + R_PACE_NS]


def note_sent(cell: Row, r: int, uncached: int) -> None:
    """A request of so many uncached prompt tokens (0 to BACKLOG_MOST) has been sent to the replica at row `r`."""
    cell[r + R_REQUESTS] += 1
    backlog = cell[r + R_BACKLOG] + uncached
    cell[r + R_BACKLOG] = backlog if backlog < BACKLOG_MOST else BACKLOG_MOST


def note_computed(cell: Row, r: int, uncached: int) -> None:
    """Its prompt, or so many tokens of it, has been computed: its first token came."""
    backlog = cell[r + R_BACKLOG] - uncached
    cell[r + R_BACKLOG] = backlog if backlog > 0 else 0


def note_ended(cell: Row, r: int) -> None:
    """It has ended, one way or another; of a prompt that was not computed, call `note_computed` too."""
    if cell[r + R_REQUESTS] > 0:
        cell[r + R_REQUESTS] -= 1


def at_random(cell: Flat, at: int, count: int, now_ms: int, draw: int) -> int:
    """A replica by chance, each by its share. O(1) unless most take nothing."""
    for _ in range(CHANCES):
        i = draw % count
        r = at + i * REPLICA_FIELDS
        if takes(cell, r, now_ms) and (draw >> 40) % WHOLE_SHARE < cell[r + R_SHARE]:
            return i
        draw = mixed(draw)
    shares = 0
    for r in range(at, at + count * REPLICA_FIELDS, REPLICA_FIELDS):
        if takes(cell, r, now_ms):
            shares += cell[r + R_SHARE]
    if shares == 0:
        return NOBODY
    left = draw % shares
    for i in range(count):
        r = at + i * REPLICA_FIELDS
        if takes(cell, r, now_ms):
            left -= cell[r + R_SHARE]
            if left < 0:
                return i
    return NOBODY


def in_turn(cell: Flat, at: int, count: int, now_ms: int, turns: int) -> int:
    """How many turns have passed when a replica's comes, given how many had before; its position is that modulo count.

    turns: 0 at first, then what the last call gave, plus 1. A replica of half a share lets every other round pass. If
    two whole rounds pass without a turn, shares are forgotten for once. NOBODY if none takes requests.
    """
    for fair in range(2):
        for turn in range(turns, turns + 2 * count):
            r = at + turn % count * REPLICA_FIELDS
            if takes(cell, r, now_ms):
                rounds = turn // count % WHOLE_SHARE
                share = cell[r + R_SHARE]
                if fair == 1 or (rounds + 1) * share // WHOLE_SHARE > rounds * share // WHOLE_SHARE:
                    return turn
    return NOBODY


def least(cell: Flat, at: int, count: int, by: int, now_ms: int, start: int) -> int:
    """The replica with least of field `by`, R_REQUESTS or R_BACKLOG, for its share."""
    best = NOBODY
    load = 0
    share = 0
    for turn in range(start % count, start % count + count):
        i = turn if turn < count else turn - count
        r = at + i * REPLICA_FIELDS
        if takes(cell, r, now_ms) and (best == NOBODY or cell[r + by] * share < load * cell[r + R_SHARE]):
            best = i
            load = cell[r + by]
            share = cell[r + R_SHARE]
    return best


def better_of_two(cell: Flat, at: int, count: int, by: int, now_ms: int, draw: int) -> int:
    """Of two replicas drawn by share, the one with less of field `by` for its share, the first of equals.

    Two looks balance exponentially better than one (Mitzenmacher 2001). The same may be drawn twice.
    """
    one = at_random(cell, at, count, now_ms, draw)
    other = at_random(cell, at, count, now_ms, mixed(draw + 1))
    if one == NOBODY:
        return NOBODY
    r = at + one * REPLICA_FIELDS
    s = at + other * REPLICA_FIELDS
    return other if cell[s + by] * cell[r + R_SHARE] < cell[r + by] * cell[s + R_SHARE] else one


def soonest(
    cell: Flat, at: int, count: int, cached: Flat, c: int, times: int, input_tokens: int, now_ms: int, start: int
) -> int:
    """Where wait + uncached prefill is least; `cached` has from `c` on what each replica has of the prompt. [token]

    times: so often prefill counts, 1 to TIMES_MOST, as for `late_bound`.
    """
    best = NOBODY
    least_ns = 0
    for turn in range(start % count, start % count + count):
        i = turn if turn < count else turn - count
        r = at + i * REPLICA_FIELDS
        if takes(cell, r, now_ms):
            total_ns = wait_ns(cell, r) + times * _uncached(input_tokens, cached[c + i]) * cell[r + R_PACE_NS]
            if best == NOBODY or total_ns < least_ns:
                best = i
                least_ns = total_ns
    return best


def late_bound(
    cell: Flat,
    at: int,
    count: int,
    home: int,
    at_home: int,
    elsewhere: int,
    move_ns: int,
    times: int,
    input_tokens: int,
    now_ms: int,
    start: int,
) -> int:
    """Where wait + prefill is least, prefill counted so many `times`; a session leaves home only for a wait worth it.

    home: where the session's cache lies, or NOBODY; one that takes nothing new can still be moved from. at_home,
    elsewhere: what home has of the prompt, and what any other replica has (a prompt that many share); at_home >=
    elsewhere. move_ns: how long moving the cache takes, 0 to MOVE_MOST_NS; that much if it cannot be moved. times: 1 to
    TIMES_MOST; 1 counts what the request itself waits, 2 also what one behind it does. When all are busy, 1 can hold a
    cell in a state in which sessions keep leaving home and the recomputing is what keeps all busy; 2 leaves it. For the
    same reason a full home takes whoever has context there: sent elsewhere it would be computed anew, which keeps
    others waiting, who would go elsewhere too.

    It stays if it waits at home no longer than `times` what recomputing or moving would take: O(1). Otherwise all are
    looked at, and home is first among equals.
    """
    best = NOBODY
    least_ns = 0
    kept = _uncached(input_tokens, at_home)
    fresh = _uncached(input_tokens, elsewhere)
    r = at + home * REPLICA_FIELDS
    if home != NOBODY and (takes(cell, r, now_ms) or (at_home > elsewhere and serves(cell, r, now_ms))):
        least_ns = wait_ns(cell, r)
        if least_ns <= times * move_ns and least_ns <= times * (fresh - kept) * cell[r + R_PACE_NS]:
            return home
        best = home
        least_ns += times * kept * cell[r + R_PACE_NS]
    for turn in range(start % count, start % count + count):
        i = turn if turn < count else turn - count
        r = at + i * REPLICA_FIELDS
        if i != home and takes(cell, r, now_ms):
            prefill_ns = fresh * cell[r + R_PACE_NS]
            if home != NOBODY and move_ns + kept * cell[r + R_PACE_NS] < prefill_ns:
                prefill_ns = move_ns + kept * cell[r + R_PACE_NS]
            total_ns = wait_ns(cell, r) + times * prefill_ns
            if best == NOBODY or total_ns < least_ns:
                best = i
                least_ns = total_ns
    return best


def has_room(cell: Flat, at: int, count: int, wait_most_ns: int, now_ms: int) -> bool:
    """Whether some replica would begin a request within `wait_most_ns`: until then requests stay in the queue."""
    for r in range(at, at + count * REPLICA_FIELDS, REPLICA_FIELDS):
        if takes(cell, r, now_ms) and wait_ns(cell, r) <= wait_most_ns:
            return True
    return False


def _uncached(input_tokens: int, cached: int) -> int:
    """Prompt tokens that have to be computed: at least one, the last, whose successor is asked for."""
    return input_tokens - cached if cached < input_tokens else 1
