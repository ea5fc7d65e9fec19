"""No number without its claim: the table of sources holds every value of a scenario, in units people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ampacity.base.units import DIMENSIONS, to_base
from ampacity.planner.plan import Plan
from ampacity.reporting.sources import FIELDS, UNITS, claims, human
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import ranges

READABLE = ["power", "energy", "duration", "share", "hourly_price", "energy_price", "carbon_intensity"]
READABLE += ["water_intensity", "mass", "length", "bytes", "byte_rate", "flop_rate", "hours_per_week", "months"]


def _values(dumped: Any) -> Iterator[dict[str, Any]]:
    """Every dumped `Value`, found by its keys: another way round than the one that `claims` walks."""
    if isinstance(dumped, dict):
        if dumped.keys() == Value.model_fields.keys():
            yield dumped
        else:
            for part in dumped.values():
                yield from _values(part)
    elif isinstance(dumped, list | tuple):
        for part in dumped:
            yield from _values(part)


@pytest.mark.parametrize("which", ["laptop", "two_models"])
def test_every_value_of_a_scenario_is_listed_with_its_claim(which: str, request: pytest.FixtureRequest) -> None:
    s: Scenario = request.getfixturevalue(which).scenario
    listed = [(c.basis, c.status, c.who, c.source, c.known_since, c.confidence, c.reason) for c in claims(s)]
    wanted = list(_values(s.model_dump()))
    keys = ("basis", "status", "who", "source", "known_since", "confidence", "reason")
    assert len(claims(s)) == len(wanted) + len(s.models)
    for value in wanted:
        listed.remove(tuple(value[k] for k in keys))
    assert len({c.path for c in claims(s)}) == len(claims(s))


def test_the_page_lists_every_claim(two_models: Plan, read: Callable[[Plan], Any]) -> None:
    page = read(two_models)
    paths = [tr["data-path"] for tr in page.of("tr") if "data-path" in tr]
    found = claims(two_models.scenario)
    assert paths == [c.path for c in found]
    rows = page.tables["Every number of the scenario, with its claim"][1:]
    for c, row in zip(found, rows, strict=True):
        assert c.what in row[0]
        assert c.subject in row[0]
        assert c.shown in row[1]
        assert c.interval in row[1]
        assert c.status in row[2]
        assert (c.source or c.who or "stated by the scenario") in row[3]
        assert row[5] == c.reason


def test_ranges_come_first_and_are_those_that_worlds_draw() -> None:
    s = load("laptop")
    found = claims(s)
    drawn = [path for path, _ in ranges(s)]
    assert [c.path for c in found[: len(drawn)]] == drawn
    assert not any(c.is_range for c in found[len(drawn) :])


@pytest.mark.parametrize(
    ("path", "shown", "interval"),
    [
        ("sites.here.power_w", "12 kW", ""),
        ("sites.here.electricity_usd_per_j", "90 USD/MWh", "70 to 130 USD/MWh"),
        ("sites.here.carbon_g_per_j", "283.5 g/kWh", "255.1 to 311.8 g/kWh"),
        ("sites.here.restore_s", "4 h", "1 to 24 h"),
        ("sites.here.pue", "1.25", "1.15 to 1.4"),
        ("contracts.server.fee.per_accelerator_usd_per_s", "2.35 USD/h", ""),
        ("contracts.server.deliveries.0.quantity", "8 accelerators", ""),
        ("accelerators.h100-sxm.fp8_flops", "1,979 TFLOP/s", ""),
        ("accelerators.h100-sxm.hbm_bytes", "80 GB", ""),
        ("accelerators.h100-sxm.hbm_bytes_per_s", "3.35 TB/s", ""),
        ("tiers.developers.people", "50 people", ""),
        ("tiers.developers.behaviour.active_share", "12 h/week", "7 to 20 h/week"),
        ("tiers.developers.behaviour.uncached_per_s", "282,300 tokens/h", "231,500 to 324,800 tokens/h"),
        ("tiers.developers.behaviour.takers", "10 %", "5 to 30 %"),
        ("service_level.hours", "99.5 %", ""),
    ],
)
def test_numbers_are_back_in_the_units_people_wrote(path: str, shown: str, interval: str) -> None:
    claim = next(c for c in claims(load("laptop")) if c.path == path)
    assert (claim.shown, claim.interval) == (shown, interval)


def test_words_say_whose_number_it_is() -> None:
    words = {c.path: c.words for c in claims(load("laptop"))}
    assert words["tiers.developers.behaviour.takers"] == (
        "tier developers: active people who use all that a limit gives"
    )
    assert words["contracts.server.deliveries.0.quantity"] == "contract server, delivery: accelerators"
    assert words["service_level.hours"] == "service level: share of hours that must carry a limit"


def test_every_dimension_has_units_and_every_field_has_words() -> None:
    assert UNITS.keys() == DIMENSIONS.keys()
    assert _value_fields(Scenario) <= FIELDS.keys()


def _value_fields(noun: type[BaseModel], seen: frozenset[type] = frozenset()) -> set[str]:
    """Names of all fields that hold a `Value`, in a noun and all nouns inside it."""
    found = set()
    for name, info in noun.model_fields.items():
        for kind in _classes(info.annotation):
            if kind is Value:
                found.add(name)
            elif issubclass(kind, BaseModel) and kind not in seen:
                found |= _value_fields(kind, seen | {kind})
    return found


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _classes(part)


@given(st.floats(1e-6, 1e15), st.sampled_from(READABLE))
def test_what_is_shown_reads_back_as_the_number_it_was(number: float, dimension: str) -> None:
    (text,), unit = human((number,), dimension)
    size = min(a for a, _ in UNITS[dimension])
    if number / size > 1e-2:
        assert to_base(f"{text} {unit}", dimension) == pytest.approx(number, rel=1e-4)


@given(st.sampled_from(sorted(UNITS)))
def test_zero_is_zero_in_any_unit(dimension: str) -> None:
    (text,), unit = human((0.0,), dimension)
    assert text == "0"
    assert unit == UNITS[dimension][-1][1]
