"""Terms of packaged scenarios: what stands in a file is what is enforced."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ampacity.console.terms import DEFAULT, UNLIMITED, live_terms, pool_names, serving_in
from ampacity.gateway.pools import key_of
from ampacity.policy.book import compile_book
from ampacity.policy.rows import AT_INSTANTS
from ampacity.policy.rows import UNLIMITED as WITHOUT_BOUND
from ampacity.policy.terms import Terms, terms_of
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.scenario import Scenario


def emulated(s: Scenario) -> Terms:
    urls = {(v.pool, v.placement.name): f"http://127.0.0.1:{9000 + i}" for i, v in enumerate(serving_in(s))}
    return live_terms(s, emulated=urls)


@pytest.fixture(scope="module")
def laptop() -> Scenario:
    return load("laptop")


@pytest.mark.parametrize("name", ["laptop", "lessor", "colossus-1", "orbital-gigawatt"])
def test_a_packaged_scenario_has_terms_that_can_be_kept(name: str) -> None:
    s = load(name)
    found = terms_of(emulated(s).text())
    compile_book(found.limits, tuple(service.alias for service in found.services), found.products)
    assert [tier.name for tier in found.tiers] == [tier.name for tier in s.tiers]
    assert all(rule.size < WITHOUT_BOUND for tier in found.tiers for rule in found.limits[tier.limit])


def test_windows_without_a_size_have_the_plans(laptop: Scenario) -> None:
    from ampacity.planner.answer import answer
    from ampacity.reporting.simulated import limits_of

    planned = limits_of(answer(laptop))["developers"]
    sizes = {rule.name: rule.size / 1000 for rule in emulated(laptop).limits["team"]}
    assert sizes == pytest.approx(planned, rel=1e-6)


def test_a_tier_without_a_limit_has_one_without_windows_and_api_customers_go_first(laptop: Scenario) -> None:
    developers, tools = emulated(laptop).tiers
    assert (developers.limit, tools.limit) == ("team", UNLIMITED)
    assert (developers.rank, tools.rank) == (0, 1)


def test_the_one_model_of_a_scenario_answers_to_default(laptop: Scenario) -> None:
    assert emulated(laptop).aliases() == {"llama-3.1-70b": "llama-3.1-70b", DEFAULT: "llama-3.1-70b"}
    named = emulated(load("laptop", sets=["placements.code.alias=coder"]))
    assert named.aliases() == {"coder": "coder", DEFAULT: "coder", "llama-3.1-70b": "coder"}


def test_windows_of_a_model_count_what_clients_ask_for_it_by() -> None:
    s = load("laptop", sets=["placements.code.alias=coder"])
    s = s.replace({"limits.team.windows.weekly.models": ["llama-3.1-70b"]})
    windows = {rule.name: rule.families for rule in emulated(s).limits["team"]}
    assert windows == {"five-hour": None, "weekly": ("coder",)}


def test_weekly_resets_are_known_a_year_ahead_and_the_same_all_month(laptop: Scenario) -> None:
    now_s = 1_800_000_000.0
    found = live_terms(laptop, emulated=_at(laptop), now_s=now_s)
    (weekly,) = (rule for rule in found.limits["team"] if rule.refill == AT_INSTANTS)
    assert weekly.instants_ms[-1] > (now_s + 365 * 86_400) * 1000
    assert live_terms(laptop, emulated=_at(laptop), now_s=now_s + 86_400).text() == found.text()


def _at(s: Scenario) -> dict[tuple[str, str], str]:
    return {(v.pool, v.placement.name): "http://127.0.0.1:9000" for v in serving_in(s)}


def test_a_capped_tier_has_what_the_plan_gives_it_hour_by_hour() -> None:
    from ampacity.planner.answer import answer
    from ampacity.planner.curves import curves

    s = load("laptop", sets=["tiers.tools.capped=true"])
    (cap,) = emulated(s).caps
    (planned,) = (c for c in curves(answer(s)) if c.tier == "tools")
    assert (cap.tier, cap.pool, cap.uncached_input) == ("tools", "llama-3.1-70b", planned.uncached_input)


def test_a_pool_without_an_endpoint_is_a_mistake_that_says_what_to_do(laptop: Scenario) -> None:
    with pytest.raises(Mistakes, match=r"placements\.code\.endpoint\n.*--emulate"):
        live_terms(laptop)


def test_a_key_that_is_not_in_the_environment_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = ["placements.code.endpoint=http://10.0.0.5:8000/v1", "placements.code.key_env=POOL_KEY_OF_A_TEST"]
    s = load("laptop", sets=sets)
    with pytest.raises(Mistakes, match="export POOL_KEY_OF_A_TEST"):
        live_terms(s)
    monkeypatch.setenv("POOL_KEY_OF_A_TEST", "secret")
    (pool,) = live_terms(s).services[0].pools
    assert (pool.url, pool.key_env) == ("http://10.0.0.5:8000", "POOL_KEY_OF_A_TEST")
    assert "secret" not in live_terms(s).text()


def test_a_key_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sets = ["placements.code.endpoint=http://10.0.0.5:8000/v1", "placements.code.key_file=~/key"]
    s = load("laptop", sets=sets)
    with pytest.raises(Mistakes, match=r"placements\.code\.key_file.*\n.*its key should stand in .*key: No such file"):
        live_terms(s)
    (tmp_path / "key").write_text("two\nlines")
    with pytest.raises(Mistakes, match="is no key"):
        live_terms(s)
    (tmp_path / "key").write_text("secret\n")
    (pool,) = live_terms(s).services[0].pools
    assert pool.key_file == str(tmp_path / "key") and key_of(pool) == b"secret"
    assert "secret" not in live_terms(s).text()


def test_two_placements_on_one_pool_have_names_of_their_own(laptop: Scenario) -> None:
    (one,) = serving_in(laptop)
    assert pool_names([one]) == {(one.pool, "code"): one.pool}
    other = one.placement.model_copy(update={"name": "chat"})
    from dataclasses import replace

    assert set(pool_names([one, replace(one, placement=other)]).values()) == {f"{one.pool}/code", f"{one.pool}/chat"}


def test_terms_take_seconds_not_minutes(laptop: Scenario) -> None:
    began = time.process_time()
    emulated(laptop)
    assert time.process_time() - began < 10
