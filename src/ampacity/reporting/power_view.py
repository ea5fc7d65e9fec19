"""A site and its fleet: power on every basis, per accelerator, against what is stated; arithmetic and memory."""

from __future__ import annotations

from typing import Any

from ampacity.reporting.catalog_views import View
from ampacity.reporting.words import count, digits
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.site import Site
from ampacity.supply.fleet import POWERS, Fleet, Stated, compare, fleet

NOT_A_FINDING = "Modelled from public statements; not a finding, not affiliated, not advice."


def fleet_data(s: Scenario) -> dict[str, Any]:
    """Sites and fleets as plain data; power in MW, per accelerator in kW, None where a figure is not known."""
    return {site.name: _site_data(fleet(s, site.name)) for site in s.sites}


def fleet_view(s: Scenario) -> View:
    """Every site of a scenario with its fleet, in words."""
    lines = [f"{s.name} · sites and fleets, all at nameplate"]
    for site in s.sites:
        f = fleet(s, site.name)
        fleet_words = " + ".join(f"{count(n)} x {name}" for name, n in f.counts.items()) or "no accelerator"
        lines += ["", f"  {site.name}{', ' + site.place if site.place else ''}: {fleet_words}", ""]
        lines += _table(f)
        lines += ["", *(f"  {line}" for line in _arithmetic(f))]
        lines += [f"  {sentence}" for sentence in says(f)]
    lines += ["", f"  {NOT_A_FINDING}"]
    return View("\n".join(lines), {"scenario": s.name, "sites": fleet_data(s), "note": NOT_A_FINDING})


def stated(f: Fleet) -> list[Stated]:
    """What is stated of a site's power, each held against the fleet."""
    return [compare(f, words, w) for words, w in _statements(f.site) if f.accelerators and f.power_w["server"]]


def says(f: Fleet) -> list[str]:
    """One sentence for every stated power: per accelerator, the basis it is nearest to, and how far the all-in is."""
    found = []
    for one in stated(f):
        per = (
            f"{one.words}, {digits(one.power_w / 1e6)} MW, is {digits(one.per_accelerator_w / 1e3)} kW per accelerator"
        )
        near = f"nearest to {POWERS[one.nearest]}, {_off(one.over[one.nearest])}"
        all_in = f.per_accelerator_w()["all_in"]
        off = _off(one.over["all_in"]) if all_in else ""
        away = f"; all-in it takes {digits(all_in / 1e3)} kW each ({_each(f)}), {off}" if all_in else ""
        found.append(f"{per}: {near}{away}.")
    return found


def _each(f: Fleet) -> str:
    """All-in power of every kind: "1.73 for h100-sxm, 2.1 for gb200-nvl72"."""
    known = [(kind, each["all_in"]) for kind, each in f.each_w.items()]
    return ", ".join(f"{digits(w / 1e3)} for {kind}" for kind, w in known if w is not None)


def _off(over: float) -> str:
    """How a stated total lies to another: "which this is 3 % over"."""
    return f"which this is {abs(over - 1) * 100:.0f} % {'over' if over >= 1 else 'under'}"


def _statements(site: Site) -> list[tuple[str, float]]:
    found = []
    if site.stated_power_w is not None:
        v = site.stated_power_w
        who = f" by {v.who}" if v.who else ""
        found.append((f"The power {v.status}{who} without a basis", v.value))
    if site.power_w is not None:
        found.append((f"The nameplate on the basis {site.power_w.basis}", site.power_w.value))
    if site.grid:
        found.append(
            ("The grid connections together, at the facility's meter", sum(g.power_w.value for g in site.grid))
        )
    if site.turbines:
        total = sum(g.power_w.value for g in site.grid) + sum(t.power_w.value for t in site.turbines)
        found.append(("Grid and turbines together, at the facility's meter", total))
    return [(words, w) for words, w in found if w > 0]


def _table(f: Fleet) -> list[str]:
    each = f.per_accelerator_w()
    lines = [f"    {'basis':<70} {'MW':>8} {'kW each':>8}"]
    for basis, words in POWERS.items():
        total, one = f.power_w[basis], each[basis]
        cells = [digits(total / 1e6) if total is not None else "-", digits(one / 1e3) if one is not None else "-"]
        lines.append(f"    {words:<70} {cells[0]:>8} {cells[1]:>8}")
    return lines


def _arithmetic(f: Fleet) -> list[str]:
    figures = [
        (f.fp8_flops, 1e18, "EFLOP/s FP8 dense"),
        (f.bf16_flops, 1e18, "EFLOP/s BF16 dense"),
        (f.h100e, 1.0, "H100 equivalents (dense FP8)"),
        (f.hbm_bytes, 1e15, "PB of HBM"),
        (f.hbm_bytes_per_s, 1e18, "EB/s of HBM"),
    ]
    known = [f"{digits(x / size, 4)} {unit}" for x, size, unit in figures if x is not None]
    return ["   ".join(known)] if known and f.accelerators else []


def _site_data(f: Fleet) -> dict[str, Any]:
    def scaled(x: float | None, size: float) -> float | None:
        return None if x is None else x / size

    return {
        "place": f.site.place,
        "accelerators": f.accelerators,
        "by_kind": f.counts,
        "it_per_server": f.site.it_per_server.value,
        "pue": f.site.pue.value,
        "power_mw": {basis: scaled(w, 1e6) for basis, w in f.power_w.items()},
        "kw_per_accelerator": {basis: scaled(w, 1e3) for basis, w in f.per_accelerator_w().items()},
        "kw_by_kind": {kind: {b: scaled(w, 1e3) for b, w in each.items()} for kind, each in f.each_w.items()},
        "basis_means": POWERS,
        "fp8_eflops": scaled(f.fp8_flops, 1e18),
        "bf16_eflops": scaled(f.bf16_flops, 1e18),
        "h100e": f.h100e,
        "hbm_pb": scaled(f.hbm_bytes, 1e15),
        "hbm_eb_per_s": scaled(f.hbm_bytes_per_s, 1e18),
        "stated": [
            {
                "words": one.words,
                "power_mw": one.power_w / 1e6,
                "kw_per_accelerator": one.per_accelerator_w / 1e3,
                "over": one.over,
                "nearest_basis": one.nearest,
            }
            for one in stated(f)
        ],
        "claim": f.site.stated_power_w.model_dump(mode="json") if f.site.stated_power_w else None,
        "says": says(f),
    }
