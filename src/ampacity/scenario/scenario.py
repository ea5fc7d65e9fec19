"""A scenario: all nouns of one question, frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.contract import Contract
from ampacity.scenario.event import Event
from ampacity.scenario.job import Job
from ampacity.scenario.limit import Limit
from ampacity.scenario.model import Model
from ampacity.scenario.placement import Placement
from ampacity.scenario.site import Site
from ampacity.scenario.tier import Tier
from ampacity.scenario.value import Noun, PlainSeconds, Share

Named = TypeVar("Named", Accelerator, Contract, Limit, Model, Placement, Site, Tier)


class ServiceLevel(Noun):
    """What a limit promises. hours: share of hours that carry it [0 to 1]; tpot_s: time per output token [s]."""

    hours: Share
    tpot_s: PlainSeconds = Field(0.05, alias="tpot")


class Scenario(Noun):
    """Everything that a plan, a simulation, a live service or a report starts from.

    about: `own` inputs, which the user stands behind, or `public` statements about real organizations, so that answers
    are conditional and say so. start, horizon_days: the days that are planned.
    as_of: what was known that day; None: all that is. worlds: how many draws are made from the ranges.
    accelerators and models: those that are named, from the catalog or the scenario itself.
    """

    name: str
    title: str = ""
    about: Literal["own", "public"] = "own"
    start: date
    horizon_days: int = Field(ge=1)
    as_of: date | None = None
    worlds: int = Field(200, ge=1, le=10_000)
    service_level: ServiceLevel
    accelerators: tuple[Accelerator, ...] = ()
    models: tuple[Model, ...] = ()
    sites: tuple[Site, ...] = ()
    contracts: tuple[Contract, ...] = ()
    placements: tuple[Placement, ...] = ()
    tiers: tuple[Tier, ...] = ()
    limits: tuple[Limit, ...] = ()
    jobs: tuple[Job, ...] = ()
    events: tuple[Event, ...] = ()

    @model_validator(mode="after")
    def _in_our_time(self) -> Self:
        if not 1970 <= self.start.year <= 2200:
            raise PydanticCustomError("mistake.start", "expected a day between the years 1970 and 2200")
        return self

    _source: dict[str, Any] = PrivateAttr(default_factory=dict)

    def accelerator(self, name: str) -> Accelerator:
        """The accelerator of that name. Raises KeyError."""
        return _named(self.accelerators, name)

    def contract(self, name: str) -> Contract:
        """The contract of that name. Raises KeyError."""
        return _named(self.contracts, name)

    def limit(self, name: str) -> Limit:
        """The limit of that name. Raises KeyError."""
        return _named(self.limits, name)

    def model(self, name: str) -> Model:
        """The model of that name. Raises KeyError."""
        return _named(self.models, name)

    def site(self, name: str) -> Site:
        """The site of that name. Raises KeyError."""
        return _named(self.sites, name)

    def tier(self, name: str) -> Tier:
        """The tier of that name. Raises KeyError."""
        return _named(self.tiers, name)

    def replace(self, changes: Mapping[str, object]) -> Scenario:
        """The scenario with some keys changed, as `--set` does: `s.replace({"sites.here.pue": 1.15})`.

        Raises Mistakes, like loading does.
        """
        from ampacity.scenario.load import rebuild

        return rebuild(self, changes)

    def digest(self) -> str:
        """Hash of all that the scenario says, after `extends`, `--set` and `--as-of`: 16 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


def _named(nouns: tuple[Named, ...], name: str) -> Named:
    for noun in nouns:
        if noun.name == name:
            return noun
    raise KeyError(name)
