"""The report's chapters on money promised and on what may go: contracts, risk, the lessor's view, orbit."""

from __future__ import annotations

from ampacity.planner.lessor import leases
from ampacity.planner.plan import Plan
from ampacity.reporting.chapter import Chapter, Table, view_chapter
from ampacity.reporting.concentration_view import concentration_lines, concentration_of
from ampacity.reporting.contract_view import contract_sentences
from ampacity.reporting.lessor_view import lease_sentences
from ampacity.reporting.orbit_view import orbit_view, orbital_sites
from ampacity.reporting.orbit_words import rows


def contracts(p: Plan) -> Chapter | None:
    """What is promised, at which price, and how it ends."""
    if p.scenario.about == "own":
        return None
    said, _ = contract_sentences(p)
    leased = [sentence for lease in leases(p.scenario) for sentence in lease_sentences(lease)]
    return view_chapter("contracts", "The contracts", [*said, *leased])


def risk(p: Plan) -> Chapter | None:
    """The largest supplier gone, the lease taken back, concentration."""
    if p.scenario.about == "own":
        return None
    _, losses = contract_sentences(p)
    return view_chapter("risk", "What may go", [*losses, *concentration_lines(concentration_of(p.scenario))])


def orbit(p: Plan) -> Chapter | None:
    """What stands or would stand in orbit."""
    if not orbital_sites(p.scenario):
        return None
    data = orbit_view(p).data
    tables = [
        Table(f"Figures of {name}, with 90 % intervals", ("What", "How much"), rows(found), text_columns=2)
        for name, found in data["sites"].items()
    ]
    return view_chapter("orbit", "In orbit, if it were built", [*data["sentences"], data["disclaimer"]], tables)
