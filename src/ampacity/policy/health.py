"""Which upstreams are left out for a while: those that fail again and again, and those that say they are full.

An upstream is a replica of a cell, or an endpoint of a pool. Its health is a row of HEALTH_FIELDS whole numbers, in the
order of the cell's rows (`routing.py`), from `h` on; fresh rows are zeros. Being left out is written where routing
looks, R_OUT_UNTIL_MS, so every rule of routing keeps to it.

    H_STANDING    SOUND; EJECTED, which once its time out is over means on trial; TRIED: on trial, and one is under way
    H_ERA         ejections ever; a request keeps the era in which it was sent
    H_FAILURES    failures in a row
    H_EJECTIONS   ejections lately: each is twice as long as the one before
    H_BACK_MS     since when it is sound again [ms]
    H_FULLS       times in a row that it said it was full: each pause is twice as long as the one before

Some failures in a row eject it (Envoy's outlier detection, where five are the default; the trial is the half-open state
of Nygard's circuit breaker, Release It!, 2007). When its time out is over, one request goes there; no other does
until that one has ended or `trial_ms` have passed, as one may be lost. The first success readmits it, a failure ejects
it for longer. A request counts only if it was sent in the era in which it ends: of a hundred streams that break with
their replica the fifth ejects it, and the others, whenever they are noticed, do not eject it again.

A request may be what breaks whoever computes it, and tried again elsewhere it would eject everybody. So at most a share
of a cell is ejected at a time, rounded down; beyond it an upstream stays, and its next failure asks again. Those that
take nothing anyway (R_SHARE 0) do not count. A lone upstream may be ejected: there is no better one to spare, and its
service answers at once that it is overloaded (529) instead of letting people wait for a failure.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row
from ampacity.policy.routing import R_OUT_UNTIL_MS, R_SHARE, REPLICA_FIELDS

H_STANDING, H_ERA, H_FAILURES, H_EJECTIONS, H_BACK_MS, H_FULLS, HEALTH_FIELDS = range(7)
SOUND, EJECTED, TRIED = range(3)

X_FAILURES, X_BASE_MS, X_MOST_MS, X_CALM_MS, X_TRIAL_MS, X_PERCENT, X_FULL_MS, X_FULL_MOST_MS = range(8)

# how a request ended that has no status of HTTP, or not only that
REFUSED, TIMED_OUT, CUT_OFF, GIVEN_UP = -1, -2, -3, -4
"""No connection; no answer in time; an answer that broke off, whatever its status; its client went away."""
# what that says of the upstream
WORKED, BROKE, WAS_FULL, UNTOLD = range(4)

FAILURES_MOST = 1 << 20
OUT_MOST_MS = 1 << 40
DOUBLINGS_MOST = 20  # 2^40 ms, doubled so often, stays below 2^62


def health_rules(
    failures: int = 5,
    base_ms: int = 1_000,
    most_ms: int = 60_000,
    calm_ms: int = 300_000,
    trial_ms: int = 60_000,
    percent: int = 50,
    full_ms: int = 1_000,
    full_most_ms: int = 60_000,
) -> list[int]:
    """Rules as a row.

    failures: in a row, that eject. base_ms: how long at first; most_ms: at most. calm_ms: so long after it was
    readmitted, earlier ejections are forgotten. trial_ms: how long a trial keeps others away. percent: of a cell, that
    may be ejected. full_ms, full_most_ms: how long one that is full is left alone at first, and at most, even if it
    asks for more. Raises ValueError with every mistake.
    """
    mistakes = [
        f"{what} is {found}, expected {low} to {high}"
        for what, found, low, high in (
            ("failures", failures, 1, FAILURES_MOST),
            ("base_ms", base_ms, 1, max(most_ms, 1)),
            ("most_ms", most_ms, 1, OUT_MOST_MS),
            ("calm_ms", calm_ms, 0, OUT_MOST_MS),
            ("trial_ms", trial_ms, 1, OUT_MOST_MS),
            ("percent", percent, 0, 100),
            ("full_ms", full_ms, 1, max(full_most_ms, 1)),
            ("full_most_ms", full_most_ms, 1, OUT_MOST_MS),
        )
        if not low <= found <= high
    ]
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return [failures, base_ms, most_ms, calm_ms, trial_ms, percent, full_ms, full_most_ms]


def judged(status: int) -> int:
    """What an ending says of the upstream: WORKED, BROKE, WAS_FULL or UNTOLD.

    status: of HTTP if the answer came whole (a first token is not enough, or one that breaks its streams off would be
    sound); otherwise REFUSED, TIMED_OUT, CUT_OFF or GIVEN_UP. 429, 503 and 529 are its own word that it is full; other
    4xx are the client's.
    """
    if status in (429, 503, 529):
        return WAS_FULL
    if status == GIVEN_UP or 400 <= status < 500:
        return UNTOLD
    return WORKED if 200 <= status < 400 else BROKE


def on_trial(health: Flat, k: int, cell: Flat, r: int, now_ms: int) -> bool:
    """Whether the upstream of rows `k` and `r` has sat out its ejection and has not succeeded since."""
    standing = health[k + H_STANDING]
    return standing == TRIED or (standing == EJECTED and now_ms >= cell[r + R_OUT_UNTIL_MS])


def awaited(health: Flat, cell: Flat, now_ms: int, due_ms: int) -> bool:
    """Whether anybody of a cell takes requests now, or has only said that it is full and will before `due_ms`."""
    for i in range(len(cell) // REPLICA_FIELDS):
        r = i * REPLICA_FIELDS
        back_ms = cell[r + R_OUT_UNTIL_MS]
        if cell[r + R_SHARE] > 0 and (
            back_ms <= now_ms or (back_ms < due_ms and health[i * HEALTH_FIELDS + H_STANDING] == SOUND)
        ):
            return True
    return False


def note_tried(health: Row, k: int, rules: Flat, g: int, cell: Row, r: int, now_ms: int) -> int:
    """A request is sent there; returns the era, which is to be kept with it. On trial, others stay away meanwhile."""
    if health[k + H_STANDING] != SOUND:
        health[k + H_STANDING] = TRIED
        cell[r + R_OUT_UNTIL_MS] = now_ms + rules[g + X_TRIAL_MS]
    return health[k + H_ERA]


def note_outcome(
    health: Row,
    h: int,
    rules: Flat,
    g: int,
    cell: Row,
    at: int,
    count: int,
    i: int,
    era: int,
    status: int,
    retry_after_ms: int,
    now_ms: int,
) -> bool:
    """A request of upstream `i` of a cell, sent in `era`, has ended; returns whether that ejects the upstream.

    status: as for `judged`. retry_after_ms: what it asked for if it was full; 0 or less: nothing. [ms]
    """
    k = h + i * HEALTH_FIELDS
    r = at + i * REPLICA_FIELDS
    if era != health[k + H_ERA]:
        return False  # sent before it was ejected: that is known
    said = judged(status)
    if said == BROKE:
        return note_failure(health, h, rules, g, cell, at, count, i, now_ms)
    if said == WORKED:
        note_success(health, k, cell, r, now_ms)
    elif said == WAS_FULL:
        note_full(health, k, rules, g, cell, r, retry_after_ms, now_ms)
    elif health[k + H_STANDING] == TRIED:
        cell[r + R_OUT_UNTIL_MS] = 0  # the trial has shown nothing: the next one
    return False


def note_success(health: Row, k: int, cell: Row, r: int, now_ms: int) -> None:
    """It answered as it should: readmitted if it was on trial, and no failures in a row any more."""
    if health[k + H_STANDING] != SOUND:
        health[k + H_STANDING] = SOUND
        health[k + H_BACK_MS] = now_ms
        cell[r + R_OUT_UNTIL_MS] = 0
    health[k + H_FAILURES] = 0
    if now_ms >= cell[r + R_OUT_UNTIL_MS]:  # else it began before others were told that it is full
        health[k + H_FULLS] = 0


def note_full(health: Row, k: int, rules: Flat, g: int, cell: Row, r: int, retry_after_ms: int, now_ms: int) -> None:
    """It said that it is full: left alone for as long as it asks, or twice as long as last time; no failure.

    Of many that are told so at once the first begins the pause; the others make it longer only by what is asked.
    """
    out_until_ms = cell[r + R_OUT_UNTIL_MS]
    begins = health[k + H_STANDING] != SOUND or now_ms >= out_until_ms
    pause_ms = min(retry_after_ms, rules[g + X_FULL_MOST_MS])
    if retry_after_ms <= 0:
        if not begins:
            return
        pause_ms = min(rules[g + X_FULL_MS] << health[k + H_FULLS], rules[g + X_FULL_MOST_MS])
    if begins:
        health[k + H_FULLS] = min(health[k + H_FULLS] + 1, DOUBLINGS_MOST)
    if begins or now_ms + pause_ms > out_until_ms:
        cell[r + R_OUT_UNTIL_MS] = now_ms + pause_ms


def note_failure(health: Row, h: int, rules: Flat, g: int, cell: Row, at: int, count: int, i: int, now_ms: int) -> bool:
    """It failed; returns whether it is ejected now: on trial at once, else after enough in a row if enough others stay.

    O(1), and O(count) if it was the last of enough in a row.
    """
    k = h + i * HEALTH_FIELDS
    r = at + i * REPLICA_FIELDS
    sound = health[k + H_STANDING] == SOUND
    if sound:
        health[k + H_FAILURES] += 1
        if health[k + H_FAILURES] < rules[g + X_FAILURES]:
            return False
        if not may_eject(health, h, rules, g, cell, at, count, i):
            return False
        if now_ms - health[k + H_BACK_MS] >= rules[g + X_CALM_MS]:
            health[k + H_EJECTIONS] = 0
    until_ms = now_ms + min(rules[g + X_BASE_MS] << health[k + H_EJECTIONS], rules[g + X_MOST_MS])
    if not sound or until_ms > cell[r + R_OUT_UNTIL_MS]:  # a longer pause of one that is full holds
        cell[r + R_OUT_UNTIL_MS] = until_ms
    health[k + H_STANDING] = EJECTED
    health[k + H_ERA] += 1
    health[k + H_EJECTIONS] = min(health[k + H_EJECTIONS] + 1, DOUBLINGS_MOST)
    return True


def may_eject(health: Flat, h: int, rules: Flat, g: int, cell: Flat, at: int, count: int, i: int) -> bool:
    """Whether upstream `i` may be ejected beside those of its cell that are, on trial included; a lone one may."""
    ejected = 1
    all_of_them = 1
    for j in range(count):
        if j != i and cell[at + j * REPLICA_FIELDS + R_SHARE] > 0:
            all_of_them += 1
            if health[h + j * HEALTH_FIELDS + H_STANDING] != SOUND:
                ejected += 1
    return all_of_them == 1 or ejected * 100 <= rules[g + X_PERCENT] * all_of_them
