"""A tier: a group of subscribers or API customers with one behaviour, one price and one limit."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.value import (
    Duration,
    HoursPerWeek,
    MonthlyFee,
    Noun,
    People,
    Ratio,
    Share,
    Tokens,
    TokensPerTime,
)


class Behaviour(Noun):
    """What one person of a tier does.

    active_hours: share of the week in which they work with the model ("20 h/week") [0 to 1].
    uncached_per_s, cached_per_s, output_per_s: tokens by kind in an active hour, averaged [token/s].
    context_tokens: mean context of a sequence being decoded [token].
    bout_s: mean length of one active stretch [s].
    sigma_between, sigma_within: log-normal spread of use between people, and of one person's windows.
    takers: share of active people who use whatever a limit gives them; the others use what they use today [0 to 1].
    parallel: sessions that one person runs at once at the most; even a taker draws no more than so many.
    common_swing: standard deviation of the logarithm of the swing that all people share in an hour.
    shape: a row set of the catalog's `hour_shapes`.
    """

    name: str = ""
    active_share: HoursPerWeek = Field(alias="active_hours")
    uncached_per_s: TokensPerTime = Field(alias="uncached_tokens")
    cached_per_s: TokensPerTime = Field(alias="cached_tokens")
    output_per_s: TokensPerTime = Field(alias="output_tokens")
    context_tokens: Tokens
    bout_s: Duration = Field(alias="bout_hours")
    sigma_between: Ratio
    sigma_within: Ratio
    takers: Share
    parallel: Ratio
    common_swing: Ratio
    shape: str = "office"

    @model_validator(mode="after")
    def _makes_work(self) -> Self:
        if self.output_per_s.value <= 0:
            raise PydanticCustomError("mistake.output_tokens", "a tier without output makes no work")
        return self


class Tier(Noun):
    """What vendors call a plan.

    people: subscribers or customers. kind: `subscribers` share what is left after `api` customers, who have no windows.
    behaviour: see Behaviour; a name is looked up in the catalog. model: what they use.
    limit: name of a limit, or none. weight: this tier's allowance in units of the others' [> 0].
    price_usd: per person [USD/month]. time_zone: whose clock their hours follow; absent: the first site's.
    growth: of the number of people, a month [share]. capped: whether it takes no more in an hour than its capacity
    curve in the plan gives it; else only what the others leave bounds it.
    """

    name: str
    kind: Literal["subscribers", "api"] = "subscribers"
    people: People
    behaviour: Behaviour
    model: str
    limit: str | None = None
    weight: float = Field(1.0, gt=0)
    price_usd: MonthlyFee | None = Field(None, alias="price")
    time_zone: str | None = None
    growth: Ratio | None = Field(None, alias="growth_per_month")
    capped: bool = False
    known_since: date | None = None
