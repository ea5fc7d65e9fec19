"""What is counted while serving: whole numbers in lists, read by the operator's side and shown there.

Durations fall into buckets that double: bucket i holds 2^(i-1) to 2^i - 1 ms, bucket 0 less than 1 ms. Times between
two tokens of an answer likewise, in microseconds.
"""

from __future__ import annotations

from ampacity.journal.records import ADMITTED, NO_CAPACITY, QUEUED, REFUSED, REFUSED_ORGANIZATION, SETTLED
from ampacity.policy.ticket import Kind, Ticket

BUCKETS = 24  # up to 2 hours
OUTCOMES = {
    ADMITTED: "admitted",
    QUEUED: "queued",
    REFUSED: "refused",
    REFUSED_ORGANIZATION: "refused_organization",
    NO_CAPACITY: "no_capacity",
}


class KindCounts:
    """What arrivals of one tier that ask for one alias have met."""

    __slots__ = (
        "answer_ms",
        "answer_sum_ms",
        "answers",
        "first_ms",
        "outcomes",
        "pool_failures",
        "statuses",
        "tokens",
        "tpot_sum_us",
        "tpot_us",
        "ttft_ms",
    )

    def __init__(self) -> None:
        self.outcomes = [0] * len(OUTCOMES)
        self.tokens = [0, 0, 0, 0]  # uncached, written, read, output
        self.answers = self.pool_failures = 0
        self.ttft_ms = [0] * (BUCKETS + 1)
        self.answer_ms = [0] * (BUCKETS + 1)
        self.tpot_us = [0] * (BUCKETS + 1)
        self.first_ms = self.answer_sum_ms = self.tpot_sum_us = 0  # sums, for means
        self.statuses: dict[int, int] = {}


class Metrics:
    """All counts of a process."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, str], KindCounts] = {}
        self._by_kind: dict[Kind, KindCounts] = {}
        self.refusals: dict[tuple[str, str, str, str], int] = {}  # tier, window, whose it is, alias
        self.malformed = self.unauthenticated = self.cut_short = self.left = 0

    def of(self, kind: Kind) -> KindCounts:
        """The counts of a kind of arrival."""
        found = self._by_kind.get(kind)
        if found is None:
            found = self._by_kind[kind] = self.kinds.setdefault((kind.tier_name, kind.alias), KindCounts())
        return found

    def refused(self, kind: Kind, window: str, owner: str) -> None:
        """A window, or the cap of an hour, refused a request. owner: whose it is."""
        key = kind.tier_name, window, owner, kind.alias
        self.refusals[key] = self.refusals.get(key, 0) + 1

    def ended(
        self, ticket: Ticket, now_ms: int, status: int, tokens: tuple[int, int, int, int], first_ms: int, streamed: bool
    ) -> None:
        """A request has ended with its tokens counted. streamed: they came one by one."""
        counts = self.of(ticket.kind)
        own = counts.tokens
        own[0] += tokens[0]
        own[1] += tokens[1]
        own[2] += tokens[2]
        own[3] += tokens[3]
        if status == SETTLED and first_ms >= 0:
            counts.answers += 1
            if streamed:  # of what comes whole the first token is not seen
                counts.first_ms += first_ms
                counts.ttft_ms[min(first_ms.bit_length(), BUCKETS)] += 1
            took_ms = max(now_ms - ticket.now_ms, 0)
            counts.answer_sum_ms += took_ms
            counts.answer_ms[min(took_ms.bit_length(), BUCKETS)] += 1
            if streamed and tokens[3] > 1:
                each_us = max(took_ms - first_ms, 0) * 1000 // (tokens[3] - 1)
                counts.tpot_sum_us += each_us
                counts.tpot_us[min(each_us.bit_length(), BUCKETS)] += 1

    def snapshot(self) -> dict[str, object]:
        """All of it, as JSON can say it."""
        return {
            "kinds": [
                {
                    "tier": tier,
                    "alias": alias,
                    "outcomes": dict(zip(OUTCOMES.values(), c.outcomes, strict=True)),
                    "tokens": dict(zip(("uncached", "written", "read", "output"), c.tokens, strict=True)),
                    "answers": c.answers,
                    "pool_failures": c.pool_failures,
                    "ttft_ms": c.ttft_ms,
                    "ttft_sum_ms": c.first_ms,
                    "answer_ms": c.answer_ms,
                    "answer_sum_ms": c.answer_sum_ms,
                    "tpot_us": c.tpot_us,
                    "tpot_sum_us": c.tpot_sum_us,
                    "statuses": {str(s): n for s, n in sorted(c.statuses.items())},
                }
                for (tier, alias), c in sorted(self.kinds.items())
            ],
            "refusals": [
                {"tier": t, "window": w, "owner": o, "alias": a, "count": n}
                for (t, w, o, a), n in sorted(self.refusals.items())
            ],
            "malformed": self.malformed,
            "unauthenticated": self.unauthenticated,
            "cut_short": self.cut_short,
            "left": self.left,
        }
