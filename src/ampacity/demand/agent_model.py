"""What is known of coding agents' sessions: the parameters that `fit.py` finds and `sessions.py` draws from.

They name laws and shares, no session. A file holds them with source, numbers of rows and sessions, date and goodness.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ampacity.demand.mixture import Mixture
from ampacity.demand.service import Service
from ampacity.scenario import lookup
from ampacity.scenario.mistakes import Mistake, Mistakes

FIELDS = ("output", "growth", "gap")
"""What varies together within a session: output, context growth and gap of its steps, in this order."""

OPENING_STEPS = 4

BEHAVIOUR = "behaviour"
"""A section that a file of the model may hold beside its laws: what scenarios take from it."""


@dataclass(frozen=True)
class Kind:
    """Sessions that begin alike. share: of sessions. first_input: context of the first request [token]. steps: requests
    of the main agent. opening: context growth of its first OPENING_STEPS steps, when a task is read into it [token].
    large_share: of sessions of median length whose context window is a large one; large_slope: how the log-odds of that
    change with the normal score of the session's length."""

    share: float
    first_input: Mixture
    steps: Mixture
    opening: Mixture
    large_share: float
    large_slope: float


@dataclass(frozen=True)
class Factors:
    """How steps of one session are alike, as normal scores; one entry for each of FIELDS.

    A step's score is  offset + slope · (score of the session's length) + spread · (the session's own score) +
    within · (the step's own score). correlation: of the sessions' own scores. follows: correlation of growth with the
    output of the step before it, which becomes context.
    """

    offset: tuple[float, ...]
    slope: tuple[float, ...]
    spread: tuple[float, ...]
    within: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    follows: float


@dataclass(frozen=True)
class Context:
    """How a context ends its growth, and what of it is found in the cache.

    limit, limit_sigma: of an ordinary window, the context beyond which the next step is compacted: median [token] and
    sd of its logarithm. large_limit: the same of a large window [token]. compacted_to: context after it [token].
    cuts_per_token: chance that the history is cut for another reason, per token of context up to `limit`, at steps of
    the agent's own and at those that the user begins. cut_to: share of the context that is kept. break_share: of steps
    at which the cache misses though nothing is cut, likewise. prefix_tokens: tools and system prompt, which survive
    cuts and breaks. block_tokens: the cache's block. tail_tokens: last tokens of a request that are never reused.
    """

    limit: float
    limit_sigma: float
    large_limit: float
    compacted_to: Mixture
    cuts_per_token: tuple[float, float]
    cut_to: Mixture
    break_share: tuple[float, float]
    prefix_tokens: int
    block_tokens: int
    tail_tokens: int


@dataclass(frozen=True)
class SubAgents:
    """Helpers that a session starts. session_share: of sessions that start any. per_session: how many these start on
    average (geometric). first_input, steps, output, growth, gap: laws of their own [token, count, token, token, s]."""

    session_share: float
    per_session: float
    first_input: Mixture
    steps: Mixture
    output: Mixture
    growth: Mixture
    gap: Mixture


@dataclass(frozen=True)
class AgentModel:
    """Sessions of coding agents: session -> turn -> step.

    fresh, resumed: sessions that begin with tools and a task, and sessions that take up an earlier context.
    output, growth: tokens per step. tool_gap, user_gap: seconds from an answer to the next request of the same turn,
    and of the next turn. first_turn, turn: requests in a session's first turn of the user and in a later one.
    about: source, rows, date, goodness, as written.
    """

    fresh: Kind
    resumed: Kind
    output: Mixture
    growth: Mixture
    tool_gap: Mixture
    user_gap: Mixture
    first_turn: Mixture
    turn: Mixture
    factors: Factors
    context: Context
    sub_agents: SubAgents | None
    service: Service
    about: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "about": self.about,
            **{f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "about"},
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> Self:
        """The model that `as_dict` wrote, whatever `behaviour` stands beside it.

        Raises ValueError that names every missing or unknown key.
        """
        content = {key: value for key, value in content.items() if key != BEHAVIOUR}
        _require(content, [f.name for f in fields(cls)], "the model")
        parts = {
            "fresh": _build(Kind, content["fresh"], "fresh"),
            "resumed": _build(Kind, content["resumed"], "resumed"),
            **{name: _mixture(content[name], name) for name in _LAWS},
            "factors": _factors(content["factors"]),
            "context": _build(Context, content["context"], "context"),
            "sub_agents": _build(SubAgents, content["sub_agents"], "sub_agents") if content["sub_agents"] else None,
            "service": _build(Service, content["service"], "service"),
        }
        return cls(**parts, about=dict(content["about"] or {}))


_LAWS = ("output", "growth", "tool_gap", "user_gap", "first_turn", "turn")


@cache
def packaged_model() -> AgentModel:
    """The model fitted to the public traces of coding-agent sessions; the catalog's file says which and how well."""
    text = (lookup.CATALOG / "demand" / "coding_agent.yaml").read_text(encoding="utf-8")
    return AgentModel.of(YAML(typ="safe").load(text))


def read_model(path: Path) -> AgentModel:
    """The model in a file that `ampacity calibrate demand` wrote. Raises Mistakes, and OSError."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as err:
        problem = " ".join(str(err).split())
        raise Mistakes([Mistake(str(path), 0, "", problem, "expected YAML, as the calibration writes it")]) from err
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise Mistakes([Mistake(str(path), 0, "", kind, "expected keys and values, as the calibration writes them")])
    try:
        return AgentModel.of(content)
    except (ValueError, TypeError) as err:
        raise Mistakes([Mistake(str(path), 0, "", "", part) for part in str(err).split("; ")]) from err


def _plain(value: Any) -> Any:
    if isinstance(value, Mixture):
        return value.as_dict()
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _require(content: dict[str, Any], names: list[str], where: str) -> None:
    """Raise ValueError with every key that is missing or unknown."""
    wrong = [f"{where}: {name} is missing" for name in names if name not in content]
    wrong += [
        f"{where}: {name} is unknown; expected one of {', '.join(names)}" for name in content if name not in names
    ]
    if wrong:
        raise ValueError("; ".join(wrong))


def _build(kind: type[Any], content: dict[str, Any], where: str) -> Any:
    """A part of the model; its mixtures are the values that are mappings."""
    if not isinstance(content, dict):
        raise ValueError(f"{where}: found {content!r}; expected keys and values")
    _require(content, [f.name for f in fields(kind)], where)
    lists = {k: tuple(float(x) for x in v) for k, v in content.items() if isinstance(v, list)}
    laws = {k: _mixture(v, f"{where}.{k}") for k, v in content.items() if isinstance(v, dict)}
    return kind(**{**content, **lists, **laws})


def _mixture(content: Any, where: str) -> Mixture:
    if not isinstance(content, dict):
        raise ValueError(f"{where}: found {content!r}; expected weight, mu, sigma")
    missing = [name for name in ("weight", "mu", "sigma") if name not in content]
    if missing:
        raise ValueError(f"{where}: {', '.join(missing)} missing")
    return Mixture.of(content)


def _factors(content: dict[str, Any]) -> Factors:
    _require(content, [f.name for f in fields(Factors)], "factors")
    rows = tuple(tuple(float(v) for v in row) for row in content["correlation"])
    lists = {name: tuple(float(v) for v in content[name]) for name in ("offset", "slope", "spread", "within")}
    return Factors(**lists, correlation=rows, follows=float(content["follows"]))
