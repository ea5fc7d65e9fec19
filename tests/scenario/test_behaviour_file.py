"""A tier's behaviour from a file is part of the scenario: found from the file that names it, frozen, in the digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.schema import json_schema
from ampacity.scenario.tier import Behaviour

CONTENT = """about: {source: ours.jsonl}
behaviour:
  name: ours
  uncached_tokens: {value: 100000, low: 90000, high: 120000, unit: token/h, status: derived, source: ours.jsonl}
  output_tokens: {value: OUTPUT, unit: token/h}
fresh: {share: 0.5}
"""
HOUR_S = 3600.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "ours.demand.yaml").write_text(CONTENT.replace("OUTPUT", "50000"))
    (tmp_path / "other.yaml").write_text("behaviour: {output_tokens: 70000 token/h}\n")
    (tmp_path / "lab" / "lab.yaml").write_text(
        "scenario: lab\nextends: laptop\n"
        "tiers: {developers: {behaviour: {like: ours.demand.yaml, active_hours: 20 h/week}}}\n"
    )
    return tmp_path


def own(path: Path | str, **options: Any) -> Behaviour:
    return load(path, **options).tier("developers").behaviour


def per_hour(found: Behaviour) -> tuple[float, float]:
    return (round(found.uncached_per_s.value * HOUR_S), round(found.output_per_s.value * HOUR_S))


def over_lab(folder: Path, behaviour: str) -> Behaviour:
    path = folder / "above.yaml"
    path.write_text(f"scenario: above\nextends: lab/lab.yaml\ntiers: {{developers: {{behaviour: {behaviour}}}}}\n")
    return own(path)


def test_a_tier_takes_the_files_figures_its_own_words_and_the_rest_from_the_catalog(folder: Path) -> None:
    found, catalog = own(folder / "lab" / "lab.yaml"), own("laptop")
    assert per_hour(found) == (100_000, 50_000)
    assert (found.name, found.uncached_per_s.source, found.uncached_per_s.is_range) == ("ours", "ours.jsonl", True)
    assert found.active_share.value == pytest.approx(20 / 168)
    assert (found.cached_per_s, found.context_tokens, found.takers) == (
        catalog.cached_per_s,
        catalog.context_tokens,
        catalog.takers,
    )


def test_what_a_tier_says_goes_before_what_its_file_says(folder: Path) -> None:
    assert per_hour(over_lab(folder, "{output_tokens: 1000 token/h}")) == (100_000, 1_000)


def test_a_path_counts_from_the_file_that_states_it_even_through_extends(folder: Path) -> None:
    found = over_lab(folder, "{active_hours: 10 h/week}")
    assert per_hour(found) == (100_000, 50_000)
    assert found.active_share.value == pytest.approx(10 / 168)


def test_another_file_takes_the_place_of_the_first_whole(folder: Path) -> None:
    catalog = own("laptop")
    found = over_lab(folder, "{like: other.yaml}")
    assert found.output_per_s.value * HOUR_S == pytest.approx(70_000)
    assert found.uncached_per_s == catalog.uncached_per_s


def test_a_behaviour_of_the_catalog_takes_the_place_of_a_file(folder: Path) -> None:
    chat = own("laptop", sets=["tiers.developers.behaviour=chat"])
    assert over_lab(folder, "{like: chat}").output_per_s == chat.output_per_s
    assert over_lab(folder, "chat") == chat


@pytest.mark.parametrize(
    "sets",
    [
        pytest.param(["behaviour=other.yaml"], id="a-file-alone"),
        pytest.param(["behaviour.like=other.yaml"], id="like-over-a-name"),
        pytest.param(["behaviour=other.yaml", "behaviour.shape=flat"], id="then-another-key"),
    ],
)
def test_set_names_a_file_from_the_current_folder(
    folder: Path, sets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    found = own("laptop", sets=[f"tiers.developers.{text}" for text in sets])
    assert found.output_per_s.value * HOUR_S == pytest.approx(70_000)
    assert found.shape == ("flat" if len(sets) == 2 else "office")


def test_one_key_of_a_behaviour_stated_by_its_name_can_be_set() -> None:
    found = own("laptop", sets=["tiers.developers.behaviour=chat", "tiers.developers.behaviour.active_hours=42 h/week"])
    assert (found.name, found.active_share.value) == ("chat", 0.25)


def test_its_content_is_in_the_digest_and_survives_the_file(folder: Path) -> None:
    path, file = folder / "lab" / "lab.yaml", folder / "lab" / "ours.demand.yaml"
    with_it = load(path)
    file.write_text(CONTENT.replace("OUTPUT", "50001"))
    assert load(path).digest() != with_it.digest()
    file.unlink()
    changed = with_it.replace({"sites.here.pue": 1.2})
    assert changed.tier("developers").behaviour == with_it.tier("developers").behaviour


def test_the_files_name_is_not_in_the_digest(folder: Path) -> None:
    path = folder / "lab" / "lab.yaml"
    before = load(path).digest()
    (folder / "lab" / "ours.demand.yaml").rename(folder / "lab" / "renamed.yml")
    path.write_text(path.read_text().replace("ours.demand.yaml", "renamed.yml"))
    assert load(path).digest() == before


def test_the_schema_says_that_like_may_be_a_file() -> None:
    assert "calibrate demand" in json_schema()["$defs"]["Behaviour"]["properties"]["like"]["description"]
