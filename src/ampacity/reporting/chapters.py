"""The report's chapters in their order, and those on the answer itself: limits, what moves them, sources."""

from __future__ import annotations

from datetime import date, timedelta

from ampacity.planner.plan import Plan, PlannedWindow
from ampacity.reporting import plots
from ampacity.reporting.air_chapter import air
from ampacity.reporting.capacity_chapters import supply_and_demand, waterfall
from ampacity.reporting.chapter import Chapter, Exhibit, Table, between, day_in_words, what_is_drawn
from ampacity.reporting.cost_chapters import cost, energy
from ampacity.reporting.risk_chapters import contracts, orbit, risk
from ampacity.reporting.site_chapter import sites
from ampacity.reporting.sources import claims
from ampacity.reporting.utilization_chapter import utilization
from ampacity.reporting.verdict_chapters import assumptions, became_known, change, people_exhibit
from ampacity.reporting.words import count, digits, duration, hit, one_world, sentences, share, tokens
from ampacity.scenario.limit import TokenWeights
from ampacity.scenario.worlds import ranges


def chapters(p: Plan, on: date) -> list[Chapter]:
    """All chapters in their order, without those that have no data. on: the day the report is written."""
    found = [
        _answer(p, on),
        change(p),
        sites(p),
        waterfall(p),
        utilization(p),
        supply_and_demand(p),
        _limits(p),
        cost(p),
        contracts(p),
        risk(p),
        energy(p),
        air(p),
        orbit(p),
        _movers(p),
        _sources(p),
    ]
    return [chapter for chapter in found if chapter is not None]


def _answer(p: Plan, on: date) -> Chapter:
    s, r = p.scenario, p.record
    last = s.start + timedelta(days=s.horizon_days - 1)
    drawn = sum(1 for _ in ranges(s))
    worlds = "one: nothing in it is a range" if one_world(p) else f"{r.worlds}, drawn from {drawn} ranges"
    facts = [
        ("Scenario", r.scenario),
        ("Planned days", f"{day_in_words(s.start)} to {day_in_words(last)} ({s.horizon_days} days)"),
        ("Known as of", day_in_words(r.as_of) if r.as_of else "no cut: everything in the scenario and the catalog"),
        (
            "Service level",
            f"{share(s.service_level.hours.value)} of hours; "
            f"at most {digits(1000 * s.service_level.tpot_s, 2)} ms for an output token",
        ),
        ("Worlds", worlds),
        ("Seed", str(r.seed)),
        ("Scenario hash", r.scenario_hash),
        ("Ampacity version", r.version),
        ("Written on", day_in_words(on)),
    ]
    people = people_exhibit(p)
    tables = [*assumptions(p), *became_known(p)]
    return Chapter("answer", "The answer", sentences(p), [people] if people else [], tables, facts)


def _limits(p: Plan) -> Chapter:
    title = "The limits"
    free = [t.name for t in p.scenario.tiers if not any(w.tier == t.name for w in p.windows)]
    without = [f"Without a window, and served as they ask: {', '.join(free)}."] if free else []
    if not p.windows:
        return Chapter("limits", title, ["No tier has a window, so there is no limit to find.", *without])
    said = []
    if all(w.tokens.value == 0 for w in p.windows):
        said.append("No limit above zero is carried, so every window is empty and refuses everything.")
    else:
        for model, carried in p.carried_share.items():
            said.append(f"The limits on {model} are carried in {share(carried)} of hours at the stated values.")
    said += [*_weights(p), *without]
    columns = (
        "Tier",
        "Window",
        "Length",
        "Holds",
        "90 % of worlds",
        "Guaranteed",
        "Binds",
        "People hit in a week",
        "Not served",
    )
    caption = (
        "Every tier and window, in weighted tokens; not served is a share of the tokens that people want today, under "
        "all windows of their tier"
    )
    table = Table(caption, columns, [_window(p, w) for w in p.windows], text_columns=3)
    if all(w.tokens.value == 0 for w in p.windows):
        return Chapter("limits", title, said, tables=[table])
    says = "; ".join(f"{w.tier} {w.window}: {tokens(w.tokens.value)} tokens" for w in p.windows)
    caption = f"{what_is_drawn(p)} Diamond: what is carried even if every active person used it up."
    exhibit = Exhibit("limits", says + ".", caption, plots.limits(p), table)
    return Chapter("limits", title, said, [exhibit])


def _window(p: Plan, w: PlannedWindow) -> tuple[str, ...]:
    people = p.scenario.tier(w.tier).people.value
    i = w.people_hit_share
    hits = f"{digits(people * i.value, 2)} of {count(people)} ({hit(w)})" if i else "not seen by the hour"
    worlds = "" if one_world(p) else f" ({share(w.binding_share)} of worlds)"
    return (
        w.tier,
        w.window,
        duration(w.length_s) if w.length_s else "once",
        tokens(w.tokens.value) + (", as stated" if w.stated else ""),
        "" if w.stated else between(p, w.tokens, tokens),
        tokens(w.guaranteed) if not w.stated else "",
        ("yes" if w.binding else "no") + worlds,
        hits,
        share(w.unserved_share.value),
    )


def _weights(p: Plan) -> list[str]:
    """How tokens count, said once if all windows count each token once."""
    odd = []
    for limit in p.scenario.limits:
        for w in limit.windows:
            if w.weights != TokenWeights():
                parts = ", ".join(f"{k.replace('_', ' ')} × {v:g}" for k, v in w.weights)
                odd.append(f"In {limit.name}, {w.name}, tokens count {parts}.")
    rest = "In all other windows every" if odd else "Every"
    return [*odd, f"{rest} token counts once, whether uncached input, cached input or output."]


def _movers(p: Plan) -> Chapter:
    title = "What moves the answer most"
    if one_world(p):
        return Chapter("movers", title, ["Nothing in the scenario is a range, so nothing moves the answer."])
    what = plots.moved(p)
    fewer = "limits smaller" if p.verdict is None else "them fewer"
    if not p.movers:
        return Chapter("movers", title, [f"No range moves the {what} by more than the noise of so few worlds."])
    said = [
        f"The factor compares the {what} in those worlds where a number lies in the upper half of its range "
        f"with those where it lies in the lower half. Below 1, a larger number makes {fewer}."
    ]
    known = {c.path: c for c in claims(p.scenario)}
    rows = []
    for m in p.movers:
        c = known[m.path]
        rows.append((c.what, c.subject, c.shown, c.interval, f"× {digits(m.factor, 3)}"))
    columns = ("Number", "Of", "Stated", "Range", f"{what.capitalize()}, upper over lower half")
    table = Table(f"Ranges by how much they move the {what}", columns, rows, text_columns=2)
    says = "; ".join(f"{row[0]} ({row[1]}): {row[4]}" for row in rows) + "."
    verb = "grow" if p.verdict is None else "become more"
    caption = (
        f"To the right: {what} {verb} with the number. To the left: {'they shrink' if p.verdict is None else 'fewer'}."
    )
    return Chapter("movers", title, said, [Exhibit("movers", says, caption, plots.movers(p), table)])


def _sources(p: Plan) -> Chapter:
    found = claims(p.scenario)
    drawn = sum(c.is_range for c in found)
    said = [f"{len(found)} numbers, of which {drawn} are ranges; the ranges come first."]
    return Chapter("sources", "Assumptions and sources", said, claims=found, notes=p.notes)
