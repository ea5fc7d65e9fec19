"""A request from its arrival to its end, as deciding sees it; and what is the same for many of them."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.policy.routing import NOBODY

NO_CAP = -1


@dataclass(frozen=True, slots=True, eq=False)  # compared and hashed as itself, which is fast
class Kind:
    """What an arrival has of the terms in force: made once for each (tier, organization's limit, alias, product).

    limit, plan, organization_limit, organization_plan: where they begin in the book; 0 without an organization.
    tier: its position. cap, taken: where the tier's cap on the alias begins, or NO_CAP.
    """

    tier_name: str
    limit_name: str
    organization_limit_name: str
    alias: str
    product: str
    limit: int
    plan: int
    organization_limit: int
    organization_plan: int
    tier: int
    rank: int
    cap: int
    taken: int


class Ticket:
    """One request.

    outcome: what became of it last, a code of `journal.records`. window: where in the book the window begins that
    refused it. pool: the position of the pool that has it, or NOBODY; entry: its place in the queue, or 0. begun: its
    first byte has come. over: it has ended. number: its ordinal in the journal. owner: whatever the caller hangs on it.
    """

    __slots__ = (
        "begun",
        "cap_hour",
        "charge",
        "draw",
        "entry",
        "era",
        "expires_ms",
        "held",
        "input_tokens",
        "kind",
        "now_ms",
        "number",
        "organization",
        "outcome",
        "output_most",
        "over",
        "owner",
        "person",
        "pool",
        "scopes",
        "session",
        "tries",
        "uncached",
        "who",
        "window",
    )

    def __init__(
        self,
        kind: Kind,
        who: int,
        organization: int,
        session: int,
        input_tokens: int,
        output_most: int,
        now_ms: int,
        draw: int,
        expires_ms: int,
        owner: object = None,
    ) -> None:
        self.kind, self.who, self.organization, self.session = kind, who, organization, session
        self.input_tokens, self.output_most = input_tokens, output_most
        self.now_ms, self.draw, self.expires_ms, self.owner = now_ms, draw, expires_ms, owner
        self.held: list[int] = []
        self.outcome = self.window = self.entry = self.charge = self.person = self.tries = self.number = 0
        self.scopes = self.uncached = self.cap_hour = self.era = 0
        self.pool = NOBODY
        self.begun = self.over = False
