"""Ampacity: what usage limits can this AI compute carry, and what happens to them when the compute changes?

import ampacity as amp

s = amp.load("laptop")          # or a path; frozen; s.replace({...}) for what-ifs
p = amp.plan(s)                 # p.limits, p.hours, p.waterfall, p.curves
r = amp.simulate(s, plan=p)     # r.slo(), r.refusals(by="tier"), r.waterfall(), r.cost(), r.emissions(), r.requests()
amp.report(p).save("laptop.html")
amp.plots.waterfall(p)          # or of r: as planned, or as requests made it
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ampacity.planner.plan import plan
    from ampacity.reporting import plots
    from ampacity.reporting.page import report
    from ampacity.reporting.simulated import simulate
    from ampacity.scenario.load import load
    from ampacity.scenario.mistakes import Mistakes

__all__ = ["Mistakes", "load", "plan", "plots", "report", "simulate"]

_HOME = {
    "Mistakes": "ampacity.scenario.mistakes",
    "load": "ampacity.scenario.load",
    "plan": "ampacity.planner.plan",
    "report": "ampacity.reporting.page",
    "simulate": "ampacity.reporting.simulated",
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used: a gateway that imports a room pays for that room alone."""
    if name == "plots":
        return import_module("ampacity.reporting.plots")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ampacity' has no attribute {name!r}")
