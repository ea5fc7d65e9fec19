"""A fleet in totals: power on three bases beside what others count all-in, arithmetic, memory; per accelerator too.

Sums of published figures, no model. A figure that some accelerator of the fleet lacks is not known for the fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.pool import pools
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.site import Site
from ampacity.scenario.value import Value
from ampacity.supply.energized import nameplate_w

H100_8BIT_FLOPS = 1979e12
"""Dense 8-bit peak of one H100: what an H100 equivalent (H100e) counts. [FLOP/s]"""
EPOCH_CHAIN = 1.53 * 1.14 * 1.4
"""Facility power over TDP by Epoch AI's power split of 2025-12-18: server 1.53 x GPU, IT 1.14 x server, 1.4 x IT."""

POWERS = {
    "tdp": "chips alone, TDP",
    "server": "servers, nameplate",
    "it": "all IT equipment",
    "site_chain": "facility, servers x IT over server x PUE of the site",
    "all_in": "facility all-in, as provisioned (SemiAnalysis where it has a figure)",
    "epoch_chain": "facility, Epoch AI's chain 2.44 x TDP",
}


@dataclass(frozen=True)
class Fleet:
    """Accelerators at a site by kind, in totals; None: a figure that some accelerator lacks.

    each_w: per accelerator of each kind, on the bases that sources give [W]. power_w: on every basis of POWERS [W].
    fp8_flops, bf16_flops: dense [FLOP/s]. h100e: by the dense FP8 peak. hbm_bytes [B], hbm_bytes_per_s [B/s].
    """

    site: Site
    counts: dict[str, float]
    each_w: dict[str, dict[str, float | None]]
    power_w: dict[str, float | None]
    fp8_flops: float | None
    bf16_flops: float | None
    h100e: float | None
    hbm_bytes: float | None
    hbm_bytes_per_s: float | None

    @property
    def accelerators(self) -> float:
        """All of them."""
        return sum(self.counts.values())

    def per_accelerator_w(self) -> dict[str, float | None]:
        """Power per accelerator on every basis. [W]"""
        n = self.accelerators
        return {basis: w / n if w is not None and n else None for basis, w in self.power_w.items()}


def fleet(s: Scenario, site: str) -> Fleet:
    """The fleet that the contracts of a scenario are for at a site."""
    counts: dict[str, float] = {}
    for pool in pools(s):
        if pool.site.name == site:
            more = sum(d.quantity.value for d in pool.deliveries)
            counts[pool.accelerator.name] = counts.get(pool.accelerator.name, 0.0) + more
    return fleet_of(s.site(site), {s.accelerator(name): n for name, n in counts.items()})


def fleet_of(site: Site, counts: Mapping[Accelerator, float]) -> Fleet:
    """The totals of so many accelerators of each kind at a site."""

    def total(figure: Callable[[Accelerator], float | None]) -> float | None:
        parts = [(figure(chip), n) for chip, n in counts.items()]
        return None if any(x is None for x, _ in parts) else sum(x * n for x, n in parts if x is not None)

    fp8 = total(lambda c: _number(c.fp8_flops))
    tdp = total(lambda c: _number(c.tdp_w))
    return Fleet(
        site=site,
        counts={chip.name: n for chip, n in counts.items()},
        each_w={
            chip.name: {"server": _number(chip.server_w), "it": _number(chip.it_w), "all_in": _number(chip.facility_w)}
            for chip in counts
        },
        power_w={
            "tdp": tdp,
            "server": total(lambda c: _number(c.server_w)),
            "it": total(lambda c: _number(c.it_w)),
            "site_chain": total(lambda c: nameplate_w(c, site, "facility") if c.server_w or c.tdp_w else None),
            "all_in": total(lambda c: _number(c.facility_w)),
            "epoch_chain": None if tdp is None else tdp * EPOCH_CHAIN,
        },
        fp8_flops=fp8,
        bf16_flops=total(lambda c: _number(c.bf16_flops)),
        h100e=None if fp8 is None else fp8 / H100_8BIT_FLOPS,
        hbm_bytes=total(lambda c: _number(c.hbm_bytes)),
        hbm_bytes_per_s=total(lambda c: _number(c.hbm_bytes_per_s)),
    )


@dataclass(frozen=True)
class Stated:
    """A stated total beside the fleet's. per_accelerator_w [W]. over: the stated total over each basis of POWERS.

    nearest: the basis whose total it is nearest to, by ratio.
    """

    words: str
    power_w: float
    per_accelerator_w: float
    over: dict[str, float]
    nearest: str


def compare(f: Fleet, words: str, power_w: float) -> Stated:
    """A power that somebody states for a fleet, held against every basis. Raises ValueError for an empty fleet."""
    over = {basis: power_w / w for basis, w in f.power_w.items() if w}
    if not over or not f.accelerators or power_w <= 0:
        raise ValueError("a stated power is compared with a fleet that draws some")
    nearest = min(over, key=lambda basis: max(over[basis], 1 / over[basis]))
    return Stated(words, power_w, power_w / f.accelerators, over, nearest)


def _number(value: Value | None) -> float | None:
    return None if value is None else value.value
