"""A limit is data: a list of windows, possibly none. What decides with them is in `policy/`."""

from __future__ import annotations

from datetime import time
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.value import Count, Factor, Noun, PlainSeconds, Tokens

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Refill = Literal["at-first-use", "at-instants", "evenly", "never", "in-flight"]


class TokenWeights(Noun):
    """What a token of each kind counts against the window. Plain numbers, >= 0; all 1 counts every token once."""

    uncached_input: float = Field(1.0, ge=0)
    cache_write: float = Field(1.0, ge=0)
    cache_read: float = Field(1.0, ge=0)
    output: float = Field(1.0, ge=0)


class Anchor(Noun):
    """The local time of the week at which a window that refills at instants starts anew."""

    weekday: Weekday = "mon"
    at: time = Field(time(0), alias="time")
    time_zone: str = "UTC"


class PeakHours(Noun):
    """Local hours in which use counts `multiplier` times. [>= 1]"""

    multiplier: Factor
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    begin: time = Field(alias="from")
    end: time = Field(alias="to")
    time_zone: str = "UTC"


class Window(Noun):
    """One store of tokens, or of requests: so many in so long, and how they come back.

    length_s: how long a window is [s]; for `never` and `in-flight`, 0.
    refill: `at-first-use` all of it, one length after the first use; `at-instants` all of it, at the anchor's times;
    `evenly` a token bucket; `never` a credit; `in-flight` each request when its answer ends.
    tokens: weighted tokens that it holds; absent means: let `plan` find the largest. requests: it counts requests
    instead, and holds so many; `plan` leaves it out, for it shapes seconds or counts what no demand is known of.
    models: families that it counts, products: what people use them through; or `all`.
    weights: see TokenWeights. peak: see PeakHours.
    overflow: what may pass beyond the size, as a share of it, and passing: which share of the requests there does.
    """

    name: str
    length_s: PlainSeconds = Field(0.0, alias="length")
    refill: Refill = "at-first-use"
    anchor: Anchor | None = None
    tokens: Tokens | None = None
    requests: Count | None = None
    models: tuple[str, ...] | Literal["all"] = "all"
    products: tuple[str, ...] | Literal["all"] = "all"
    weights: TokenWeights = TokenWeights()
    peak: PeakHours | None = None
    overflow: float = Field(0.0, ge=0, le=1)
    passing: float = Field(1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.refill in ("never", "in-flight"):
            if self.refill == "in-flight" and self.requests is None:
                raise PydanticCustomError("mistake.requests", "a window of what is in flight states its requests")
            if self.tokens is None and self.requests is None:
                raise PydanticCustomError("mistake.tokens", "a credit that never refills states its tokens")
        elif self.length_s <= 0:
            raise PydanticCustomError("mistake.length", 'a window that refills has a length, such as "5 h"')
        if self.anchor is not None and self.refill != "at-instants":
            raise PydanticCustomError("mistake.anchor", "only a window that refills at-instants has an anchor")
        if self.refill == "at-instants" and self.length_s != 7 * 86400:
            raise PydanticCustomError("mistake.length", "windows that refill at instants are weekly: length 7 d")
        if max(self.weights.uncached_input, self.weights.cache_read, self.weights.output) <= 0:
            raise PydanticCustomError("mistake.weights", "with all weights zero nothing would ever count")
        if self.passing < 1 and self.overflow == 0:
            raise PydanticCustomError("mistake.passing", "nothing passes without an overflow; state both or none")
        return self

    @model_validator(mode="after")
    def _counts_one_thing(self) -> Self:
        if self.requests is not None:
            if self.tokens is not None:
                raise PydanticCustomError("mistake.requests", "a window counts tokens or requests, not both")
            for field in ("weights", "peak"):
                if getattr(self, field) != Window.model_fields[field].default:
                    raise PydanticCustomError(f"mistake.{field}", "a window that counts requests counts each once")
        return self


class Limit(Noun):
    """The windows that one subscriber must all pass. No window: no limit."""

    name: str
    windows: tuple[Window, ...] = ()

    def counting(self, model: str, family: str | None, *, requests: bool = False) -> Limit | None:
        """The limit with those windows that count tokens of a model or its family; None if there is none.

        requests: with those that count its requests too.
        """
        counted = [w for w in self.windows if requests or w.requests is None]
        own = tuple(w for w in counted if w.models == "all" or {model, family} & set(w.models))
        return self.model_copy(update={"windows": own}) if own else None
