"""A contract: who leases what to whom, when it arrives, what it costs, and how it ends."""

from __future__ import annotations

import datetime
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.clauses import (
    CapacityOption,
    DeliveryTerms,
    Fee,
    Prepayment,
    Reclaim,
    ServiceCredit,
    SpendCommitment,
    Termination,
)
from ampacity.scenario.value import Accelerators, Noun, Share


class RampStep(Noun):
    """From `date` on, `quantity` accelerators are there and `fee_share` of the fee is due. [0 to 1]

    fee_share absent: the share of the delivery that is there.
    """

    date: datetime.date
    quantity: Accelerators
    fee_share: Share | None = None


class Delivery(Noun):
    """Accelerators of one type at one site. quantity: when all have arrived; ramp: until then, forward in time.

    since, until: days between which the contract is for them; absent: as long as it is in force.
    """

    site: str
    accelerator: str
    quantity: Accelerators
    ramp: tuple[RampStep, ...] = ()
    since: datetime.date | None = None
    until: datetime.date | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        for i, (before, after) in enumerate(zip(self.ramp, self.ramp[1:], strict=False), 1):
            if after.date == before.date:
                raise PydanticCustomError(
                    f"mistake.ramp.{i}", "two steps on {day}: a ramp has one step a day", {"day": str(after.date)}
                )
            if after.date < before.date:
                raise PydanticCustomError(
                    f"mistake.ramp.{i}",
                    "earlier than ramp[{i}] ({day}): a ramp goes forward in time",
                    {"i": i - 1, "day": str(before.date)},
                )
        for i, step in enumerate(self.ramp):
            if step.quantity.value > self.quantity.value:
                raise PydanticCustomError(
                    f"mistake.ramp.{i}", "more than the contract's quantity ({q})", {"q": f"{self.quantity.value:g}"}
                )
        return self


class Contract(Noun):
    """A promise of capacity between two parties, seen from one side.

    side: `lessee` takes capacity and pays, `lessor` gives it and earns, `owner` has it without a lease.
    start, end: first day, and the day after the last; an open end runs to the scenario's.
    deliveries: what arrives where; several deliveries of one pool add up. fee: monthly, per accelerator-hour or index.
    take_or_pay: share of the fee due whether used or not [0 to 1].
    firm: whether the capacity is promised; an expression of interest is not, and counts only in a scenario whose
    contracts are all of that kind, which asks what would be if they came true.
    exclusive: no other contract may deliver at its sites. earmark: tiers that it serves first.
    Clauses (see `clauses.py`): commitment, prepayment, delivery, service_credits, termination, reclaim, options.
    """

    name: str
    side: Literal["lessee", "lessor", "owner"] = "owner"
    supplier: str = ""
    customer: str = ""
    start: datetime.date
    end: datetime.date | None = None
    deliveries: tuple[Delivery, ...] = Field(min_length=1)
    fee: Fee | None = None
    take_or_pay: Share | None = None
    commitment: SpendCommitment | None = None
    prepayment: Prepayment | None = None
    delivery: DeliveryTerms | None = None
    service_credits: tuple[ServiceCredit, ...] = ()
    termination: tuple[Termination, ...] = ()
    reclaim: tuple[Reclaim, ...] = ()
    options: tuple[CapacityOption, ...] = ()
    firm: bool = True
    exclusive: bool = False
    earmark: tuple[str, ...] = ()
    known_since: datetime.date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise PydanticCustomError("mistake.end", "not after start ({day})", {"day": str(self.start)})
        for i, delivery in enumerate(self.deliveries):
            if delivery.ramp and delivery.ramp[0].date < self.start:
                raise PydanticCustomError(
                    f"mistake.deliveries.{i}.ramp",
                    "begins before the contract's start ({day})",
                    {"day": str(self.start)},
                )
        for i, option in enumerate(self.options):
            if option.until is not None and option.until <= (self.end or self.start):
                raise PydanticCustomError(
                    f"mistake.options.{i}.until", "not after the contract's end ({day})", {"day": str(self.end)}
                )
        for i, clause in enumerate(self.termination):
            if clause.earliest is not None and clause.earliest < self.start:
                raise PydanticCustomError(
                    f"mistake.termination.{i}.earliest", "before the contract's start ({day})", {"day": str(self.start)}
                )
        return self
