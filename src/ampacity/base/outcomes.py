"""What becomes of a request: the codes that deciding gives and that a journal keeps."""

from __future__ import annotations

# What became of an arrival, or of a placement. Windows hold a reservation after the first two only.
ADMITTED, QUEUED, REFUSED, REFUSED_ORGANIZATION, NO_CAPACITY = range(5)
OUTCOMES = ("admitted", "queued", "refused", "refused by the organization's limit", "no capacity")
RESERVING = (ADMITTED, QUEUED)

# What else is told of a request by placements: what happened (its first byte came, its pool failed), and what was
# decided (another took its place or its pool goes, so it waits again; its pool goes, so its answer is cut).
BEGUN, FAILED, PREEMPTED, CUT_WITH_POOL = range(5, 9)

# How a request ended. Aborted: cut short, charged what it had cost by then, as settled. Expired: what it reserved came
# back, and the answer may still come.
SETTLED, RELEASED, EXPIRED, ABORTED = range(4)
STATUSES = ("settled", "released", "expired", "aborted")

SUBSCRIBER, ORGANIZATION = range(2)  # whose row of deciding
