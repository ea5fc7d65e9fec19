"""Where tokens land: earmarked tiers first, and not a token more or less."""

from __future__ import annotations

import pytest

from ampacity.planner.answer import Answer, answer
from ampacity.planner.earmark import Landing, earmarked, earmarked_share
from ampacity.scenario.load import load


def contract(count: int, *earmark: str) -> dict[str, object]:
    deliveries = [{"site": "here", "accelerator": "h100-sxm", "quantity": count}]
    return {"side": "owner", "start": "2026-11-23", "deliveries": deliveries, "earmark": list(earmark)}


def two(*earmark: str, one: int = 24, other: int = 24) -> Answer:
    s = load("laptop").replace(
        {
            "contracts": {"one": contract(one, *earmark), "other": contract(other)},
            "sites.here.power": None,
            "tiers.tools.people": 40,
            "horizon": "7 d",
        }
    )
    return answer(s, guarantee=False)


def by(landings: tuple[Landing, ...], name: str) -> dict[str, float]:
    return {x.tier: x.tokens for x in landings if x.contract == name}


@pytest.mark.parametrize("earmark", [(), ("developers",), ("tools",), ("developers", "tools")])
def test_tokens_move_between_contracts_and_none_is_made(earmark: tuple[str, ...]) -> None:
    a = two(*earmark)
    found = earmarked(a)
    for tier in a.tiers:
        served = float((tier.uncached_input + tier.cached_input + tier.output).sum())
        assert sum(x.tokens for x in found if x.tier == tier.tier) == pytest.approx(served)
    assert all(x.tokens >= 0 for x in found)


def test_without_an_earmark_equal_contracts_serve_alike() -> None:
    found = earmarked(two())
    assert by(found, "one") == pytest.approx(by(found, "other"))


def test_an_earmark_brings_its_tier_to_its_contract_first() -> None:
    a = two("developers")
    with_it, alike = earmarked(a), earmarked(a, ignore=True)
    assert by(with_it, "one")["developers"] > by(alike, "one")["developers"]
    marked, plain = earmarked_share(with_it, "one"), earmarked_share(alike, "one")
    assert marked is not None and plain is not None and marked > plain


def test_a_contract_that_serves_nothing_has_no_share() -> None:
    assert earmarked_share((), "one") is None
