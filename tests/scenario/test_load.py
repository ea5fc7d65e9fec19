"""From a file to frozen nouns: `extends`, `--set`, `--as-of`, the catalog by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from ampacity.scenario import lookup
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.pool import pools
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tree import read_tree

Over = Callable[[str], Path]
PRESETS = {
    "2025-08": ("pro", "max-5x", "max-20x"),
    "2026-03-26": ("pro", "max-5x", "max-20x"),
    "2026-05-06": ("pro", "max-5x", "max-20x"),
    "2026-11": ("pro", "max", "ultra"),
}


@pytest.fixture(scope="module")
def laptop() -> Scenario:
    return load("laptop")


def told(path: Path, **how: object) -> list[str]:
    with pytest.raises(Mistakes) as raised:
        load(path, **how)  # type: ignore[arg-type]
    return [f"{m.key}: {m.message}" for m in raised.value.mistakes]


def test_the_laptop_scenario_is_eight_gpus_for_fifty_people(laptop: Scenario) -> None:
    (pool,) = pools(laptop)
    assert (pool.name, pool.deliveries[0].quantity.value) == ("server/here/h100-sxm", 8)
    assert laptop.tier("developers").people.value == 50
    assert (laptop.start, laptop.horizon_days) == (date(2026, 11, 23), 28)
    assert laptop.service_level.hours.value == 0.995
    assert laptop.site("here").power_w == pools(laptop)[0].site.power_w


def test_accelerators_and_models_come_from_the_catalog_by_their_name(laptop: Scenario) -> None:
    flops = laptop.accelerator("h100-sxm").flops("fp8")
    assert flops is not None
    assert 1e15 < flops.value < 3e15
    assert flops.source
    assert laptop.model("llama-3.1-70b").kv_numbers_per_token() == 80 * 2 * 8 * 128


def test_a_file_beside_may_be_named_without_its_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = Path(str(lookup.scenario_path("laptop"))).read_text(encoding="utf-8")
    Path("our-lab.yaml").write_text(text.replace("scenario: laptop", "scenario: our-lab"), encoding="utf-8")
    assert load("our-lab").name == "our-lab"
    with pytest.raises(Mistakes, match="no such file, and no packaged scenario"):
        load("their-lab")


def test_a_name_that_is_not_there_is_a_key_error(laptop: Scenario) -> None:
    for find in (laptop.accelerator, laptop.contract, laptop.limit, laptop.model, laptop.site, laptop.tier):
        with pytest.raises(KeyError):
            find("nowhere")


def test_a_scenario_is_frozen(laptop: Scenario) -> None:
    with pytest.raises(ValidationError):
        laptop.worlds = 3


@pytest.mark.parametrize("name", lookup.scenario_names())
def test_every_packaged_scenario_loads(name: str) -> None:
    assert load(name).name == name


def test_the_presets_of_these_tests_are_those_of_the_catalog() -> None:
    there = {
        name: read_tree(Path(str(lookup.preset_path(name))), name).data["limits"] for name in lookup.preset_names()
    }
    assert {name: tuple(limits) for name, limits in there.items()} == PRESETS


# ---- extends


def test_a_file_beside_another_extends_it_by_its_relative_path(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "one.yaml").write_text("extends: laptop\ntitle: one\nworlds: 7\n")
    (tmp_path / "two.yaml").write_text("extends: base/one.yaml\ntitle: two\n")
    scenario = load(tmp_path / "two.yaml")
    assert (scenario.title, scenario.worlds) == ("two", 7)


def test_three_levels_lie_over_each_other_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("extends: laptop\nsites: {here: {pue: 1.3, place: one}}\n")
    (tmp_path / "two.yaml").write_text("extends: one.yaml\nsites: {here: {place: two}}\n")
    (tmp_path / "three.yaml").write_text("extends: two.yaml\nworlds: 3\n")
    site = load(tmp_path / "three.yaml").site("here")
    assert (site.pue.value, site.place, site.time_zone) == (1.3, "two", "America/Chicago")


def test_a_list_is_replaced_whole(over_laptop: Over) -> None:
    path = over_laptop("contracts: {server: {deliveries: [{site: here, accelerator: h100-sxm, quantity: 16}]}}\n")
    assert [d.quantity.value for d in load(path).contract("server").deliveries] == [16]


def test_null_removes_what_lies_below(over_laptop: Over) -> None:
    assert load(over_laptop("contracts: {server: {fee: null}}\n")).contract("server").fee is None


def test_two_files_in_a_circle_are_shown_with_their_way(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("scenario: one\nextends: two.yaml\n")
    (tmp_path / "two.yaml").write_text("# a comment\nextends: ./one.yaml\n")
    with pytest.raises(Mistakes) as raised:
        load(tmp_path / "one.yaml")
    (mistake,) = raised.value.mistakes
    assert (mistake.file, mistake.line, mistake.key, mistake.found) == ("two.yaml", 2, "extends", "./one.yaml")
    assert mistake.message == "goes round in a circle: one.yaml -> two.yaml -> one.yaml"


def test_a_circle_is_seen_through_another_spelling_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(f"extends: ../{tmp_path.name}/one.yaml\n")
    assert told(tmp_path / "one.yaml") == ["extends: goes round in a circle: one.yaml -> one.yaml"]


def test_a_file_that_is_called_like_the_packaged_one_may_extend_it(tmp_path: Path) -> None:
    (tmp_path / "laptop.yaml").write_text("extends: laptop\nworlds: 5\n")
    assert load(tmp_path / "laptop.yaml").worlds == 5


def test_a_folder_that_is_called_like_a_packaged_scenario_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "laptop").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("laptop").name == "laptop"


def test_a_mistake_below_names_the_file_below(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("extends: laptop\nworlds: none\n")
    (tmp_path / "two.yaml").write_text("extends: one.yaml\nsites: {here: {pue: 0.9}}\n")
    with pytest.raises(Mistakes) as raised:
        load(tmp_path / "two.yaml")
    assert {(m.file, m.line, m.key) for m in raised.value.mistakes} == {
        ("one.yaml", 2, "worlds"),
        ("two.yaml", 2, "sites.here.pue"),
    }


def test_what_is_missing_in_a_replaced_list_is_missing_where_it_was_replaced(over_laptop: Over) -> None:
    path = over_laptop("contracts:\n  server:\n    deliveries:\n      - {site: here, accelerator: h100-sxm}\n")
    with pytest.raises(Mistakes) as raised:
        load(path)
    (mistake,) = raised.value.mistakes
    assert (mistake.file, mistake.line, mistake.key) == ("ours.yaml", 5, "contracts.server.deliveries.0.quantity")


# ---- --set


def test_set_reaches_a_nested_key_and_an_entry_of_a_list() -> None:
    scenario = load("laptop", sets=["sites.here.pue=1.15", "contracts.server.deliveries.0.quantity=16"])
    assert scenario.site("here").pue.value == 1.15
    assert scenario.contract("server").deliveries[0].quantity.value == 16


def test_set_reads_numbers_truths_nothing_and_words() -> None:
    sets = ["worlds=9", "contracts.server.exclusive=true", "contracts.server.fee=null", "title=a = b"]
    scenario = load("laptop", sets=sets)
    contract = scenario.contract("server")
    assert (scenario.worlds, contract.exclusive, contract.fee, scenario.title) == (9, True, None, "a = b")


def test_the_last_set_wins() -> None:
    assert load("laptop", sets=["worlds=9", "worlds=4"]).worlds == 4


def test_set_makes_the_keys_that_are_not_there_yet() -> None:
    assert load("laptop", sets=["contracts.server.take_or_pay=80 %"]).contract("server").take_or_pay is not None


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("worlds", "worlds", "expected KEY=VALUE"),
        ("=3", "=3", "expected KEY=VALUE"),
        ("title.more=3", "title.more", '"title" has no keys'),
        ("title.more.still=3", "title.more.still", '"title" has no keys'),
        ("contracts.server.deliveries.7.quantity=3", "contracts.server.deliveries.7.quantity", "has no keys"),
        ("contracts.server.deliveries.more=3", "contracts.server.deliveries.more", '"deliveries" has no keys'),
        ("sites.here.pue=0.9", "sites.here.pue", "cannot be less than 1"),
        ("wolrds=3", "wolrds", 'the nearest is "worlds"'),
        ("extends=other", "extends", "unknown key"),
    ],
)
def test_a_bad_set_is_a_mistake_of_the_command_line(text: str, key: str, message: str) -> None:
    with pytest.raises(Mistakes) as raised:
        load("laptop", sets=[text])
    (mistake,) = raised.value.mistakes
    assert (mistake.file, mistake.line, mistake.key) == ("--set", 0, key)
    assert message in mistake.message


# ---- as of


LATER = """
contracts:
  late: {start: 2026-12-01, known_since: 2026-11-10, deliveries: [{site: here, accelerator: h200-sxm, quantity: 8}]}
events:
  outage: {kind: outage, date: 2026-12-01, site: here, share: 50 %, duration: 4 h, known_since: 2026-11-20}
"""


def test_contracts_and_events_that_became_known_later_are_left_out(over_laptop: Over) -> None:
    path = over_laptop(LATER)
    by_day = {day: load(path, as_of=day) for day in (None, date(2026, 11, 20), date(2026, 11, 10), date(2026, 11, 9))}
    assert [(len(s.contracts), len(s.events)) for s in by_day.values()] == [(2, 1), (2, 1), (2, 0), (1, 0)]
    assert [a.name for a in by_day[None].accelerators] == ["h100-sxm", "h200-sxm"]


def test_what_names_a_contract_that_was_not_known_yet_says_so(over_laptop: Over) -> None:
    path = over_laptop(LATER + "placements: {more: {model: llama-3.1-70b, contract: late}, code: {contract: server}}\n")
    assert load(path)
    assert any(m.startswith("placements.more.contract: no contract") for m in told(path, as_of=date(2026, 11, 9)))


def test_the_day_is_part_of_the_scenario() -> None:
    then = load("laptop", as_of=date(2026, 5, 6))
    assert then.as_of == date(2026, 5, 6)
    assert then.digest() != load("laptop").digest()


def test_a_catalog_figure_that_may_be_absent_is_absent_before_it_was_known(over_laptop: Over) -> None:
    late = load("laptop").accelerator("h100-sxm").chip_price_usd
    assert late is not None and late.known_since is not None
    early = date(2026, 4, 20)
    assert late.known_since > early
    path = over_laptop("tiers: {developers: {behaviour: {like: chat}}}\n")
    assert load(path, as_of=early).accelerator("h100-sxm").chip_price_usd is None


def test_a_figure_of_ones_own_that_was_not_known_yet_is_a_mistake() -> None:
    with pytest.raises(Mistakes, match="not known on 2026-03-30; first known 2026-03-31"):
        load("laptop", as_of=date(2026, 3, 30))


# ---- names of the catalog


@pytest.mark.parametrize(("preset", "tier"), [(p, t) for p, tiers in PRESETS.items() for t in tiers])
def test_every_tier_of_every_limit_preset_loads_by_its_name(preset: str, tier: str) -> None:
    scenario = load("laptop", sets=[f"tiers.developers.limit={preset}/{tier}"])
    limit = scenario.limit(f"{preset}-{tier}")
    assert scenario.tier("developers").limit == limit.name
    assert limit.windows
    assert all(w.tokens is not None and w.tokens.is_range for w in limit.windows)


def test_the_five_hour_window_doubled_on_6_may_2026() -> None:
    def five_hour(preset: str) -> float:
        limit = load("laptop", sets=[f"tiers.developers.limit={preset}/pro"]).limit(f"{preset}-pro")
        (tokens,) = [w.tokens.value for w in limit.windows if w.name == "five-hour" and w.tokens is not None]
        return tokens

    assert five_hour("2026-05-06") == 2 * five_hour("2026-03-26")


def test_an_event_may_change_a_limit_to_a_preset(over_laptop: Over) -> None:
    path = over_laptop(
        "events: {doubled: {kind: limit-change, date: 2026-12-01, tier: developers, limit: 2026-05-06/pro}}\n"
    )
    scenario = load(path)
    assert scenario.events[0].limit == scenario.limit("2026-05-06-pro").name


def test_a_behaviour_is_like_another_but_for_what_is_said(over_laptop: Over) -> None:
    path = over_laptop("tiers: {developers: {behaviour: {like: chat, active_hours: 42 h/week}}}\n")
    behaviour = load(path).tier("developers").behaviour
    chat = load("laptop", sets=["tiers.developers.behaviour=chat"]).tier("developers").behaviour
    assert behaviour.active_share.value == 0.25
    assert behaviour.output_per_s == chat.output_per_s
    assert behaviour.name == "chat"


@pytest.mark.parametrize("name", lookup.behaviour_names())
def test_every_behaviour_of_the_catalog_can_be_had_by_its_name(name: str) -> None:
    assert load("laptop", sets=[f"tiers.developers.behaviour={name}"]).tier("developers").behaviour.name == name


def test_a_grid_of_the_catalog_gives_its_carbon_intensity() -> None:
    carbon = {g: load("laptop", sets=[f"sites.here.carbon={g}"]).site("here").carbon_g_per_j for g in ("tva", "france")}
    assert all(c is not None for c in carbon.values())
    assert carbon["france"].value < carbon["tva"].value / 3  # type: ignore[union-attr]


@pytest.mark.parametrize("name", lookup.grid_names())
def test_every_grid_of_the_catalog_can_be_had_by_its_name(name: str) -> None:
    assert load("laptop", sets=[f"sites.here.carbon={name}"]).site("here").carbon_g_per_j is not None


def test_an_accelerator_of_ones_own_needs_no_catalog(over_laptop: Over) -> None:
    path = over_laptop(
        "accelerators: {ours: {fp8_dense: 1 PFLOP/s, hbm_size: 96 GB, hbm_bandwidth: 3 TB/s, speed: 0.8}}\n"
        "contracts: {server: {deliveries: [{site: here, accelerator: ours, quantity: 8}]}}\n"
        "placements: {code: {accelerator: ours}}\n"
    )
    assert [a.name for a in load(path).accelerators] == ["ours"]


def test_a_catalog_accelerator_may_be_corrected_in_one_figure() -> None:
    chip = load("laptop", sets=["accelerators.h100-sxm.speed=1.1"]).accelerator("h100-sxm")
    assert chip.speed.value == 1.1
    assert chip.hbm_bytes is not None and chip.hbm_bytes.value == 80e9


def test_a_pool_is_what_one_contract_delivers_of_one_kind_at_one_site(over_laptop: Over) -> None:
    path = over_laptop(
        "contracts:\n"
        "  server:\n"
        "    deliveries:\n"
        "      - {site: here, accelerator: h100-sxm, quantity: 8}\n"
        "      - {site: here, accelerator: h100-sxm, quantity: 4}\n"
        "  sold: {side: lessor, start: 2026-11-23, "
        "deliveries: [{site: here, accelerator: h100-sxm, quantity: 2}]}\n"
    )
    (pool,) = pools(load(path))
    assert [d.quantity.value for d in pool.deliveries] == [8, 4]


# ---- digest and replace


def test_the_digest_stays_while_the_content_stays(over_laptop: Over) -> None:
    once, again = load("laptop").digest(), load("laptop").digest()
    assert once == again == load(over_laptop("# nothing else\n")).digest()
    assert len(once) == 16


@pytest.mark.parametrize(
    "change", ["worlds=201", "sites.here.pue=1.2", "title=other", "limits.team.windows.weekly.anchor.weekday=tue"]
)
def test_the_digest_changes_with_anything_that_changes(change: str) -> None:
    assert load("laptop", sets=[change]).digest() != load("laptop").digest()


def test_a_value_means_the_same_however_it_is_written() -> None:
    one = load("laptop", sets=["contracts.server.deliveries.0.quantity=8 GPUs", "horizon=28 d"])
    assert one.digest() == load("laptop").digest()


def test_replace_does_what_set_does(laptop: Scenario) -> None:
    replaced = laptop.replace({"sites.here.pue": 1.15, "tiers.developers.limit": "2026-05-06/pro"})
    there = load("laptop", sets=["sites.here.pue=1.15", "tiers.developers.limit=2026-05-06/pro"])
    assert replaced.digest() == there.digest()
    assert laptop.site("here").pue.value == 1.25


def test_replace_can_be_repeated_and_keeps_the_day() -> None:
    then = load("laptop", as_of=date(2026, 11, 1)).replace({"worlds": 5}).replace({"title": "more"})
    assert (then.worlds, then.title, then.as_of) == (5, "more", date(2026, 11, 1))


def test_a_bad_replacement_is_a_mistake(laptop: Scenario) -> None:
    with pytest.raises(Mistakes, match="cannot be less than 1"):
        laptop.replace({"sites.here.pue": 0.5})


# ---- horizon


@pytest.mark.parametrize(
    ("horizon", "days"),
    [
        ("1 d", 1),
        ("28 days", 28),
        ("4 weeks", 28),
        ("1 month", 30),
        ("3 months", 92),
        ("1 year", 365),
        ("20 years", 7305),
    ],
)
def test_a_horizon_of_months_counts_calendar_months_from_the_start(horizon: str, days: int) -> None:
    assert load("laptop", sets=[f"horizon={horizon}"]).horizon_days == days


def test_a_claim_laid_over_another_replaces_it_with_its_source(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: laptop\nscenario: mine\nsites: {here: {pue: {value: 1.1}}}\n")
    pue = load(path).site("here").pue
    assert (pue.value, pue.low, pue.high, pue.reason) == (1.1, None, None, "")


@pytest.mark.parametrize(
    "text", ["sites.heer.pue=1.15", "tiers.peopel.people=3", "limits.team.windows.fivehour.tokens=3M"]
)
def test_a_set_that_names_nothing_that_is_there_is_a_mistake(text: str) -> None:
    with pytest.raises(Mistakes, match="nothing of that name to change"):
        load("laptop", sets=[text])


def test_memory_below_hbm_is_said_beside_each_accelerator_and_may_be_a_range(over_laptop: Over) -> None:
    text = "host_kv: {low: 100 GB, high: 400 GB}, store_kv: 2 TB, store_kv_bandwidth: 5 GB/s"
    (p,) = load(over_laptop(f"placements: {{code: {{{text}}}}}")).placements
    assert p.host_kv is not None
    assert (p.host_kv.low, p.host_kv.value, p.host_kv.high) == (100e9, pytest.approx(200e9), 400e9)
    assert p.host_kv_bandwidth is None
    assert p.store_kv is not None
    assert p.store_kv_bandwidth is not None
    assert (p.store_kv.value, p.store_kv_bandwidth.value) == (2e12, 5e9)


def test_memory_below_hbm_and_its_bandwidth_belong_together(over_laptop: Over) -> None:
    (both,) = told(over_laptop("placements: {code: {host_kv_bandwidth: 25 GB/s, store_kv: 1 TB}}"))
    assert "host_kv_bandwidth without host_kv: state how much memory there is" in both
    assert "store_kv without store_kv_bandwidth" in both
    (unit,) = told(over_laptop("placements: {code: {host_kv: 25 GB/s}}"))
    assert "host_kv" in unit
    (slow,) = told(over_laptop("placements: {code: {host_kv: 25 GB, host_kv_bandwidth: 1 kB/s}}"))
    assert "host_kv_bandwidth" in slow
    assert "less than" in slow


def test_bounds_of_the_engine_are_stated_together_or_alone_and_agree(over_laptop: Over) -> None:
    (p,) = load(over_laptop("placements: {code: {max_sequences: 128, token_budget: 2048}}")).placements
    assert (p.max_sequences, p.token_budget) == (128, 2048)
    (wrong,) = told(over_laptop("placements: {code: {max_sequences: 512, token_budget: 256}}"))
    assert "max_sequences 512 above token_budget 256: an iteration has a token of every sequence" in wrong
    (none,) = told(over_laptop("placements: {code: {max_sequences: 0}}"))
    assert "max_sequences" in none


def test_every_mistake_in_how_replicas_follow_the_load_is_told_at_once(over_laptop: Over) -> None:
    wrong = "placements: {code: {follows_load: {target: 0, start: 20 d, calm: -1 min, lest: 2}}}"
    said = " ".join(told(over_laptop(wrong)))
    for words in ("target: expected at least 1", "start: expected at most a day", "below zero", 'nearest is "least"'):
        assert words in said
    (zero,) = told(over_laptop("placements: {code: {follows_load: {target: 6, start: 0 s}}}"))
    assert "follows_load.start" in zero
