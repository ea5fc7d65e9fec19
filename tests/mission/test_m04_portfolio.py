"""$200 B to one cloud, more than $100 B to another, a lease beside them: a portfolio, and the largest supplier gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_largest_supplier_of_a_portfolio_depends_on_what_is_counted(answer: Callable[..., Any]) -> None:
    found = answer("show", "contracts", "colossus-1")
    largest = {x["basis"]: x["supplier"] for x in found["n_minus_1"]}
    assert largest == {"accelerators": "Amazon", "flops": "Google", "fee": "Google"}
