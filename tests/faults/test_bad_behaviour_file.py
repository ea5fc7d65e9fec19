"""Files of a fitted behaviour that are missing, damaged or of something else: every mistake told where it stands."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistake, Mistakes

GOOD = """about: {source: own.csv}
behaviour:
  name: own
  uncached_tokens:
    value: 100000
    unit: token/h
    known_since: '2026-11-22'
  output_tokens: 30000 token/h
"""


def scenario(folder: Path, content: str | bytes | None, more: str = "") -> Path:
    if content is not None:
        (folder / "own.demand.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    path = folder / "lab.yaml"
    path.write_text(
        f"scenario: lab\nextends: laptop\ntiers:\n  developers:\n    behaviour:\n      like: own.demand.yaml\n{more}"
    )
    return path


def mistakes(path: Path, as_of: date | None = None) -> tuple[Mistake, ...]:
    with pytest.raises(Mistakes) as told:
        load(path, as_of=as_of)
    return told.value.mistakes


@pytest.mark.parametrize(
    ("content", "file", "line", "key", "words"),
    [
        pytest.param(None, "lab.yaml", 6, "behaviour.like", "no such file; `ampacity calibrate demand", id="missing"),
        pytest.param("", "lab.yaml", 6, "behaviour.like", "empty; a fit of demand begins with", id="empty"),
        pytest.param(b"\xff\xfe", "lab.yaml", 6, "behaviour.like", "not UTF-8", id="not-text"),
        pytest.param("- a\n", "own.demand.yaml", 1, "file", "a fit of demand is a mapping", id="a-list"),
        pytest.param("a: [1\n", "own.demand.yaml", 2, "YAML", "not readable", id="no-yaml"),
        pytest.param("kind: serving\n", "lab.yaml", 6, "behaviour.like", "no section `behaviour`", id="another-kind"),
        pytest.param("a: 1\nbehaviour:\n", "own.demand.yaml", 2, "behaviour", "expected keys such as", id="hollow"),
        pytest.param("behaviour: 12\n", "own.demand.yaml", 1, "behaviour", "expected keys such as", id="a-number"),
        pytest.param(
            GOOD.replace("30000 token/h", "30 kg"), "own.demand.yaml", 8, "output_tokens", "a mass where", id="unit"
        ),
        pytest.param(
            GOOD.replace("token/h\n    known", "W\n    known"),
            "own.demand.yaml",
            4,
            "uncached_tokens",
            "a power where",
            id="unit-of-a-claim",
        ),
        pytest.param(
            GOOD.replace("output_tokens", "outptu_tokens"),
            "own.demand.yaml",
            8,
            "outptu_tokens",
            'nearest is "output_tokens"',
            id="unknown-key",
        ),
        pytest.param(
            GOOD.replace("30000", ".nan"),
            "own.demand.yaml",
            8,
            "output_tokens",
            "text that is no quantity",
            id="no-number",
        ),
        pytest.param(
            GOOD.replace("30000", "-1"), "own.demand.yaml", 8, "output_tokens", "cannot be below zero", id="negative"
        ),
    ],
)
def test_every_mistake_stands_in_its_own_file_and_line(
    tmp_path: Path, content: str | bytes | None, file: str, line: int, key: str, words: str
) -> None:
    (found,) = mistakes(scenario(tmp_path, content))
    assert (found.file, found.line) == (file, line)
    assert found.key.endswith(key)
    assert words in found.message


def test_what_the_scenario_says_itself_is_wrong_in_the_scenario(tmp_path: Path) -> None:
    (found,) = mistakes(scenario(tmp_path, GOOD, "      output_tokens: 30 kg\n"))
    assert (found.file, found.line) == ("lab.yaml", 7)


def test_a_fit_is_not_known_before_its_day(tmp_path: Path) -> None:
    (found,) = mistakes(scenario(tmp_path, GOOD), date(2026, 5, 6))
    assert (found.file, found.line) == ("own.demand.yaml", 4)
    assert "not known on 2026-05-06; first known 2026-11-22" in found.message


def test_mistakes_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(scenario(tmp_path, GOOD.replace("30000", "-1"), "sites: {here: {power: 300 kg}}\n"))
    assert {(m.file, m.key) for m in found} == {
        ("lab.yaml", "sites.here.power"),
        ("own.demand.yaml", "tiers.developers.behaviour.output_tokens"),
    }


def test_a_missing_file_hides_no_other_mistake(tmp_path: Path) -> None:
    assert len(mistakes(scenario(tmp_path, None, "sites: {here: {power: 300 kg}}\n"))) == 2


@pytest.mark.parametrize("stated", ["/.yaml", "a\0b.yaml", "x" * 5000 + ".yaml"])
def test_a_path_that_leads_to_no_file_is_a_mistake(stated: str) -> None:
    with pytest.raises(Mistakes, match="no such file"):
        load("laptop", sets=[f"tiers.developers.behaviour={stated}"])
