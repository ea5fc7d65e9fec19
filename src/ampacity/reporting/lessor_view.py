"""A lease in its lessor's words: what it earns against which counterfactual, its floor, what it covers of a site."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ampacity.planner.lessor import Lease, leases
from ampacity.reporting.words import count, digits, share, usd
from ampacity.scenario.scenario import Scenario


def lessor_of(s: Scenario) -> list[dict[str, Any]]:
    """Every lease that the scenario's side gives, as data."""
    return [{**asdict(lease), "sentences": lease_sentences(lease)} for lease in leases(s)]


def lease_sentences(lease: Lease) -> list[str]:
    """One lease in sentences, every figure with what it is set against."""
    given, kept = count(lease.accelerators), count(lease.kept_accelerators)
    price = f"{usd(lease.fee_usd / 1e6)} million a month, {digits(lease.usd_per_accelerator_h)} per accelerator-hour"
    said = [f"Lease {lease.contract}: {given} accelerators are given and {kept} kept; {price}."]
    for name, earns in lease.earns_usd.items():
        floor = digits(lease.floor_usd_per_accelerator_h[name])
        said.append(
            f"Against the same accelerators {name}: {usd(earns / 1e6)} million a month more; floor {floor} USD an hour."
        )
    for site, covered in lease.covers.items():
        said.append(f"Its fees to the end of the term are {share(min(covered, 9.99))} of what {site} costs to build.")
    return said
