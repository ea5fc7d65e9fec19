"""An event: something that changes the scenario on a day: a reclaim, an outage, a delay, a change of limits."""

from __future__ import annotations

import datetime
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.value import Noun, PlainSeconds, Share

_NEEDS = {"reclaim": "contract", "delay": "contract", "outage": "site", "limit-change": "tier"}


class Event(Noun):
    """What happens from `date` on.

    kind: `reclaim` and `delay` name a contract, `outage` a site, `limit-change` a tier and its new limit.
    share: of the capacity that is gone [0 to 1]. duration_s: until it is back [s]; absent: for good.
    notice_s: how long before `date` it is announced; absent: as the contract says. [s]
    """

    name: str
    kind: Literal["reclaim", "outage", "delay", "limit-change"]
    date: datetime.date
    contract: str | None = None
    site: str | None = None
    tier: str | None = None
    limit: str | None = None
    share: Share | None = None
    duration_s: PlainSeconds | None = Field(None, alias="duration")
    notice_s: PlainSeconds | None = Field(None, alias="notice")
    known_since: datetime.date | None = None

    @model_validator(mode="after")
    def _names_its_subject(self) -> Self:
        subject = _NEEDS[self.kind]
        if getattr(self, subject) is None:
            raise PydanticCustomError(
                "mistake", "an event of kind {kind} names its {subject}", {"kind": self.kind, "subject": subject}
            )
        if self.kind == "delay" and self.duration_s is None:
            raise PydanticCustomError("mistake.duration", "a delay says how long it is")
        return self
