"""Why a limit is what it is: the numbers behind each window of a plan; and dated presets as they are published."""

from __future__ import annotations

from pathlib import Path

from ampacity.planner.limits import ModelLoad
from ampacity.planner.plan import Plan, PlannedWindow
from ampacity.reporting.catalog_views import View
from ampacity.reporting.result import result
from ampacity.reporting.words import between, count, digits, duration, hit, path_in_words, share, tokens
from ampacity.scenario import lookup
from ampacity.scenario.tier import Tier
from ampacity.scenario.tree import read_tree


def limits_view(p: Plan) -> View:
    """Every window of a plan with the chain of numbers that makes it."""
    s = p.scenario
    lines = [f"{s.name} · limits at a promise of {share(s.service_level.hours.value)} of hours"]
    for load in p.central.models:
        lines += ["", *_load_lines(load)]
        for tier in load.tiers:
            own = [w for w in p.windows if w.tier == tier.name]
            lines += [
                "",
                f"  {tier.name}: {count(tier.people.value)} people, {tier.kind}" + ("" if own else ", no window"),
                *_demand_lines(s.tier(tier.name)),
            ]
            for w in own:
                lines += _window_lines(p, w)
    if p.movers:
        moved = ", ".join(f"{path_in_words(m.path)} (x{digits(m.factor, 2)})" for m in p.movers)
        lines += ["", f"  What moves them most, upper half of a range over lower: {moved}."]
    lines += [f"  note: {note}" for note in p.notes]
    return View(
        "\n".join(lines),
        {k: result(p)[k] for k in ("limits", "carried_share", "unlimited_share", "service", "sensitivity")},
    )


def _load_lines(load: ModelLoad) -> list[str]:
    if not load.pools:
        return [f"  {load.model}: no pool serves it"]
    lines = [f"  {load.model} on {', '.join(p.pool.name for p in load.pools)}"]
    for (tier, pool), point in load.points.items():
        speed = f"TPOT {digits(1000 * point.step_s, 2)} ms" + (
            "" if point.meets_tpot else ", slower than the service level"
        )
        cost = digits(point.seconds_per_active_s * 3600)
        lines.append(f"    an active hour of {tier} takes {cost} accelerator-seconds on {pool}:")
        parts = f"{share(point.prefill_share)} of it prefill, {share(point.useful)} useful"
        lines.append(f"      batch {point.batch}, {speed}, {parts}")
    lines.append(f"    in the best hour {count(float(load.capacity.max()))} accelerators run, over failures")
    carried = f"{share(load.carried_share)} of hours are carried if takers use these limits up"
    lines.append(f"    {carried}; {share(load.unlimited_share)} with no limit, if everybody uses what they use today")
    return lines


def _demand_lines(tier: Tier) -> list[str]:
    """What the people of a tier are taken to do, and the two measures of hours where the catalog's stand."""
    b = tier.behaviour
    rates = (b.uncached_per_s, b.cached_per_s, b.output_per_s)
    uncached, cached, output = (tokens(3600 * rate.value) for rate in rates)
    hours, low, high = (168 * (x or 0.0) for x in (b.active_share.value, b.active_share.low, b.active_share.high))
    interval = f" ({count(low)} to {count(high)})" if b.active_share.is_range else ""
    lines = [
        f"    active {count(hours)} h/week{interval}; an active hour asks for {uncached} uncached, {cached} cached, "
        f"{output} output tokens"
    ]
    if b.active_share.source == lookup.behaviour("coding-agent")["active_hours"][-1]["source"]:
        lines.append(f"      {_hours_by_two_measures()}")
    return lines


def _hours_by_two_measures() -> str:
    from ampacity.demand.population import intensity

    found = intensity()
    (_, running, _) = found.running_hours
    (low, value, high), (least, ratio, most) = found.active_hours, found.ratio
    active = f"{value:g} ({low:g} to {high:g}) at measured intensity"
    return f"h/week by measure: {active}, {running:g} running as reported; ratio {ratio:g} ({least:g} to {most:g})"


def _window_lines(p: Plan, w: PlannedWindow) -> list[str]:
    interval = f", 90 % interval {between(w.tokens)}" if p.record.worlds > 1 and not w.stated else ""
    origin = "stated" if w.stated else "found"
    binds = "binds" if w.binding else "does not bind"
    return [
        f"    {w.window}: {tokens(w.tokens.value)} weighted tokens per {duration(w.length_s)} ({origin}{interval})",
        f"      {tokens(w.guaranteed)} if every active person used it up",
        f"      on today's use it {binds}: {hit(w)} of people run into it in a week; under all windows together "
        f"{share(w.unserved_share.value)} of the tokens wanted are not served",
    ]


def preset_view(name: str) -> View:
    """A dated preset: windows of every tier, whose token values nobody outside has published."""
    tree = read_tree(Path(str(lookup.preset_path(name))), name).data
    lines = [f"limits of {name}, known since {tree['known_since']}", "", f"  {tree['note']}"]
    for tier, limit in tree["limits"].items():
        lines += ["", f"  {tier}" + ("" if limit.get("windows") else ": no window")]
        for window, fields in (limit.get("windows") or {}).items():
            size = fields.get("tokens") or {}
            held = f"{tokens(size['low'])} to {tokens(size['high'])} weighted tokens" if "low" in size else "no size"
            status = f"{size.get('status', 'assumed')}, confidence {size.get('confidence', 'low')}"
            lines.append(f"    {window}: {held} per {fields.get('length', '')}, {fields.get('refill', '')} ({status})")
    lines.append(f"\n  use it in a scenario: `limit: {name}/{next(iter(tree['limits']))}` in a tier")
    return View("\n".join(lines), tree)
