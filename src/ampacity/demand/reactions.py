"""What people and their clients do at a limit: wait, return later, switch model, buy more, leave; and retries.

People's shares are assumptions with ranges (`catalog/demand/reactions.csv`): nobody has published any. What clients do
is read from the SDKs, which the tests run beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.base.streams import uniform
from ampacity.scenario import lookup
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import at

HOUR_MS = 3_600_000

RETRIES = 2
FIRST_DELAY_S, LONGEST_DELAY_S, JITTER = 0.5, 8.0, 0.25
OBEYED_S = {"anthropic": 4_294_967.0, "openai": 120.0}
"""The longest wait that a server can tell: one SDK cuts longer ones to it (2^32 ms), the other ignores them."""


@dataclass(frozen=True)
class Reactions:
    """What becomes of a session that a window stops; shares in [0, 1], what is left of 1 leaves for good.

    wait: goes on when the window returns, if that is within `patience_ms`; else it is one of the next. later: is taken
    up again after the return, on average `delay_ms` after it. switch: goes on with a model that the window does not
    count. buy: goes on at once outside the windows. Raises ValueError with every share that is none.
    """

    wait: float
    later: float
    switch: float
    buy: float
    patience_ms: float = 3.0 * HOUR_MS
    delay_ms: float = 12.0 * HOUR_MS

    def __post_init__(self) -> None:
        named = {name: getattr(self, name) for name in ("wait", "later", "switch", "buy")}
        wrong = [f"{name} is {v:.4g}; expected a share from 0 to 1" for name, v in named.items() if not 0 <= v <= 1]
        if sum(named.values()) > 1 + 1e-9:
            wrong.append(f"the shares sum to {sum(named.values()):.4g}; expected at most 1, the rest leaves")
        wrong += [
            f"{name} is {getattr(self, name):.4g}; expected more than 0"
            for name in ("patience_ms", "delay_ms")
            if not getattr(self, name) > 0
        ]
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def deferred(self) -> float:
        """Share whose work comes back under the windows, sooner or later. [0 to 1]"""
        return self.wait + self.later


NOBODY_RETURNS = Reactions(0.0, 0.0, 0.0, 0.0)


def deferring(share: float) -> Reactions:
    """Reactions in which `share` of the stopped work returns later and the rest is lost."""
    base = stated()
    return Reactions(0.0, share, 0.0, 0.0, base.patience_ms, base.delay_ms)


def stated(seed: int = 1, world: int = 0) -> Reactions:
    """The catalog's assumptions; in a world other than 0 drawn from their ranges as any range is.

    Drawn shares that pass 1 together are scaled down to 1.
    """
    found = {
        name: Value(**{end: claims[-1][end] for end in ("value", "low", "high")})
        for name, claims in lookup.claims("demand/reactions", "population", "subscribers").items()
    }
    drawn = {
        name: at(value, uniform(seed, "reaction", name, world)) if world else value.value
        for name, value in found.items()
    }
    names = ("wait", "later", "switch", "buy")
    most = max(1.0, sum(drawn[name] for name in names))
    wait, later, switch, buy = (drawn[name] / most for name in names)
    return Reactions(wait, later, switch, buy, drawn["patience"] * HOUR_MS, drawn["delay"] * HOUR_MS)


def client_retries(status: int, should_retry: str | None = None) -> bool:
    """Whether an SDK tries again after this status: as the header x-should-retry says, else 408, 409, 429 and 5xx."""
    if should_retry in ("true", "false"):
        return should_retry == "true"
    return status in (408, 409, 429) or status >= 500


def retry_delay_s(retry: int, u: float, retry_after_s: float | None = None, sdk: str = "anthropic") -> float:
    """How long an SDK waits before its retry number `retry` (0 is the first). [s]

    u: a uniform number in [0, 1). What the server tells (retry-after-ms, retry-after) is obeyed; else half a second,
    doubled each time up to eight, less up to a quarter. sdk: `anthropic` or `openai`, both for Python; the latter obeys
    up to two minutes.
    """
    if retry_after_s is not None and retry_after_s > 0 and (sdk == "anthropic" or retry_after_s <= OBEYED_S[sdk]):
        return min(retry_after_s, OBEYED_S[sdk])
    return min(FIRST_DELAY_S * 2.0 ** min(retry, 1000), LONGEST_DELAY_S) * (1.0 - JITTER * u)


def attempts_s(window_returns_s: float, u: tuple[float, ...], *, told: bool, retries: int = RETRIES) -> list[float]:
    """When a client asks whose window returns in `window_returns_s`, from its first request on. [s]

    told: whether the answer carries retry-after. It stops at the first attempt that finds the window returned. A server
    that forbids retries (x-should-retry: false) sees one attempt, which is `retries=0`.
    """
    at = [0.0]
    while at[-1] < window_returns_s and len(at) <= retries:
        left = window_returns_s - at[-1] if told else None
        at.append(at[-1] + retry_delay_s(len(at) - 1, u[(len(at) - 1) % len(u)], left))
    return at
