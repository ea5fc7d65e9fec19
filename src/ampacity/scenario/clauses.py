"""The clauses of a contract, each with a public example: what may change quantity, fee or end, and on whose word."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.value import (
    Accelerators,
    EventRate,
    HourlyPrice,
    Money,
    MonthlyFee,
    Months,
    Noun,
    PlainDays,
    Share,
)

Party = Literal["lessor", "lessee", "either"]
OptionKind = Literal["extend", "expand", "first-refusal", "swap-generation"]


class Fee(Noun):
    """What capacity costs: exactly one of three forms.

    monthly_usd: fixed, by calendar month [USD/month].
    per_accelerator_usd_per_s: for every delivered accelerator [USD/s].
    index: a price of the catalog or of the accelerator, plus spread_usd_per_s [USD/s].
    """

    monthly_usd: MonthlyFee | None = Field(None, alias="monthly")
    per_accelerator_usd_per_s: HourlyPrice | None = Field(None, alias="per_accelerator")
    index: Literal["rental_3yr", "rental_1yr", "own_neocloud", "own_hyperscaler"] | None = None
    spread_usd_per_s: HourlyPrice | None = Field(None, alias="spread")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [f for f in (self.monthly_usd, self.per_accelerator_usd_per_s, self.index) if f is not None]
        if len(forms) != 1:
            raise PydanticCustomError("mistake", "a fee is one of monthly, per_accelerator or index")
        if self.spread_usd_per_s is not None and self.index is None:
            raise PydanticCustomError("mistake.spread", "a spread is added to an index; there is none")
        return self


class SpendCommitment(Noun):
    """A sum to be spent from one day until before another; what is missing at the end is due then. total_usd [USD].

    rollover: what is paid for a shortfall is set off against later fees of the contract; without it it is lost.
    """

    total_usd: Money = Field(alias="total")
    begin: date = Field(alias="from")
    end: date = Field(alias="until")
    rollover: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.begin:
            raise PydanticCustomError("mistake.until", "not after `from` ({day})", {"day": str(self.begin)})
        return self


class Prepayment(Noun):
    """A share of the total fee paid at the start and set off evenly over some months."""

    share: Share
    months: Months


class DeliveryTerms(Noun):
    """If capacity is missing on `deadline` and `cure_days` later: terminate, take fewer pro rata, or a discount.

    The remedy begins with the day on which the cure ends; a discount [0 to 1] lasts until all is there.
    """

    deadline: date
    cure_days: PlainDays = Field(0.0, alias="cure")
    remedy: Literal["terminate", "fewer-pro-rata", "late-discount"]
    discount: Share | None = None

    @model_validator(mode="after")
    def _discount(self) -> Self:
        if (self.remedy == "late-discount") != (self.discount is not None):
            raise PydanticCustomError("mistake.discount", "a discount goes with remedy late-discount, and only with it")
        return self


class ServiceCredit(Noun):
    """In a month with less than `availability_below`, `credit` of the month's fee comes back. [0 to 1]"""

    availability_below: Share
    credit: Share


class Termination(Noun):
    """Leaving for convenience: who, with which notice [days], at what fee [USD].

    earliest: the first day on which notice may be given.
    """

    party: Party
    notice_days: PlainDays = Field(alias="notice")
    earliest: date | None = None
    known_since: date | None = None
    fee_usd: Money | None = Field(None, alias="fee")


class Reclaim(Noun):
    """Taking capacity back for cause: who, on which trigger, shown by what, after which cure and notice. [days]

    hazard_per_s: a rate, only if the user states one; no remark by anyone becomes a probability here. [1/s]
    """

    party: Literal["lessor", "lessee"] = "lessor"
    trigger: str
    evidence: str = ""
    cure_days: PlainDays = Field(0.0, alias="cure")
    notice_days: PlainDays = Field(0.0, alias="notice")
    hazard_per_s: EventRate | None = Field(None, alias="hazard")
    known_since: date | None = None


class CapacityOption(Noun):
    """A right to change the contract: extend its end, expand its quantity, first refusal, swap the generation.

    exercise_by: last day on which it may be used. It has an effect only where an event of kind `exercise` uses it.
    until: the new end of `extend`. quantity: what `expand` and `first-refusal` add, and what a swap leaves (absent: as
    many as before). accelerator: the new type of a swap; of what is added, if it is another.
    """

    kind: OptionKind
    exercise_by: date | None = None
    until: date | None = None
    quantity: Accelerators | None = None
    accelerator: str | None = None

    @model_validator(mode="after")
    def _says_what_changes(self) -> Self:
        needs = {"extend": "until", "swap-generation": "accelerator"}.get(self.kind, "quantity")
        if getattr(self, needs) is None:
            raise PydanticCustomError(
                f"mistake.{needs}", "a right to {kind} says its {needs}", {"kind": self.kind, "needs": needs}
            )
        return self
