"""What no noun can see alone: references that lead nowhere, things promised twice, figures that are missing.

Every check is a function of its own that yields findings as (path, found, message); all of them run, always.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from typing import Any, cast
from zoneinfo import ZoneInfo

from ampacity.scenario import lookup
from ampacity.scenario.accelerator import PRECISIONS, Accelerator
from ampacity.scenario.contract import Contract
from ampacity.scenario.event import Event
from ampacity.scenario.job import Job
from ampacity.scenario.limit import Limit, Window
from ampacity.scenario.mistakes import nearest
from ampacity.scenario.model import Model
from ampacity.scenario.placement import BYTES_PER_NUMBER, MEMORY_SHARE, Placement
from ampacity.scenario.site import Site
from ampacity.scenario.tier import Tier

Finding = tuple[tuple[str, ...], str, str]


@dataclass(frozen=True)
class Names:
    """The names that a scenario declares, whether or not what stands behind them is right; and its raw tree."""

    declared: dict[str, tuple[str, ...]]
    raw: dict[str, Any]

    def of(self, collection: str) -> tuple[str, ...]:
        return self.declared[collection]


@dataclass(frozen=True)
class Nouns:
    """Those nouns that came out right."""

    accelerators: tuple[Accelerator, ...]
    models: tuple[Model, ...]
    sites: tuple[Site, ...]
    contracts: tuple[Contract, ...]
    placements: tuple[Placement, ...]
    limits: tuple[Limit, ...]
    tiers: tuple[Tier, ...]
    jobs: tuple[Job, ...]
    events: tuple[Event, ...]


def consistency(nouns: dict[str, tuple[Any, ...]], names: Names) -> Iterator[Finding]:
    """Run every check."""
    made = Nouns(**nouns)
    yield from something_to_plan(names)
    yield from deliveries_name_sites_and_accelerators(made, names)
    yield from exclusive_sites_have_one_contract(made)
    yield from contracts_meet_the_horizon(made, names)
    yield from earmarks_name_tiers(made, names)
    yield from placements_find_their_pools(made, names)
    yield from placements_fit_their_accelerators(made)
    yield from calibrations_fit_their_placements(made)
    yield from tiers_find_model_and_limit(made, names)
    yield from jobs_and_events_name_what_exists(made, names)
    yield from events_use_rights_that_exist(made)
    yield from options_name_accelerators(made, names)
    yield from windows_differ(made)
    yield from time_zones_exist(made)


def something_to_plan(names: Names) -> Iterator[Finding]:
    """A plan needs a site, a contract, a placement and a tier."""
    for collection in ("sites", "contracts", "placements", "tiers"):
        if not names.of(collection):
            yield (collection,), "", f"missing; a scenario has at least one of its {collection}"


def deliveries_name_sites_and_accelerators(made: Nouns, names: Names) -> Iterator[Finding]:
    """A delivery goes to a declared site and is of a known accelerator."""
    accelerators = (*names.of("accelerators"), *lookup.accelerator_names())
    for contract in made.contracts:
        for i, delivery in enumerate(contract.deliveries):
            path = ("contracts", contract.name, "deliveries", str(i))
            if delivery.site not in names.of("sites"):
                yield (
                    (*path, "site"),
                    delivery.site,
                    f"no site of that name; {nearest(delivery.site, names.of('sites'))}",
                )
            if delivery.accelerator not in accelerators:
                known = nearest(delivery.accelerator, accelerators)
                yield (*path, "accelerator"), delivery.accelerator, f"no accelerator of that name; {known}"


def exclusive_sites_have_one_contract(made: Nouns) -> Iterator[Finding]:
    """Where one contract is exclusive, no other delivers at the same time."""
    for one, other in combinations(made.contracts, 2):
        if not (one.exclusive or other.exclusive):
            continue
        shared = {d.site for d in one.deliveries} & {d.site for d in other.deliveries}
        if shared and one.start < (other.end or date.max) and other.start < (one.end or date.max):
            holder, guest = (one, other) if one.exclusive else (other, one)
            message = f'{holder.name} has site "{min(shared)}" exclusively at that time'
            yield ("contracts", guest.name, "deliveries"), "", message


def contracts_meet_the_horizon(made: Nouns, names: Names) -> Iterator[Finding]:
    """A contract that is over before the scenario begins delivers nothing."""
    try:
        start = date.fromisoformat(str(names.raw.get("start")))
    except ValueError:
        return
    for contract in made.contracts:
        if contract.end is not None and contract.end <= start:
            yield ("contracts", contract.name, "end"), str(contract.end), f"over before the scenario starts ({start})"


def earmarks_name_tiers(made: Nouns, names: Names) -> Iterator[Finding]:
    """An earmark names tiers that exist."""
    for contract in made.contracts:
        for tier in contract.earmark:
            if tier not in names.of("tiers"):
                known = nearest(tier, names.of("tiers"))
                yield ("contracts", contract.name, "earmark"), tier, f"no tier of that name; {known}"


def placements_find_their_pools(made: Nouns, names: Names) -> Iterator[Finding]:
    """A placement's model, contract, site and accelerator exist, and some pool answers to all of them, its alone."""
    models = (*names.of("models"), *lookup.model_names())
    delivered = [(c.name, d.site, d.accelerator) for c in made.contracts for d in c.deliveries if c.side != "lessor"]
    taken: dict[tuple[str, str, str], str] = {}
    for p in made.placements:
        path = ("placements", p.name)
        if p.model not in models:
            yield (*path, "model"), p.model, f"no model of that name; {nearest(p.model, models)}"
        for key, wanted, known in (
            ("contract", p.contract, names.of("contracts")),
            ("site", p.site, names.of("sites")),
            ("accelerator", p.accelerator, (*names.of("accelerators"), *lookup.accelerator_names())),
        ):
            if wanted is not None and wanted not in known:
                yield (*path, key), wanted, f"no {key} of that name; {nearest(wanted, known)}"
        asked = (p.contract, p.site, p.accelerator)
        own = {pool for pool in delivered if all(a in (None, b) for a, b in zip(asked, pool, strict=True))}
        if not own and len(made.contracts) == len(names.of("contracts")):
            yield path, "", "no contract delivers such accelerators at such a site; this placement stands on nothing"
        for pool in sorted(own):
            if taken.setdefault(pool, p.name) != p.name:
                yield path, "", f'pool {"/".join(pool)} is taken by placement "{taken[pool]}" already'


def placements_fit_their_accelerators(made: Nouns) -> Iterator[Finding]:
    """The accelerators of a placement have known figures at its precision, and a replica holds the weights."""
    models = {m.name: m for m in made.models}
    chips = {a.name: a for a in made.accelerators}
    for p in made.placements:
        used = {d.accelerator for c in made.contracts if p.contract in (None, c.name) for d in c.deliveries}
        for name in sorted(used if p.accelerator is None else used & {p.accelerator}):
            if (chip := chips.get(name)) is None:
                continue
            yield from _chip_serves(p, chip, models.get(p.model))


def _chip_serves(p: Placement, chip: Accelerator, model: Model | None) -> Iterator[Finding]:
    path = ("placements", p.name)
    if chip.flops(p.precision) is None:
        known = [x for x in PRECISIONS if chip.flops(x) is not None]
        known_words = f"known are {', '.join(known)}" if known else "none is known"
        yield (*path, "precision"), p.precision, f"{chip.name} has no known peak at {p.precision}; {known_words}"
    if chip.hbm_bytes is None or chip.hbm_bytes_per_s is None:
        yield (*path, "accelerator"), chip.name, "its memory is not known; give hbm_size and hbm_bandwidth"
    elif model is not None and p.accelerators_per_replica is not None:
        weights = model.parameters_total * BYTES_PER_NUMBER[p.precision]
        memory = p.accelerators_per_replica * chip.hbm_bytes.value
        if weights >= MEMORY_SHARE * memory:
            found = str(p.accelerators_per_replica)
            needs = f"{model.name} at {p.precision} needs {weights / 1e9:.0f} GB of weights"
            message = f"{needs}; {found} x {chip.name} have {memory / 1e9:.0f} GB"
            yield (*path, "accelerators_per_replica"), found, message


def calibrations_fit_their_placements(made: Nouns) -> Iterator[Finding]:
    """A calibration says something of the model, engine, precision and accelerator that were measured alone."""
    for placement in made.placements:
        if placement.calibration is None:
            continue
        path = ("placements", placement.name, "calibration")
        for key in ("model", "engine", "precision", "kv_precision"):
            measured, placed = getattr(placement.calibration, key), getattr(placement, key)
            if measured != placed:
                yield (*path, key), measured, f"what was measured; the placement has {key.replace('_', ' ')} {placed}"
        own = [c for c in made.contracts if placement.contract in (None, c.name)]
        chips = {d.accelerator for c in own for d in c.deliveries if placement.accelerator in (None, d.accelerator)}
        if chips and placement.calibration.accelerator not in chips:
            message = f"what was measured; the placement stands on {', '.join(sorted(chips))}"
            yield (*path, "accelerator"), placement.calibration.accelerator, message


def tiers_find_model_and_limit(made: Nouns, names: Names) -> Iterator[Finding]:
    """A tier's model is placed somewhere, its limit exists, its behaviour has a known shape of the week."""
    placed = {p.model for p in made.placements}
    for tier in made.tiers:
        path = ("tiers", tier.name)
        if tier.model not in (*names.of("models"), *lookup.model_names()):
            known = nearest(tier.model, (*names.of("models"), *lookup.model_names()))
            yield (*path, "model"), tier.model, f"no model of that name; {known}"
        elif tier.model not in placed and len(made.placements) == len(names.of("placements")):
            yield (*path, "model"), tier.model, f"no placement serves it; {nearest(tier.model, placed)}"
        limits = (*names.of("limits"), *(limit.name for limit in made.limits))
        if tier.limit is not None and tier.limit not in limits:
            presets = [f"{p}/TIER" for p in lookup.preset_names()]
            known = nearest(tier.limit, [*names.of("limits"), *presets])
            yield (*path, "limit"), tier.limit, f"no limit of that name; {known}"
        if tier.kind == "api" and tier.limit is not None:
            yield (*path, "limit"), tier.limit, "API customers have no windows here; kind: subscribers has them"
        if tier.behaviour.shape not in lookup.shape_names():
            known = nearest(tier.behaviour.shape, lookup.shape_names())
            yield (*path, "behaviour", "shape"), tier.behaviour.shape, f"no shape of that name; {known}"


def jobs_and_events_name_what_exists(made: Nouns, names: Names) -> Iterator[Finding]:
    """Jobs stand on delivered accelerators; events name contracts, sites, tiers and limits that exist."""
    for job in made.jobs:
        there = [
            d.quantity.value
            for c in made.contracts
            for d in c.deliveries
            if (d.site, d.accelerator) == (job.site, job.accelerator)
        ]
        if not there and len(made.contracts) == len(names.of("contracts")):
            yield ("jobs", job.name), "", f"no contract delivers {job.accelerator} at {job.site}"
        elif there and job.quantity.value > sum(there):
            found = f"{job.quantity.value:g}"
            yield ("jobs", job.name, "quantity"), found, f"more than the {sum(there):g} delivered there"
    for event in made.events:
        for key, collection in (("contract", "contracts"), ("site", "sites"), ("tier", "tiers"), ("limit", "limits")):
            wanted = cast("str | None", getattr(event, key))
            there_are = (*names.of(collection), *(limit.name for limit in made.limits if key == "limit"))
            if wanted is not None and wanted not in there_are:
                known = nearest(wanted, there_are)
                yield ("events", event.name, key), wanted, f"no {key} of that name; {known}"
        for contract in made.contracts:
            end = contract.end or date.max - timedelta(days=1)
            if event.contract == contract.name and not contract.start <= event.date <= end:
                message = f"outside the contract ({contract.start} to {contract.end or 'open'})"
                yield ("events", event.name, "date"), str(event.date), message


def events_use_rights_that_exist(made: Nouns) -> Iterator[Finding]:
    """Who terminates has a clause for it; an option that is used is one of the contract's, in time."""
    contracts = {c.name: c for c in made.contracts}
    for event in made.events:
        contract = contracts.get(event.contract or "")
        if contract is None:
            continue
        path = ("events", event.name)
        if event.kind == "termination" and not any(c.party in (event.party, "either") for c in contract.termination):
            parties = sorted({c.party for c in contract.termination})
            known = f"its clauses are for {', '.join(parties)}" if parties else "it has no termination clause"
            yield (*path, "party"), event.party or "", f"{contract.name} does not let the {event.party} leave; {known}"
        if event.kind == "exercise":
            own = [o for o in contract.options if o.kind == event.option]
            kinds = [o.kind for o in contract.options]
            if not own:
                message = f"{contract.name} has no such option; {nearest(str(event.option), kinds)}"
                yield (*path, "option"), str(event.option), message
            elif own[0].exercise_by is not None and event.date > own[0].exercise_by:
                yield (*path, "date"), str(event.date), f"after the last day to use it ({own[0].exercise_by})"


def options_name_accelerators(made: Nouns, names: Names) -> Iterator[Finding]:
    """An option that changes the accelerator names one that is known."""
    accelerators = (*names.of("accelerators"), *lookup.accelerator_names())
    for contract in made.contracts:
        for i, option in enumerate(contract.options):
            if option.accelerator is not None and option.accelerator not in accelerators:
                path = ("contracts", contract.name, "options", str(i), "accelerator")
                yield (
                    path,
                    option.accelerator,
                    f"no accelerator of that name; {nearest(option.accelerator, accelerators)}",
                )


def windows_differ(made: Nouns) -> Iterator[Finding]:
    """Two windows of one limit that count alike over the same length: the smaller alone would ever bind."""

    def kind(w: Window) -> tuple[object, ...]:
        return w.length_s, w.refill, w.models, w.products, w.requests is None

    for limit in made.limits:
        for one, other in combinations(limit.windows, 2):
            if kind(one) == kind(other):
                path = ("limits", limit.name, "windows", other.name)
                yield path, "", f'same length, refill and models as "{one.name}"; only the smaller could ever bind'


def time_zones_exist(made: Nouns) -> Iterator[Finding]:
    """Every time zone is one that the tz database knows."""
    asked: list[tuple[tuple[str, ...], str | None]] = []
    asked += [(("sites", s.name, "time_zone"), s.time_zone) for s in made.sites]
    asked += [(("tiers", t.name, "time_zone"), t.time_zone) for t in made.tiers]
    for limit in made.limits:
        for w in limit.windows:
            path = ("limits", limit.name, "windows", w.name)
            asked.append(((*path, "anchor", "time_zone"), w.anchor.time_zone if w.anchor else None))
            asked.append(((*path, "peak", "time_zone"), w.peak.time_zone if w.peak else None))
    for key, zone in asked:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            from zoneinfo import available_timezones

            yield key, zone or "", f"no such time zone; {nearest(zone or '', available_timezones())}"
