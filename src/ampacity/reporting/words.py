"""Numbers and answers in words: what a person reads on one screen."""

from __future__ import annotations

import math

from ampacity.inference.operating_point import OperatingPoint
from ampacity.planner.answer import Answer, Carried
from ampacity.planner.interval import Interval
from ampacity.planner.limits import ModelLoad
from ampacity.planner.plan import Plan, PlannedWindow
from ampacity.reporting.calibrated import calibrations
from ampacity.reporting.what_fits import none_fits, what_would_fit
from ampacity.scenario.announced import changes
from ampacity.scenario.pool import counted
from ampacity.supply.waterfall import STAGES, ratios_of

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def digits(x: float, figures: int = 3) -> str:
    """A number with so many significant figures, thousands apart, no exponent between 1e-3 and 1e15."""
    if x == 0 or not math.isfinite(x):
        return "0" if x == 0 else str(x)
    rounded = round(x, figures - 1 - math.floor(math.log10(abs(x))))
    decimals = max(0, figures - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{min(decimals, 8)}f}"


def tokens(x: float) -> str:
    """Tokens with the fitting prefix: "9.4 M"."""
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= 0.9995 * size:
            return f"{digits(x / size)} {prefix}"
    return digits(x)


def share(x: float) -> str:
    """A share in per cent, finer near 0 and 100: "99.5 %", "0.03 %"."""
    if x in (0, 1):
        return f"{100 * x:.0f} %"
    distance = min(abs(x), abs(1 - x))
    decimals = 0 if distance >= 0.1 else min(4, 1 - math.floor(math.log10(max(distance, 1e-6) * 100)))
    text = f"{100 * x:.{max(decimals, 0)}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def count(x: float) -> str:
    """A number of things: whole where it is nearly so or large, else three figures."""
    return f"{x:,.0f}" if x >= 100 or abs(x - round(x)) < 1e-6 else digits(x)


def usd(x: float) -> str:
    """Money: "0.41 USD", "12,900 USD"."""
    return f"{digits(x)} USD"


def duration(seconds: float) -> str:
    """A length of time as people say it: "five hours", "week"."""
    for size, noun in ((604800.0, "week"), (86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        many = seconds / size
        if many >= 1 and abs(many - round(many)) < 1e-9:
            if round(many) == 1:
                return noun
            number = _NUMBERS[round(many)] if round(many) < len(_NUMBERS) else f"{many:.0f}"
            return f"{number} {noun}s"
    return f"{digits(seconds)} seconds"


def between(i: Interval) -> str:
    """An interval of tokens in one unit: "8.1 M to 10.6 M"."""
    return f"{tokens(i.low)} to {tokens(i.high)}"


def one_world(p: Plan) -> bool:
    """Whether nothing in the scenario is a range."""
    return p.record.worlds == 1


def first_sentence(a: Carried, hours_share: float) -> str:
    """The answer at the stated values, before any other world is looked at."""
    windows = [w for load in a.models for w in load.limits]
    lengths = _lengths(a)
    if not windows:
        return "No tier has a window, so there is no limit to find."
    if all(w.tokens == 0 for w in windows if not w.stated) and any(not w.stated for w in windows):
        return why_nothing(a, hours_share)
    lead = windows[0]
    load = next(m for m in a.models if any(t.name == lead.tier for t in m.tiers))
    people = "person" if len({w.tier for w in windows}) == 1 else f"person of {lead.tier}"
    size = f"{tokens(lead.tokens)} tokens per {lengths[lead.tier, lead.window]}"
    if lead.stated:
        enough = "as promised" if load.carried_share >= hours_share else f"not in the {share(hours_share)} promised"
        return f"Each {people} is given {size}: carried in {share(load.carried_share)} of hours, {enough}."
    if load.question is not None and load.scale >= load.question.most_drawn:
        return f"No limit is needed: each {people} can have {size}, all that their sessions at once can draw."
    return f"Each {people} can have {size} ({share(hours_share)} of hours)."


def why_nothing(a: Carried, hours_share: float) -> str:
    """Why no limit above zero is carried: nothing delivered, nothing that fits, or failures alone break the promise."""
    if not any(p.delivered.any() for p in a.supply):
        return "No limit is carried: no contract delivers anything in these hours."
    for load in a.models:
        if not load.pools:
            return f"No limit is carried: not even one context of {load.model} fits the memory of its replicas."
        size = max(p.replica.accelerators for p in load.pools if p.replica)
        if not any(p.replicas.any() for p in load.pools):
            return f"No limit is carried: a replica of {load.model} takes {size} accelerators, more than there are."
        up = min(p.replica_availability for p in load.pools)
        if up < hours_share and sum(float(p.replicas.max()) for p in load.pools) <= 1:
            return (
                f"No limit is carried in {share(hours_share)} of hours: the one replica of {load.model} is up in "
                f"{share(up)} of them. A second replica would carry it, or a promise for fewer hours."
            )
        if not load.capacity.all():
            return "No limit is carried: in too many hours there is no capacity at all."
    if hours_share > 0.9999:
        return "No limit is carried in every hour: failures and chance leave some out; promise less, such as 99.9 %."
    return f"No limit is carried in {share(hours_share)} of hours: what comes without a window takes all there is."


def sentences(p: Plan) -> list[str]:
    """The answer: a verdict for one's own scenario, conditions where public facts are modelled."""
    if p.verdict is not None and p.scenario.about == "public":
        from ampacity.reporting.verdict_words import conditions

        return conditions(p)
    if any(c.side == "lessor" for c in p.scenario.contracts):
        from ampacity.planner.lessor import leases
        from ampacity.reporting.lessor_view import lease_sentences

        said = [sentence for lease in leases(p.scenario) for sentence in lease_sentences(lease)]
        return [*own_sentences(p), *said]
    return own_sentences(p)


def own_sentences(p: Plan) -> list[str]:
    """What each person can have, what binds, what it would be with less trust and with no limits."""
    hours_share = p.scenario.service_level.hours.value
    said = [first_sentence(p.central, hours_share)]
    found = [w for w in p.windows if w.tokens.value > 0]
    if not found:
        fits = [what_would_fit(load) for load in p.central.models if none_fits(load)]
        return [*said, *(sentence for sentence in fits if sentence)]
    lead = found[0]
    if not one_world(p) and not lead.stated:
        said.append(f"90 % of {p.record.worlds} worlds give {between(lead.tokens)}.")
    said.append(_binding(p))
    if not lead.stated:
        sure = f"{tokens(lead.guaranteed)} would be carried per {duration(lead.length_s)}"
        said.append(f"If every active person used it up, {sure}.")
    said += with_no_limit({model: carried.value for model, carried in p.unlimited_share.items()})
    slow = [x for m in p.central.models for x in m.points.values() if not x.meets_tpot]
    if slow:
        least = digits(1000 * min(x.step_s for x in slow), 2)
        level = digits(1000 * p.scenario.service_level.tpot_s, 2)
        said.append(f"The service level of {level} ms per output token is not kept: {least} ms even alone.")
    for e in changes(p.scenario):
        said.append(f"The limit of {e.tier} changes to {e.limit} on {e.date}: this is the answer after it.")
    if not any(c.firm for c in counted(p.scenario)):
        said.append("All of this holds only if capacity that no contract promises came true.")
    return said


def with_no_limit(carried: dict[str, float]) -> list[str]:
    """Share of hours in which today's use is carried, by model."""
    names = {model: f" of {model}" if len(carried) > 1 else "" for model in carried}
    return [
        f"With no limit, and nobody using more than today{names[model]}, {share(part)} of hours are carried."
        for model, part in carried.items()
    ]


def _binding(p: Plan) -> str:
    """Which window binds, tier by tier, and whom."""
    parts = []
    for tier in dict.fromkeys(w.tier for w in p.windows):
        own = [w for w in p.windows if w.tier == tier]
        binding = next((w for w in own if w.binding), None)
        of = f" of {tier}" if len({w.tier for w in p.windows}) > 1 else ""
        if binding is None:
            parts.append(f"on today's use no window{of} binds")
            continue
        worlds = "" if one_world(p) else f" (in {share(binding.binding_share)} of worlds)"
        parts.append(f"the {binding.window} window{of} binds{worlds}: {hit(binding)} of people run into it in a week")
    sentence = "; ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def hit(w: PlannedWindow) -> str:
    """Share of people who run into a window, with its interval where that is wider than what is told."""
    i = w.people_hit_share
    if i is None:
        return "an unknown share"
    ends = f" ({share(i.low)} to {share(i.high)})"
    return share(i.value) + ("" if share(i.low) == share(i.high) else ends)


def rows(p: Plan) -> list[tuple[str, str]]:
    """The lines under the sentences: a word, and numbers with units."""
    a = p.central
    found = [("limits", "   ".join(_limit(w, one_world(p)) for w in p.windows))] if p.windows else []
    found.append(("capacity", capacity(a)))
    found += [("service", _service(load)) for load in a.models if load.pools and not none_fits(load)]
    found += [("calibrated", clause) for clause in calibrations(a)]
    found.append(("money", _money(p)))
    found.append(("energy", _energy(a)))
    if p.movers:
        found.append(
            ("moved by", "   ".join(f"{path_in_words(m.path)} (x{digits(m.factor, 2)})" for m in p.movers[:3]))
        )
    return found


def _limit(w: PlannedWindow, alone: bool) -> str:
    interval = "" if alone or w.stated else f" ({between(w.tokens)})"
    return f"{w.tier} {w.window} {tokens(w.tokens.value)}{interval}"


def capacity(a: Answer) -> str:
    """The waterfall in one line."""
    totals = {stage: sum(b.totals[stage] for b in a.bookings) for stage in STAGES}
    ratios = ratios_of(totals)
    days = a.hours.count / 24
    contracted = totals["contracted"] / 3.6e6 / (24 * days)
    steps = [f"{stage} {share(ratios[stage])}" for stage in STAGES[1:] if ratios[stage] < 0.99995]
    runs = any(booking.totals["running"] > 0 for booking in a.bookings)
    point = next(iter(points(a)), None) if contracted and runs else None
    faces = f" (MFU {share(point.mfu)}, MBU {share(point.mbu)})" if point else ""
    chips = "1 accelerator" if contracted == 1 else f"{count(contracted)} accelerators"
    return " > ".join([f"contracted {chips}", *steps]) + faces


def points(a: Answer) -> list[OperatingPoint]:
    """Operating points of the first tier of each model on its first pool."""
    return [m.points[m.tiers[0].name, m.pools[0].pool.name] for m in a.models if m.pools]


def _service(load: ModelLoad) -> str:
    point = load.points[load.tiers[0].name, load.pools[0].pool.name]
    at_once = float(load.capacity.max() / load.seconds_per_active_s[0])
    slow = "" if point.meets_tpot else ", slower than the service level even alone"
    return (
        f"{load.model}: TPOT {digits(1000 * point.step_s, 2)} ms at full load{slow}   "
        f"room for {count(at_once)} active {load.tiers[0].name} at today's mean use{_kept(point)}"
    )


def _kept(point: OperatingPoint) -> str:
    """What memory does for so many at once; nothing for those who ask singly."""
    if point.keep_s is None:
        return ""
    minutes = point.keep_s / 60
    kept = f"{digits(point.keep_s, 2)} s" if minutes < 2 else f"{digits(minutes, 2)} min" if minutes < 60 else "an hour"
    found = share(point.found_share)
    return f"; with so many at once memory keeps a context at rest {kept}, and {found} of input is found there"


def _money(p: Plan) -> str:
    cost = p.cost_usd_per_mtok
    if cost["all"] is None:
        return "no price in the scenario" if p.central.cost_usd == 0 else "nothing is served"
    interval = "" if one_world(p) else f" ({digits(cost['all'].low, 2)} to {digits(cost['all'].high, 2)})"
    kinds = [(k.replace("_", " "), cost[k]) for k in ("uncached_input", "output")]
    split = ", ".join(f"{name} {digits(c.value)}" for name, c in kinds if c is not None)
    return f"{digits(cost['all'].value)} USD per million tokens of all kinds{interval}; {split}"


def _energy(a: Answer) -> str:
    facility_j = sum(e.facility_j for e in a.energy)
    seconds = a.hours.count * 3600
    served = a.tokens()
    parts = [f"{digits(facility_j / seconds / 1000)} kW at the facility on average"]
    if served["output"] > 0:
        parts.append(f"{digits(facility_j / served['output'])} J per output token")
        carbon = [e.carbon_g for e in a.energy]
        if all(c is not None for c in carbon):
            grams = sum(c for c in carbon if c is not None)
            parts.append(f"{digits(grams / served['output'] * 1e3)} kg CO2 per million output tokens, modelled")
    return "   ".join(parts)


def path_in_words(path: str) -> str:
    """A range's path as a person would say it: "active hours per week of developers"."""
    parts = path.split(".")
    noun = parts[-1].replace("_usd_per_s", " price").replace("_per_j", "").replace("_per_s", " per hour")
    noun = {"active_share": "active hours per week", "bout_s": "length of an active stretch"}.get(parts[-1], noun)
    for unit in ("_w", "_s", "_g", "_usd", "_bytes", "_tokens"):
        noun = noun.removesuffix(unit)
    owner = parts[1] if len(parts) > 2 else ""
    return f"{noun.replace('_', ' ')}{' of ' + owner if owner else ''}"


def _lengths(a: Carried) -> dict[tuple[str, str], str]:
    return {(w.tier, w.window): duration(w.length_s) for load in a.models for w in load.limits}
