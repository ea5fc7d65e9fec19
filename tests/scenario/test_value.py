"""A number with its claim: ranges, dates, bounds."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ampacity.scenario.value import (
    Accelerators,
    EnergyPrice,
    Factor,
    HoursPerWeek,
    PlainDays,
    PlainSeconds,
    Power,
    Share,
    Value,
    middle,
)

MAY = {"value": "300 MW", "known_since": "2026-05-06", "who": "the operator"}
JULY = {"value": "250 MW", "known_since": "2026-07-01", "who": "the utility"}


def read(kind: Any, found: object, as_of: date | None = None) -> Any:
    return TypeAdapter(kind).validate_python(found, context={"as_of": as_of})


def told(kind: Any, found: object, as_of: date | None = None) -> str:
    with pytest.raises(ValidationError) as error:
        read(kind, found, as_of)
    return str(error.value.errors()[0]["msg"])


def test_a_bare_quantity_is_a_value_without_a_range() -> None:
    value = read(Power, "300 MW")
    assert (value.value, value.unit, value.is_range) == (3e8, "W", False)


def test_a_range_without_a_value_has_its_geometric_middle() -> None:
    value = read(Power, {"low": "100 MW", "high": "400 MW"})
    assert value.value == pytest.approx(2e8)
    assert value.is_range


def test_a_range_that_touches_zero_has_its_arithmetic_middle() -> None:
    assert read(Share, {"low": 0, "high": "50 %"}).value == 0.25
    assert read(EnergyPrice, {"low": "-10 USD/MWh", "high": "30 USD/MWh"}).value == pytest.approx(10 / 3.6e9)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_the_middle_of_a_range_lies_in_it(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert low <= middle(low, high) <= high
    assert math.isfinite(middle(low, high))


def test_a_unit_kept_apart_counts_for_all_three_numbers() -> None:
    value = read(Power, {"value": 2, "low": 1, "high": 3, "unit": "MW"})
    assert (value.low, value.value, value.high) == (1e6, 2e6, 3e6)


def test_the_claim_travels_with_the_number() -> None:
    value = read(Power, {**MAY, "basis": "facility", "status": "announced", "confidence": "low"})
    assert (value.who, value.basis, value.status, value.confidence) == ("the operator", "facility", "announced", "low")
    assert value.known_since == date(2026, 5, 6)


@pytest.mark.parametrize("claims", [[MAY, JULY], [JULY, MAY]])
@pytest.mark.parametrize(
    ("as_of", "watts"),
    [
        (None, 2.5e8),
        (date(2026, 12, 1), 2.5e8),
        (date(2026, 7, 1), 2.5e8),
        (date(2026, 6, 30), 3e8),
        (date(2026, 5, 6), 3e8),
    ],
)
def test_the_latest_claim_known_on_the_day_counts(claims: list[object], as_of: date | None, watts: float) -> None:
    assert read(Power, claims, as_of).value == watts


def test_a_claim_without_a_date_was_always_known() -> None:
    assert read(Power, ["200 MW", JULY], date(2020, 1, 1)).value == 2e8


@pytest.mark.parametrize("found", [[MAY, JULY], [MAY], MAY])
def test_what_was_not_known_on_the_day_says_when_it_was(found: object) -> None:
    assert told(Power, found, date(2026, 5, 5)) == "not known on 2026-05-05; first known 2026-05-06"


@pytest.mark.parametrize(
    ("kind", "found", "words"),
    [
        (Power, "-1 W", "a power cannot be below zero here"),
        (Accelerators, -8, "a number of accelerators cannot be below zero here"),
        (Share, "101 %", "a share or ratio cannot be more than 1 here"),
        (Factor, 0.98, "a plain number cannot be less than 1 here"),
        (Factor, 11, "a plain number cannot be more than 10 here"),
        (HoursPerWeek, "169 h/week", "a share of the week cannot be more than 1 here"),
        (Share, {"value": 0.5, "low": 0.4, "high": 1.2}, "a share or ratio cannot be more than 1 here"),
        (Share, {"value": 0.5, "low": -0.1, "high": 0.6}, "a share or ratio cannot be below zero here"),
        (Share, {"value": 0.3, "low": 0.4, "high": 0.6}, "low, value and high must stand in this order"),
        (Share, {"value": 0.7, "low": 0.4, "high": 0.6}, "low, value and high must stand in this order"),
        (Share, {"low": 0.6, "high": 0.4}, "low, value and high must stand in this order"),
        (EnergyPrice, {"low": "1 USD/MWh", "high": "-1 USD/MWh"}, "low, value and high must stand in this order"),
        (Share, {"value": 0.5, "low": 0.4}, "a range has both low and high"),
        (Share, {"who": "nobody"}, "a value has a `value`, or `low` and `high`"),
        (Share, [], "an empty list; expected a value, or claims of different dates"),
        (Share, {"value": 0.5, "known_since": "May"}, "known_since is a day like 2026-05-06"),
        (Share, {"value": {"value": 0.5}}, 'a mapping where a share or ratio belongs; did you mean "1 %"?'),
        (Share, math.nan, "nan is not a number that a share or ratio can have"),
    ],
)
def test_a_number_that_cannot_be_says_why(kind: Any, found: object, words: str) -> None:
    assert told(kind, found) == words


def test_an_unknown_key_in_a_value_names_those_that_there_are() -> None:
    words = told(Share, {"value": 0.5, "sorce": "x"})
    assert words.startswith('unknown key "sorce" in a value; it has value, low, high')


def test_electricity_may_cost_less_than_nothing() -> None:
    assert read(EnergyPrice, "-10 USD/MWh").value < 0


def test_a_range_of_one_point_is_no_range() -> None:
    assert not read(Share, {"value": 0.5, "low": 0.5, "high": 0.5}).is_range


def test_a_value_is_frozen() -> None:
    value = Value(value=1.0)
    with pytest.raises(ValidationError):
        value.value = 2.0  # type: ignore[misc]


def test_plain_durations_are_seconds_or_days_and_zero_needs_no_unit() -> None:
    assert read(PlainSeconds, "5 h") == 18_000
    assert read(PlainDays, "12 h") == 0.5
    assert read(PlainDays, 0) == 0
    assert "a number without a unit where a duration belongs" in told(PlainSeconds, 5)
    assert told(PlainSeconds, "-5 h") == "a duration cannot be below zero here"


def test_every_number_of_the_schema_says_what_it_measures() -> None:
    schema = TypeAdapter(Power).json_schema()
    assert schema["description"] == 'a power, such as "1 MW"; base unit W'
