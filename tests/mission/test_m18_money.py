"""M18: cost per million tokens, firm exposure after exit rights, and what one more megawatt carries."""

from __future__ import annotations

from typing import Any


def test_a_ninety_day_exit_makes_the_firm_exposure_months_and_not_the_whole_term(later: Any) -> None:
    exposure = later["contracts"]["colossus-1"]["exit"]["at_signing"]
    assert 0 < exposure["firm_usd"] < 0.2 * exposure["nominal_usd"] and later["verdict"]["people_per_mw"] > 0
