"""The model as a file: what it says of its source, and mistakes that name the key."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ampacity.demand.agent_model import AgentModel, packaged_model, read_model
from ampacity.demand.goodness import TARGETS
from ampacity.scenario.mistakes import Mistakes


def written(content: object, folder: Path) -> Path:
    out = io.StringIO()
    YAML().dump(content, out)
    path = folder / "mine.demand.yaml"
    path.write_text(out.getvalue())
    return path


def test_the_packaged_model_says_where_it_comes_from_and_how_good_it_is() -> None:
    about = packaged_model().about
    assert "kv-cache-tester" in about["source"] and "Apache-2.0" in about["source"]
    assert about["sessions"] == 530 and about["requests"] == 37_770 and about["fitted_on"]
    found = about["kolmogorov_distance"]
    assert set(found) == set(TARGETS)
    assert all(g["drawn"] <= g["target"] for g in found.values())


def test_a_model_is_itself_again_from_a_file(tmp_path: Path) -> None:
    model = packaged_model()
    assert read_model(written(model.as_dict(), tmp_path)) == model


def test_missing_and_unknown_keys_are_named_at_once(tmp_path: Path) -> None:
    content = packaged_model().as_dict()
    del content["growth"]
    content["gowth"] = 1
    with pytest.raises(Mistakes) as caught:
        read_model(written(content, tmp_path))
    assert "growth is missing" in str(caught.value) and "gowth is unknown" in str(caught.value)


def test_a_part_that_is_wrong_is_named(tmp_path: Path) -> None:
    content = packaged_model().as_dict()
    del content["output"]["mu"]
    with pytest.raises(Mistakes, match="output: mu missing"):
        read_model(written(content, tmp_path))
    content = packaged_model().as_dict()
    del content["context"]["limit"]
    with pytest.raises(Mistakes, match="context: limit is missing"):
        read_model(written(content, tmp_path))


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", "just words\n"])
def test_what_is_no_model_is_refused_in_words(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(Mistakes, match=r"mine\.yaml"):
        read_model(path)


def test_plain_values_are_the_same_after_a_round_trip() -> None:
    content = packaged_model().as_dict()
    assert AgentModel.of(content).as_dict() == content
