"""Concentration from stated parts: what does not add up is an error that names the part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.scenario import Scenario
from ampacity.supply.concentration import backlog_share, backlogs, capacity_by, hhi, shares, top_share

BOTH = ("OpenAI", "Anthropic")


def test_a_part_missing_from_its_total_is_an_error_that_names_it() -> None:
    with pytest.raises(Mistakes) as raised:
        backlog_share(backlogs(), BOTH)
    (mistake,) = raised.value.mistakes
    assert mistake.found == "Anthropic at Amazon (100 billion USD)"
    assert mistake.message.startswith("Amazon's total of 364 billion USD does not hold it")


def test_a_part_whose_total_is_left_out_is_an_error_too() -> None:
    three = [t for t in backlogs().totals if t.holder != "Oracle"]
    assert sum(t.usd for t in three) == 1453e9
    b = backlogs()
    with pytest.raises(Mistakes, match="OpenAI at Oracle"):
        backlog_share(type(b)(tuple(three), b.parts), ("OpenAI",))


@pytest.mark.parametrize(
    ("outside", "not_stated", "part", "total", "per_cent"),
    [("leave-out", False, 918, 2006, 45.8), ("add", False, 1018, 2106, 48.3), ("add", True, 1048, 2106, 49.8)],
)
def test_more_than_half_of_two_trillion_does_not_reproduce(
    outside: str, not_stated: bool, part: float, total: float, per_cent: float
) -> None:
    found = backlog_share(backlogs(), BOTH, outside=outside, not_stated=not_stated)  # type: ignore[arg-type]
    assert (found.part_usd / 1e9, found.total_usd / 1e9) == (part, total)
    assert 100 * found.share == pytest.approx(per_cent, abs=0.05)


def test_one_customer_whose_parts_are_all_held_needs_no_rule() -> None:
    assert backlog_share(backlogs(), ("OpenAI",)).part_usd == 718e9


def test_as_of_uses_what_was_known_that_day() -> None:
    early = backlogs(date(2026, 2, 15))
    assert {t.holder: t.usd for t in early.totals} == {"Microsoft": 625e9}
    assert [p.words for p in early.parts] == ["Anthropic at Microsoft (30 billion USD)"]
    assert backlogs(date(2025, 1, 1)).totals == ()
    with pytest.raises(Mistakes, match="no total is known"):
        backlog_share(backlogs(date(2025, 1, 1)), BOTH)


def test_every_figure_has_its_claim() -> None:
    for found in (*backlogs().totals, *backlogs().parts):
        assert found.status and found.who and found.source and found.known_since


@given(st.dictionaries(st.text(min_size=1), st.floats(1e-3, 1e9), min_size=1, max_size=20))
def test_hhi_lies_between_all_alike_and_one_alone(amounts: dict[str, float]) -> None:
    assert 1 / len(amounts) - 1e-9 <= hhi(amounts) <= 1 + 1e-9
    assert sum(shares(amounts).values()) == pytest.approx(1)
    assert top_share(amounts, 1) <= top_share(amounts, 2) <= 1 + 1e-9
    assert top_share(amounts, 1) ** 2 <= hhi(amounts) + 1e-9


def test_capacity_is_counted_by_supplier_site_customer_and_chip_maker(ours: Callable[..., Scenario]) -> None:
    out = {
        "side": "lessor",
        "customer": "them",
        "start": "2026-11-23",
        "deliveries": [{"site": "here", "accelerator": "h100-sxm", "quantity": 2}],
    }
    found = capacity_by(ours({"contracts.out": out, "contracts.server.customer": "us"}))
    assert found["customer"] == {"us": 6.0, "them": 2.0}
    assert found["site"] == {"here": 8.0}
    assert found["chip maker"] == {"NVIDIA": 8.0}
