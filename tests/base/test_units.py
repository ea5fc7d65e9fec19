"""What people write for a quantity, and what is said to them when it is none."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.units import DIMENSIONS, Dimension, UnitError, convert, to_base

GOOD = [
    ("300 MW", "power", 3e8),
    ("300MW", "power", 3e8),
    ("  7 MW  ", "power", 7e6),
    ("5 kilowatt", "power", 5e3),
    ("1,500 kW", "power", 1.5e6),
    ("1_500 kW", "power", 1.5e6),
    (".5 MW", "power", 5e5),
    ("1e3 W", "power", 1e3),
    ("-3 W", "power", -3.0),
    ("300 MWh/h", "power", 3e8),
    ("1 MWh", "energy", 3.6e9),
    ("2 h", "duration", 7200.0),
    ("7 days", "duration", 604_800.0),
    ("2 years", "months", 24.0),
    ("99.5 %", "share", 0.995),
    (0.4, "share", 0.4),
    (1.25, "number", 1.25),
    (8, "accelerators", 8.0),
    ("220,000 GPUs", "accelerators", 220_000.0),
    ("5 M people", "people", 5e6),
    ("1.9 M developers", "people", 1.9e6),
    ("9.4 M", "tokens", 9.4e6),
    ("9.4 Mtokens", "tokens", 9.4e6),
    ("3600 token/h", "token_rate", 1.0),
    ("2.35 USD/h", "hourly_price", 2.35 / 3600),
    ("90 USD/MWh", "energy_price", 90 / 3.6e9),
    ("3 USD/Mtoken", "token_price", 3e-6),
    ("200 USD/month", "monthly_fee", 200.0),
    ("1 lb", "mass", 453.59237),
    ("298.5 g/kWh", "carbon_intensity", 298.5 / 3.6e6),
    ("1 L/kWh", "water_intensity", 1e-3 / 3.6e6),
    ("80 GB", "bytes", 80e9),
    ("400 Gbit/s", "byte_rate", 50e9),
    ("989 TFLOP/s", "flop_rate", 989e12),
    ("24 1/d", "event_rate", 24 / 86_400),
    ("24/d", "event_rate", 24 / 86_400),
    ("42 h/week", "hours_per_week", 0.25),
]

BAD = [
    ("300 kg", "power", 'a mass where a power belongs; did you mean "300 MW"?'),
    ("300", "power", 'a number without a unit where a power belongs; did you mean "300 MW"?'),
    (300, "power", 'a number without a unit where a power belongs; did you mean "300 MW"?'),
    ("300 MWh", "power", 'an energy where a power belongs; did you mean "300 MW"?'),
    ("300 MW", "energy", 'a power where an energy belongs; did you mean "300 MWh"?'),
    ("1 month", "duration", 'a number of calendar months where a duration belongs; did you mean "1 h"?'),
    ("30 d", "months", 'a duration where a number of calendar months belongs; did you mean "30 months"?'),
    ("20 h", "hours_per_week", 'a duration where a share of the week belongs; did you mean "20 h/week"?'),
    ("5 USD", "monthly_fee", 'an amount of money where money per calendar month belongs; did you mean "5 USD/month"?'),
    ("8 GPU", "people", 'a number of accelerators where a number of people belongs; did you mean "8 people"?'),
    ("5 %", "power", 'a plain number where a power belongs; did you mean "5 MW"?'),
    ("2", "event_rate", 'a number without a unit where events per time belongs; did you mean "2/d"?'),
    ("5 h", "number", "a duration where a plain number belongs"),
    ("7 parsec", "length", 'unknown unit "parsec"; expected a length; did you mean "7 km"?'),
    ("5 MW; reboot", "power", '"MW; reboot" is no unit; expected a power; did you mean "5 MW"?'),
    ("much", "power", 'text that is no quantity where a power belongs; did you mean "1 MW"?'),
    ("", "power", 'text that is no quantity where a power belongs; did you mean "1 MW"?'),
    ("1,5 MW", "power", '"1,5 MW" is no number with a unit; decimals are "1.5", thousands "1,500"'),
    ("1 500 W", "power", '"1 500 W" is no number with a unit; decimals are "1.5", thousands "1,500"'),
    ("1.5.5 W", "power", '"1.5.5 W" is no number with a unit; decimals are "1.5", thousands "1,500"'),
    (True, "power", 'a yes/no where a power belongs; did you mean "1 MW"?'),
    (None, "share", 'nothing where a share or ratio belongs; did you mean "1 %"?'),
    ([1], "tokens", 'a list where a number of tokens belongs; did you mean "1 Mtoken"?'),
    ({}, "tokens", 'a mapping where a number of tokens belongs; did you mean "1 Mtoken"?'),
    ("nan W", "power", "nan is not a number that a power can have"),
    ("inf MW", "power", "inf is not a number that a power can have"),
    ("1e400 W", "power", "inf is not a number that a power can have"),
    ("-inf", "share", "-inf is not a number that a share or ratio can have"),
    (math.nan, "power", "nan is not a number that a power can have"),
    (math.inf, "number", "inf is not a number that a plain number can have"),
    (10**400, "number", "inf is not a number that a plain number can have"),
]


@pytest.mark.parametrize(("written", "dimension", "base"), GOOD)
def test_a_quantity_becomes_a_number_in_base_units(written: object, dimension: str, base: float) -> None:
    assert to_base(written, dimension) == pytest.approx(base, rel=1e-12)


@pytest.mark.parametrize(("written", "dimension", "words"), BAD)
def test_a_wrong_quantity_is_told_what_was_found_and_what_belongs(written: object, dimension: str, words: str) -> None:
    with pytest.raises(UnitError) as told:
        to_base(written, dimension)
    assert str(told.value) == words


@pytest.mark.parametrize("unit", ["h", "d", "weeks", "s"])
def test_a_month_does_not_convert_to_hours(unit: str) -> None:
    with pytest.raises(UnitError, match="a duration where a number of calendar months belongs"):
        to_base(f"720 {unit}", "months")


@pytest.mark.parametrize("want", DIMENSIONS.values(), ids=DIMENSIONS)
def test_every_dimension_reads_the_unit_that_it_suggests(want: Dimension) -> None:
    one, seven = to_base(f"1 {want.example}", want.name), to_base(f"7 {want.example}", want.name)
    assert one > 0
    assert seven == pytest.approx(7 * one, rel=1e-12)


@pytest.mark.parametrize("want", [d for d in DIMENSIONS.values() if d.unit], ids=lambda d: d.name)
def test_every_dimension_reads_its_base_unit_as_it_is(want: Dimension) -> None:
    assert convert(3.25, want.unit, want.name) == pytest.approx(3.25, rel=1e-12)


@pytest.mark.parametrize("want", [d for d in DIMENSIONS.values() if d.example], ids=lambda d: d.name)
def test_the_example_in_a_message_can_be_copied_into_the_file(want: Dimension) -> None:
    with pytest.raises(UnitError) as told:
        to_base([], want.name)
    to_base(str(told.value).split('"')[1], want.name)


@pytest.mark.parametrize(
    "unit", ["W**9**9**9", "W^9^9^9", "(W)**9**9", "9**9**9*W", "W**1e9", "W*(9**9**9)", "W/(2-1)", "__import__('os')"]
)
def test_no_arithmetic_in_a_unit_is_ever_computed(unit: str) -> None:
    with pytest.raises(UnitError, match="is no"):
        to_base(f"5 {unit}", "power")


def test_a_very_long_unit_is_cut_in_the_message() -> None:
    with pytest.raises(UnitError) as told:
        to_base("5 " + "W" * 10_000, "power")
    assert len(str(told.value)) < 120


def test_a_unit_kept_apart_in_a_table_counts_like_one_beside_the_number() -> None:
    assert convert(312, "TFLOP/s", "flop_rate") == to_base("312 TFLOP/s", "flop_rate")
    assert convert(1e16, "W", "power") == 1e16
    assert convert(1.14, "1", "number") == convert(1.14, "", "number") == convert(1.14, "count", "number") == 1.14


@given(st.one_of(st.text(max_size=60), st.from_regex(r"-?\d{1,5}[.,]?\d* ?[A-Za-z0-9*/^().· %-]{0,20}")))
def test_any_text_is_a_finite_number_or_a_unit_error(text: str) -> None:
    for dimension in ("power", "share", "token_rate"):
        try:
            assert math.isfinite(to_base(text, dimension))
        except UnitError as told:
            assert str(told)


def test_importing_the_light_rooms_loads_nothing_heavy() -> None:
    rooms = "ampacity.base.units, ampacity.base.streams, ampacity.base.calendar, ampacity.scenario.load"
    rooms += ", ampacity.base, ampacity.scenario, ampacity.policy, ampacity.journal, ampacity.gateway"
    program = f"import sys, {rooms}; print(*sorted(sys.modules))"
    alone = "import sys, pydantic; print(*sorted(sys.modules))"
    loaded, brought_by_pydantic = (
        set(subprocess.run([sys.executable, "-c", p], capture_output=True, text=True, check=True).stdout.split())
        for p in (program, alone)
    )
    heavy = {"pint", "numpy", "polars", "numba", "plotly"}
    assert heavy & (loaded - brought_by_pydantic) == set()
    assert "ampacity.gateway" in loaded
