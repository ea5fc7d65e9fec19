"""An event: something that changes the scenario on a day: a reclaim, an outage, a delay, a right that is used."""

from __future__ import annotations

import datetime
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.clauses import OptionKind
from ampacity.scenario.value import Noun, PlainSeconds, Share

_NEEDS = {
    "reclaim": ("contract",),
    "termination": ("contract", "party"),
    "exercise": ("contract", "option"),
    "delay": ("contract",),
    "outage": ("site",),
    "limit-change": ("tier",),
}


class Event(Noun):
    """What happens from `date` on.

    kind: `reclaim`, `termination`, `exercise` (of an option) and `delay` name a contract, `outage` a site,
    `limit-change` a tier and its new limit.
    For a reclaim or a termination `date` is the day the party speaks; capacity goes once it has been warned.
    party: who speaks. option: the kind of the option that is used.
    notice_s: the whole warning, in place of the contract's cure and notice; 0 s is none. Absent: the contract's. [s]
    share: of the capacity that is gone [0 to 1]. duration_s: until it is back [s]; absent: for good.
    """

    name: str
    kind: Literal["reclaim", "termination", "exercise", "outage", "delay", "limit-change"]
    date: datetime.date
    contract: str | None = None
    party: Literal["lessor", "lessee"] | None = None
    option: OptionKind | None = None
    site: str | None = None
    tier: str | None = None
    limit: str | None = None
    share: Share | None = None
    duration_s: PlainSeconds | None = Field(None, alias="duration")
    notice_s: PlainSeconds | None = Field(None, alias="notice")
    known_since: datetime.date | None = None

    @model_validator(mode="after")
    def _names_its_subject(self) -> Self:
        for subject in _NEEDS[self.kind]:
            if getattr(self, subject) is None:
                raise PydanticCustomError(
                    "mistake", "an event of kind {kind} names its {subject}", {"kind": self.kind, "subject": subject}
                )
        if self.kind == "termination" and (self.share is not None or self.duration_s is not None):
            key = "share" if self.share is not None else "duration"
            raise PydanticCustomError(f"mistake.{key}", "a contract is terminated as a whole and for good")
        if self.kind == "delay" and self.duration_s is None:
            raise PydanticCustomError("mistake.duration", "a delay says how long it is")
        return self
