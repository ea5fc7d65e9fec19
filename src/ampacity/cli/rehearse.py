"""`ampacity simulate SCENARIO --event ...`: take a contract or a site away, and say what everybody meets."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ampacity.scenario.scenario import Scenario
    from ampacity.simulator.fleet import Workers
    from ampacity.simulator.rehearsed import Going

WORDS = {"reclaim": "contract", "outage": "site"}
"""What each kind of event takes away."""


def rehearse(
    s: Scenario,
    event: str,
    notice: str | None,
    lasting: str | None,
    at: int | None,
    cells: int,
    workers: Workers,
    seed: int,
    json: str | None,
    *,
    quiet: bool,
) -> None:
    """Rehearse an event at the stated values, under the limits of those hours. Raises Mistakes for a name of none."""
    from importlib.metadata import version

    from ampacity.base.record import Record
    from ampacity.cli.screen import headline, shows, tell
    from ampacity.planner.answer import answer
    from ampacity.planner.curves import capped
    from ampacity.reporting.rehearsal_view import rehearsal_view
    from ampacity.reporting.simulated import limits_of
    from ampacity.scenario.announced import after
    from ampacity.scenario.worlds import draw
    from ampacity.simulator.fleet import Setting
    from ampacity.simulator.rehearsal import rehearse
    from ampacity.supply.delivery import hours_of

    began = _cpu_s()
    going = going_of(s, event, notice, lasting)
    if shows(json, quiet=quiet):
        typer.echo(f"{headline(s)} · seed {seed}\n")
    stated = draw(s, seed, 0)
    planned = answer(after(stated), guarantee=False, seed=seed)
    setting = Setting(stated, limits_of(planned), seed, curves=capped(planned, stated))
    try:
        r = rehearse(setting, going, at, cells, workers)
    except ValueError as err:
        if type(err) is not ValueError:
            raise
        raise typer.BadParameter(str(err), param_hint="--event, --at") from err
    record = Record(s.name, s.digest(), seed, 1, version("ampacity"), s.as_of, _cpu_s() - began)
    tell(rehearsal_view(r, hours_of(stated).start_s, record.as_dict(), s.name), json, quiet=quiet)


def going_of(s: Scenario, event: str, notice: str | None, lasting: str | None) -> Going:
    """What the options take away. Without --notice a reclaim has that of its contract, and an outage none."""
    from ampacity.scenario.mistakes import Mistake, Mistakes, nearest
    from ampacity.simulator.rehearsed import Going

    kind, _, subject = event.partition(":")
    if kind not in WORDS or not subject:
        message = f'"{event}": expected reclaim:CONTRACT or outage:SITE, for example reclaim:{_some_contract(s)}'
        raise typer.BadParameter(message, param_hint="--event")
    known = [c.name for c in s.contracts] if kind == "reclaim" else [x.name for x in s.sites]
    if subject not in known:
        message = f"no {WORDS[kind]} of that name; {nearest(subject, known)}"
        raise Mistakes([Mistake(s.name, 0, f"--event {kind}", subject, message)])
    notice_s = _stated_notice_s(s, kind, subject) if notice is None else _seconds(notice, "--notice")
    for_s = math.inf if lasting is None else _seconds(lasting, "--for")
    try:
        return Going("reclaim" if kind == "reclaim" else "outage", subject, notice_s, for_s)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--event, --notice, --for") from err


def _stated_notice_s(s: Scenario, kind: str, subject: str) -> float:
    """Cure and notice of the lessor's clause, as far as it can be seen: after two hours nothing is left in flight."""
    from ampacity.base.calendar import DAY_S
    from ampacity.scenario.event import Event
    from ampacity.simulator.rehearsed import MOST_NOTICE_S
    from ampacity.supply.exit import reclaim_warning_days

    if kind != "reclaim":
        return 0.0
    event = Event(name="rehearsed", kind="reclaim", date=s.start, contract=subject)
    return min(reclaim_warning_days(s.contract(subject), event) * DAY_S, float(MOST_NOTICE_S))


def _seconds(text: str, option: str) -> float:
    """A duration; a bare 0 is none."""
    from ampacity.base.units import UnitError, to_base

    if text.strip() == "0":
        return 0.0
    try:
        return to_base(text, "duration")
    except UnitError as err:
        raise typer.BadParameter(f'"{text}": {err}', param_hint=option) from err


def _some_contract(s: Scenario) -> str:
    return s.contracts[0].name if s.contracts else "CONTRACT"


def _cpu_s() -> float:
    """CPU time of this process and of those that have worked for it."""
    return sum(os.times()[:4])
