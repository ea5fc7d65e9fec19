"""What a journal records: the codes and words that stand in its rows, and its rows as a reader gets them.

Everything that happens to a request is an event with an ordinal, its place among all events of the journal. A request
is named by the ordinal of its arrival. Replaying the events in their order through `policy/` gives the same decisions.

    arrival      what was asked, and what was decided at once          placement   where it went later, or again
    settlement   what it has cost, or that it began never or never ended
    change       of limits, of a pool's health or capacity             checkpoint  the rows of deciding at that place

Times are milliseconds since 1970 UTC as the deciding clock gave them. Subscribers, organizations and sessions are whole
numbers or keyed hashes of the caller's, 64 bits signed; 0 is none.
"""

from __future__ import annotations

from typing import NamedTuple

from ampacity.base.outcomes import ABORTED as ABORTED
from ampacity.base.outcomes import ADMITTED as ADMITTED
from ampacity.base.outcomes import BEGUN as BEGUN
from ampacity.base.outcomes import CUT_WITH_POOL as CUT_WITH_POOL
from ampacity.base.outcomes import EXPIRED as EXPIRED
from ampacity.base.outcomes import FAILED as FAILED
from ampacity.base.outcomes import NO_CAPACITY as NO_CAPACITY
from ampacity.base.outcomes import ORGANIZATION as ORGANIZATION
from ampacity.base.outcomes import OUTCOMES as OUTCOMES
from ampacity.base.outcomes import PREEMPTED as PREEMPTED
from ampacity.base.outcomes import QUEUED as QUEUED
from ampacity.base.outcomes import REFUSED as REFUSED
from ampacity.base.outcomes import REFUSED_ORGANIZATION as REFUSED_ORGANIZATION
from ampacity.base.outcomes import RELEASED as RELEASED
from ampacity.base.outcomes import RESERVING as RESERVING
from ampacity.base.outcomes import SETTLED as SETTLED
from ampacity.base.outcomes import STATUSES as STATUSES
from ampacity.base.outcomes import SUBSCRIBER as SUBSCRIBER

NOT_KNOWN = -1  # a time to the first token that was never seen
CONFIGURED = "configuration"  # the change by which limits came into force; its subject is their hash
TAKING_UP, STARTED = "taking-up", "started"  # changes by which a journal tells that a process begins
HOLD, DRAIN, REOPEN, GONE = "hold", "drain", "reopen", "gone"  # changes of a pool
LEASE = "lease"  # how many of a pool's slots this process has from now on, of several that share them
WORKERS = "workers"  # which of how many processes writes the journal; one alone does not say so
CAPS = 2  # beside SUBSCRIBER and ORGANIZATION: rows of caps
CAP = "capacity of this hour"  # stands where the name of a window would, if a cap refused


class Arrival(NamedTuple):
    """A request as it was decided on.

    limit, organization_limit, family, product: what `policy.limits.hold` was asked with. configuration: hash of the
    limits in force. input_tokens: counted or estimated; output_most: what the request allows itself [token]. draw: the
    random number that deciding used. place: the pool of an admitted request, the window that refused it, or nothing.
    """

    ordinal: int
    now_ms: int
    tier: str
    limit: str
    organization_limit: str
    family: str
    product: str
    configuration: str
    subscriber: int
    organization: int
    session: int
    input_tokens: int
    output_most: int
    draw: int
    expires_ms: int
    outcome: int
    place: str


class Placement(NamedTuple):
    """A request that waited or was tried again: where it went, or that nothing took it; or what happened to it.

    place: the pool. answer, wait_ms: of one that FAILED, what its pool answered, and how long it is to be left alone.
    """

    ordinal: int
    request: int
    now_ms: int
    outcome: int
    place: str
    answer: int = 0
    wait_ms: int = 0


class Settlement(NamedTuple):
    """How a request ended, and its tokens by kind. first_token_ms: after its arrival, or NOT_KNOWN.

    answer: what that says of the pool: a status of HTTP, or how it broke off; 0: nothing.
    """

    ordinal: int
    request: int
    now_ms: int
    status: int
    uncached: int
    written: int
    read: int
    output: int
    first_token_ms: int
    answer: int = 0


class Change(NamedTuple):
    """Something else that decisions depend on changed: what (`health`, `drain`, ...), of which pool, and to what."""

    ordinal: int
    now_ms: int
    what: str
    subject: str
    detail: str


class Request(NamedTuple):
    """An arrival with its end; None while it has none. late: its end came after it had expired."""

    arrival: Arrival
    end: Settlement | None
    late: bool


class Use(NamedTuple):
    """What one subscriber of one tier used in a period, by the instants at which it was settled.

    requests: those that ended with their tokens counted. refused: asked in the period, and refused by a window.
    overloaded: for which there was no capacity, at once or after they had waited, or that no pool answered.
    """

    subscriber: int
    tier: str
    requests: int
    refused: int
    overloaded: int
    uncached: int
    written: int
    read: int
    output: int


class Checkpoint(NamedTuple):
    """The rows of deciding after all events before `ordinal`.

    layout: the caller's word for the shape of the rows. state: by (SUBSCRIBER or ORGANIZATION, who). held: by request;
    those that are not among them held nothing.
    """

    ordinal: int
    now_ms: int
    layout: str
    state: dict[tuple[int, int], list[int]]
    held: dict[int, list[int]]
