"""What a million tokens of each kind take of a replica at work: accelerator-seconds, money, energy; and tokens per MW.

An iteration's time is booked where it arises. Prompts bear what iterations take longer for them, decoding the rest.
Tokens found in the prefix cache bear that part of prefill attention in which new tokens look back at them, and their
share of the cache that decoding reads; uncached input bears its share of that reading too; the rest is output's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ampacity.inference.candidates import ESSENTIAL, USEFUL, precisions
from ampacity.inference.steady import Steady, steady
from ampacity.inference.survey import Operation
from ampacity.inference.work import Array, ideal
from ampacity.physics.power import accelerator_power_w, server_power_w
from ampacity.scenario.accelerator import Accelerator

KINDS = ("uncached_input", "cached_input", "output")
POWERS = {"facility_w": "facility", "it_w": "IT", "server_w": "server", "tdp_w": "chip"}
"""Nameplate powers in the order in which they are looked for: a megawatt that is signed is one at the facility."""
PRICES = {
    "rental_1yr_usd_per_s": "1-year contract",
    "rental_3yr_usd_per_s": "3-year rental",
    "own_neocloud_usd_per_s": "cost of ownership, neocloud",
    "own_hyperscaler_usd_per_s": "cost of ownership, hyperscaler",
}
"""Prices in the order in which they are looked for."""
PREFILL_ATTENTION, KV_READ, KV_COMPUTE = 6, 4, 5
"""Places of these paths in `work.PATHS`."""


@dataclass(frozen=True)
class Phase:
    """Shares of a phase's time, each 0 to 1: arithmetic at peak (MFU), bytes at bandwidth (MBU), the larger of both
    step by step (useful)."""

    mfu: float
    mbu: float
    useful: float


@dataclass(frozen=True)
class TokenCost:
    """Of a replica at work. Every mapping has a figure for each of KINDS, 0 where the load has no such token.

    chip_s: accelerator-seconds of a million tokens. usd: their price, and price_basis: of which contract. energy_j:
    of servers in use, by phase. None where a figure of the chip is not known.
    tokens_per_s_per_mw: output tokens for a megawatt of nameplate on power_basis. prefill_share: of the time [0 to 1].
    """

    chip_s: dict[str, float]
    usd: dict[str, float] | None
    price_basis: str
    energy_j: dict[str, float] | None
    tokens_per_s_per_mw: float | None
    power_basis: str
    prefill_share: float


def token_cost(o: Operation, chip: Accelerator, price: str | None = None) -> TokenCost:
    """The cost of a million tokens of each kind, at full load. price: one of PRICES; absent: the first known."""
    at = steady(o.step, o.load, float(o.requests))
    prompt, decode = _booked(o, at)
    total = sum(prompt.values()) + sum(decode.values())
    per_request = o.replica.accelerators / float(at.requests_per_s)
    tokens = _tokens(o)
    rate, basis = price_usd_per_s(chip, price)
    power, power_basis = nameplate_w(chip)
    drawn = _drawn_w(chip)

    def per_million(kind: str, of_prompt: float, of_decode: float) -> float:
        if not tokens[kind]:
            return 0.0
        spent = prompt.get(kind, 0.0) * of_prompt + decode.get(kind, 0.0) * of_decode
        return per_request * spent / total / tokens[kind] * 1e6

    chip_s = {kind: per_million(kind, 1.0, 1.0) for kind in KINDS}
    return TokenCost(
        chip_s=chip_s,
        usd=None if rate is None else {kind: rate * x for kind, x in chip_s.items()},
        price_basis=basis,
        energy_j=None if drawn is None else {kind: per_million(kind, *drawn) for kind in KINDS},
        tokens_per_s_per_mw=None if power is None else o.tokens_per_s_per_chip / power * 1e6,
        power_basis=power_basis,
        prefill_share=sum(prompt.values()) / total,
    )


def phases(o: Operation) -> dict[str, Phase]:
    """MFU, MBU and useful share of decoding, of prompts alone, and of the mix that the replica runs."""
    at = steady(o.step, o.load, float(o.requests))
    _, _, p, a = at.prefill
    alone_s = o.step.seconds(0.0, 0.0, p, a)
    found = {
        "decode": _phase(*o.step.roofline(*at.decode), at.decode_s),
        "prefill": _phase(*o.step.roofline(0.0, 0.0, p, a), alone_s),
    }
    often = np.minimum(at.prompt_share, 1.0) if o.load.mixed else at.prompt_share
    plain = 1 - often if o.load.mixed else np.ones_like(often)
    spent = plain * at.decode_s + often * at.prefill_s
    one, other = o.step.roofline(*at.decode), o.step.roofline(*at.prefill)
    compute, memory = (plain * x + often * y for x, y in zip(one, other, strict=True))
    useful = plain * np.maximum(*one) + often * np.maximum(*other)
    return {**found, "all": Phase(*(float(x / spent) for x in (compute, memory, useful)))}


def price_usd_per_s(chip: Accelerator, price: str | None = None) -> tuple[float | None, str]:
    """A price of a chip, or the first that is known, and of what contract. [USD/s]"""
    for name, words in PRICES.items():
        if price in (None, name) and (found := getattr(chip, name)) is not None:
            return found.value, words
    return None, "not known"


def shared_price(chips: Sequence[Accelerator]) -> str | None:
    """The first of PRICES that is known of all those chips of which any is; None if there is no such price."""
    priced = [chip for chip in chips if has_price(chip)]
    return next((name for name in PRICES if priced and all(getattr(chip, name) is not None for chip in priced)), None)


def not_known(chip: Accelerator) -> list[str]:
    """Figures of a chip that nobody states and that an answer would use, in words."""
    words = {**ESSENTIAL, **USEFUL}
    found = [word for name, word in words.items() if getattr(chip, name) is None]
    return (found if precisions(chip) else [*found, "peak arithmetic"]) + ([] if has_price(chip) else ["price"])


def has_price(chip: Accelerator) -> bool:
    """Whether any price of an hour of the chip is known."""
    return any(getattr(chip, name) is not None for name in PRICES)


def nameplate_w(chip: Accelerator) -> tuple[float | None, str]:
    """Nameplate power per chip nearest to the facility's meter, and on which basis. [W]"""
    for name, words in POWERS.items():
        if (found := getattr(chip, name)) is not None:
            return found.value, words
    return None, "not known"


def _phase(compute: Array, memory: Array, spent: Array) -> Phase:
    return Phase(float(compute / spent), float(memory / spent), float(np.maximum(compute, memory) / spent))


def _tokens(o: Operation) -> dict[str, int]:
    """Tokens of a request by kind."""
    own = (o.load.uncached_tokens, o.load.cached_tokens, o.load.output_tokens)
    return dict(zip(KINDS, own, strict=True))


def _booked(o: Operation, at: Steady) -> tuple[dict[str, float], dict[str, float]]:
    """Mean time of an iteration by kind of token: what is prompts' and what is decoding's. [s]"""
    b, k, _, a = at.prefill
    often = float(at.prompt_share)
    beside_s = float(o.step.seconds(b, k)) if float(b) > 0 else 0.0
    prompts_s = often * max(float(at.prefill_s) - beside_s, 0.0)
    if o.load.mixed:
        decode_s = (1 - min(often, 1.0)) * float(at.decode_s) + min(often, 1.0) * beside_s
    else:
        decode_s = float(at.decode_s)
    cost = [x / o.step.speed for x in o.coefficients.cost]
    looking_s = often * float(ideal(o.replica, 0.0, 0.0, 0.0, a)[PREFILL_ATTENTION]) * cost[PREFILL_ATTENTION]
    back = o.load.cached_tokens / (o.load.cached_tokens + o.load.uncached_tokens / 2)
    read = ideal(o.replica, *at.decode)
    reading_s = min(max(float(read[i]) * cost[i] for i in (KV_READ, KV_COMPUTE)), decode_s)
    of_cached, of_uncached = (n / o.load.mean_context for n in (o.load.cached_tokens, o.load.uncached_tokens))
    cached_prompt_s = min(looking_s * back, prompts_s)
    prompt = {"uncached_input": prompts_s - cached_prompt_s, "cached_input": cached_prompt_s}
    decode = {"uncached_input": reading_s * of_uncached, "cached_input": reading_s * of_cached}
    decode["output"] = decode_s - sum(decode.values())
    return prompt, decode


def _drawn_w(chip: Accelerator) -> tuple[float, float] | None:
    """Power of a server per chip while its chips prefill, and while they decode. [W]"""
    if chip.tdp_w is None:
        return None
    tdp = chip.tdp_w.value
    nameplate = chip.server_w.value if chip.server_w is not None else tdp
    prefill, decode = (server_power_w(accelerator_power_w(tdp, x, 1 - x), tdp, nameplate) for x in (1.0, 0.0))
    return float(prefill), float(decode)
