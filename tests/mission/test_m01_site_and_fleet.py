"""More than 300 MW, more than 220,000 GPUs: which basis is that, and what of 1.73 kW all-in?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_one_command_explains_1_36_kw_per_gpu_against_1_73_all_in(answer: Callable[..., Any]) -> None:
    site = answer("show", "site", "colossus-1")["sites"]["memphis"]
    stated = site["stated"][0]
    assert (stated["nearest_basis"], stated["kw_per_accelerator"], site["kw_by_kind"]["h100-sxm"]["all_in"]) == (
        "server",
        pytest.approx(1.36, abs=0.01),
        1.73,
    )
