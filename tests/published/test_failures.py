"""Failures as they are drawn, against what operators have published."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ampacity.scenario import lookup
from ampacity.simulator.disruption import MONTH_MIN, expected_disruptions
from ampacity.simulator.failure_causes import Cause, Causes, stated_causes
from ampacity.simulator.failures import failures
from ampacity.simulator.fleet_layout import Layout, PoolLayout

DAY_S = 86400
DAY_PS = DAY_S * 10**12
INCIDENTS = ("release-errors", "release-slow", "authentication")


def stated(service: str, quantity: str) -> float:
    """Availability of a service by its status page, from the catalog."""
    return float(lookup.claims("service_availability", "service", service)[quantity][-1]["value"])


@pytest.mark.published("Kokolis et al., arXiv 2410.21680: projected mean time to failure 1.8 h with 16,384 GPUs")
def test_nodes_that_fail_as_metas_stop_a_16384_gpu_job_every_1_8_hours() -> None:
    layout = Layout((PoolLayout("rsc-1", "meta", 2048, 8, 6.50e-3 / DAY_S, 3600.0),))
    outages = [o for o in failures(Causes(), layout, 1, 0, 100 * DAY_PS) if o.nth > 0]
    assert len(outages) > 1200
    assert 100 * 24 / len(outages) == pytest.approx(1.8, rel=0.06)


@pytest.mark.published(
    "Status page of Anthropic, 90 days to April 2026 (dev.to): claude.ai 98.79 %, API 99.1 %, Claude Code 99.26 %"
)
@pytest.mark.parametrize("service", ["claude.ai", "anthropic-api", "claude-code"])
def test_causes_set_by_2024_foretell_the_outages_of_2026_within_a_factor_of_1_5(service: str) -> None:
    """Minutes in which any incident is on, partial ones in full; rates are from the page's outages of 2024."""
    rows = expected_disruptions(stated_causes(), Layout(()))
    off_share = sum(d.active_min for d in rows if d.cause in INCIDENTS) / MONTH_MIN
    assert 1 / 1.5 < off_share / (1 - stated(service, "ninety_days")) < 1.5


@pytest.mark.published(
    "141 Anthropic incidents to 2024-08 (data behind arXiv 2501.12469): 91.5 h apart, p90 321 min; claude.ai 0.9887"
)
def test_incidents_as_often_and_as_long_as_listed_give_the_outages_shown_within_a_factor_of_2() -> None:
    """The list of incidents and the bars of the same page: 81 of 141 hit one of two services, on average."""
    repair = next(c for c in stated_causes().shared if c.name == "release-errors")
    listed = Cause("incident", "service", "down", 81 / 141 / (91.5 * 3600), repair.median_s, repair.sigma)
    assert 1 < (1 - listed.free_share) / (1 - stated("claude.ai", "partial_in_full_2024")) < 2
    layout = Layout((PoolLayout("one", "here", 1, 8),))
    minutes = [
        (o.end_ps - o.begin_ps) / 6e13
        for seed in range(100)
        for o in failures(Causes((listed,)), layout, seed, 0, 100 * DAY_PS)
        if o.nth > 0
    ]
    law_p90 = repair.median_s / 60 * math.exp(1.2816 * repair.sigma)
    assert law_p90 == pytest.approx(321, rel=0.25)
    error = 1.75 * repair.sigma / math.sqrt(len(minutes))  # of the logarithm of a 90 % quantile
    assert float(np.quantile(minutes, 0.9)) == pytest.approx(law_p90, rel=3 * error)
