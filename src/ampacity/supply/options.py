"""Options of a contract: rights to extend, expand, take first or swap. Only an event that uses one changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from ampacity.base.calendar import utc_s
from ampacity.scenario.clauses import CapacityOption
from ampacity.scenario.contract import Contract, Delivery, RampStep
from ampacity.scenario.event import Event
from ampacity.scenario.scenario import Scenario
from ampacity.supply.exit import zone_of
from ampacity.supply.ramp import Array, Instants


@dataclass(frozen=True)
class Right:
    """A right and its last day; used_on: the day on which an event uses it, None where none does."""

    kind: str
    last_day: date | None
    used_on: date | None


def rights(s: Scenario, contract: Contract) -> tuple[Right, ...]:
    """The options of a contract, in the order in which they are written."""
    found = []
    for option in contract.options:
        event = _use_of(s, contract, option)
        found.append(Right(option.kind, option.exercise_by, event.date if event else None))
    return tuple(found)


def exercised(s: Scenario) -> Scenario:
    """The scenario with the options that its events use written into the contracts. Doing it twice changes nothing."""
    if not any(event.kind == "exercise" for event in s.events):
        return s
    return s.model_copy(update={"contracts": tuple(_with_uses(s, contract) for contract in s.contracts)})


def growth(s: Scenario, contract: Contract, at_s: Instants) -> Array:
    """A monthly fee over that of the contract as signed: expansions make it grow by their share of the quantity."""
    zone = zone_of(s, contract)
    grown = np.ones(len(at_s))
    signed = sum(d.quantity.value for d in contract.deliveries if d.since is None)
    for option in contract.options:
        event = _use_of(s, contract, option)
        if event and option.kind in ("expand", "first-refusal") and option.quantity and signed > 0:
            grown += np.where(at_s >= utc_s(event.date, zone), option.quantity.value / signed, 0.0)
    return grown


def _with_uses(s: Scenario, contract: Contract) -> Contract:
    """The deliveries that a use adds or ends carry its day, by which a second pass knows them."""
    end, deliveries = contract.end, contract.deliveries
    for option in contract.options:
        event = _use_of(s, contract, option)
        if event is None:
            continue
        if option.kind == "extend":
            end = option.until
        elif option.kind == "swap-generation":
            deliveries = _swapped(deliveries, option, event.date)
        else:
            added = _delivery(deliveries[0], option, event.date)
            deliveries = deliveries if added in deliveries else (*deliveries, added)
    return contract.model_copy(update={"end": end, "deliveries": deliveries})


def _swapped(deliveries: tuple[Delivery, ...], option: CapacityOption, day: date) -> tuple[Delivery, ...]:
    """Every delivery ends on the day; the same quantity, or the option's in the same parts, follows in its place."""
    old = [d for d in deliveries if d.until is None and d.since != day]
    if not old or any(d.until == day for d in deliveries):
        return deliveries
    total = sum(d.quantity.value for d in old)
    factor = option.quantity.value / total if option.quantity and total > 0 else 1.0
    new = []
    for d in old:
        quantity = d.quantity.model_copy(update={"value": d.quantity.value * factor})
        fields = {"accelerator": option.accelerator, "quantity": quantity, "since": day, "ramp": ()}
        new.append(d.model_copy(update=fields))
    return (*(d.model_copy(update={"until": day}) if d in old else d for d in deliveries), *new)


def _delivery(first: Delivery, option: CapacityOption, day: date) -> Delivery:
    """What an expansion adds: at the first delivery's site, of its type unless the option names another."""
    assert option.quantity is not None
    step = RampStep(date=day, quantity=option.quantity)
    accelerator = option.accelerator or first.accelerator
    return Delivery(site=first.site, accelerator=accelerator, quantity=option.quantity, ramp=(step,), since=day)


def _use_of(s: Scenario, contract: Contract, option: CapacityOption) -> Event | None:
    for event in s.events:
        if event.kind == "exercise" and event.contract == contract.name and event.option == option.kind:
            return event
    return None
