"""$200 B to one cloud, more than $100 B to another, a lease beside them: a portfolio, and the largest supplier gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PORTFOLIO = Path(__file__).parents[1] / "supply" / "scenarios" / "portfolio.yaml"


def test_the_largest_supplier_of_a_portfolio_is_another_by_every_count(answer: Callable[..., Any]) -> None:
    found = answer("show", "contracts", str(PORTFOLIO))
    largest = {x["basis"]: x["supplier"] for x in found["n_minus_1"]}
    assert largest == {"accelerators": "Amazon", "flops": "SpaceX", "fee": "Google"}
