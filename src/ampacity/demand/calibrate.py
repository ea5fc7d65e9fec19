"""A calibration: the model of sessions fitted to a trace, with all that is needed to judge it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from ampacity.demand.agent_model import BEHAVIOUR, AgentModel
from ampacity.demand.behaviour import Fitted, behaviour_section
from ampacity.demand.fit import fit
from ampacity.demand.goodness import (
    DRAWN_SESSIONS,
    HIT_POINTS,
    MEANS_SHARE,
    Goodness,
    goodness,
    means,
    rounded,
)
from ampacity.demand.requests import Requests
from ampacity.demand.session_hour import SessionHour, measured_session_hour, session_hour
from ampacity.demand.sessions import generate, served
from ampacity.demand.traces.reuse import hit_share
from ampacity.scenario.mistakes import Mistake, Mistakes

LIFETIMES_S = (300.0, 3600.0)


@dataclass(frozen=True)
class Calibration:
    """A fitted model beside its trace.

    goodness: distances by statistic. hit, drawn_hit: share of input tokens that an unlimited cache holds, of the trace
    and of drawn sessions. means, drawn_means: tokens per request by kind, requests per session. hour, measured_hour:
    one active session-hour as drawn, and as the trace has it if it is timed. uncached_by_lifetime: drawn share of input
    that misses, by cache lifetime [s].
    """

    model: AgentModel
    goodness: list[Goodness]
    hit: float
    drawn_hit: float
    means: dict[str, float]
    drawn_means: dict[str, float]
    hour: SessionHour
    measured_hour: SessionHour | None
    uncached_by_lifetime: dict[float, float]

    @property
    def misses(self) -> list[str]:
        """What does not meet its target, in words; empty if all does."""
        found = [
            f"{g.statistic}: distance {g.distance:.3f}, target {g.target:.2f}"
            for g in self.goodness
            if g.distance > g.target
        ]
        if 100 * abs(self.hit - self.drawn_hit) > HIT_POINTS:
            found.append(f"hit share: {100 * self.drawn_hit:.1f} % drawn, {100 * self.hit:.1f} % in the trace")
        for name, real in self.means.items():
            if abs(self.drawn_means[name] / real - 1) > MEANS_SHARE:
                found.append(f"mean {name.replace('_', ' ')}: {self.drawn_means[name]:,.0f} drawn, {real:,.0f} real")
        return found

    @property
    def behaviour(self) -> dict[str, Any]:
        """The section that a scenario's tier takes up by naming the file."""
        about = self.model.about
        day = date.fromisoformat(about["fitted_on"])
        fitted = Fitted(self.hour, self.measured_hour, about["source"], day, not self.misses)
        return behaviour_section(Path(about["source"]).stem, fitted)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": self.model.as_dict(),
            "goodness": [vars(g) for g in self.goodness],
            "hit_share": {"trace": self.hit, "drawn": self.drawn_hit},
            "means": {"trace": self.means, "drawn": self.drawn_means},
            "session_hour": vars(self.hour),
            "behaviour": self.behaviour,
            "uncached_share_by_lifetime_s": {str(int(k)): v for k, v in self.uncached_by_lifetime.items()},
            "misses": self.misses,
        }

    def yaml(self) -> str:
        """The model with its goodness and the behaviour, as `agent_model.read_model` and scenarios read them."""
        out = io.StringIO()
        writer = YAML()
        writer.default_flow_style = None
        writer.width = 110
        section = CommentedMap({k: CommentedMap(v) if isinstance(v, dict) else v for k, v in self.behaviour.items()})
        for claim in (c for c in section.values() if isinstance(c, CommentedMap)):
            claim.fa.set_block_style()  # one key a line, for people to change
        about, *laws = self.model.as_dict().items()
        writer.dump(dict([about, (BEHAVIOUR, section), *laws]), out)
        return out.getvalue()


def calibrate(
    trace: Requests,
    source: str,
    seed: int,
    fitted_on: date,
    repetitions: int = 30,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Fit the model to requests and judge it. Raises Mistakes if there are too few of them."""
    frame = trace.frame
    try:
        model = fit(frame)
    except ValueError as err:
        raise Mistakes([Mistake(source, 0, "sessions", "", str(err))]) from err
    steps = generate(model, seed, np.arange(DRAWN_SESSIONS))
    done = served(steps, model.service)
    ours = rounded(done.frame(), frame)
    found = goodness(frame, ours, seed, repetitions, progress)
    by_lifetime = {s: 1.0 - _held(served(steps, model.service, s).frame()) for s in LIFETIMES_S}
    about = {
        "source": source,
        "sessions": frame["session"].n_unique(),
        "requests": len(frame),
        "sessions_left_out": trace.left_out,
        "fitted_on": fitted_on.isoformat(),
        "seed": seed,
        "repetitions": repetitions,
        "hit_share": {"trace": round(_held(frame), 4), "drawn": round(_held(ours), 4)},
        "kolmogorov_distance": {
            g.statistic: {
                "drawn": round(g.distance, 3),
                "held_out": _rounded(g.held_out),
                "floor": _rounded(g.floor),
                "floor_p95": _rounded(g.floor_p95),
                "target": g.target,
            }
            for g in found
        },
    }
    return Calibration(
        model=replace(model, about=about),
        goodness=found,
        hit=_held(frame),
        drawn_hit=_held(ours),
        means=means(frame),
        drawn_means=means(ours),
        hour=session_hour(done),
        measured_hour=measured_session_hour(frame),
        uncached_by_lifetime=by_lifetime,
    )


def _held(frame: pl.DataFrame) -> float:
    """Share of the input that an unlimited cache holds, where every request is counted. [0 to 1]"""
    found = hit_share(frame)
    assert found is not None
    return found


def _rounded(distance: float | None) -> float | None:
    return None if distance is None else round(distance, 3)


def write(calibration: Calibration, path: Path) -> None:
    """Write the model to a file, whole or not at all. Raises OSError."""
    from ampacity.base.files import write_whole

    write_whole(path, calibration.yaml())
