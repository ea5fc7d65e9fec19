"""Files that a scenario names, missing, damaged or of something else: every mistake told where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistake, Mistakes


@dataclass(frozen=True)
class Named:
    """A file, what it holds when it is good, and where the scenario names it: `name_key` on `line`, for `key`."""

    file: str
    good: str
    opening: str
    key: str
    name_key: str
    line: int
    damage: tuple[str, str]
    damaged_key: str
    missing: str

    def scenario(self, folder: Path, content: str | bytes | None, more: str = "") -> Path:
        """A scenario that names the file with this content, or no such file; `more` follows the line of the name."""
        if content is not None:
            (folder / self.file).write_bytes(content.encode() if isinstance(content, str) else content)
        path = folder / "lab.yaml"
        path.write_text(f"scenario: lab\nextends: laptop\n{self.opening}: {self.file}\n{more}", encoding="utf-8")
        return path


BEHAVIOUR = Named(
    file="own.demand.yaml",
    good="""about: {source: own.csv}
behaviour:
  name: own
  uncached_tokens:
    value: 100000
    unit: token/h
    known_since: '2026-11-22'
  output_tokens: 30000 token/h
""",
    opening="tiers:\n  developers:\n    behaviour:\n      like",
    key="tiers.developers.behaviour",
    name_key="tiers.developers.behaviour.like",
    line=6,
    damage=("30000", "-1"),
    damaged_key="tiers.developers.behaviour.output_tokens",
    missing="no such file; `ampacity calibrate demand TRACE` writes it",
)
CALIBRATION = Named(
    file="ours.yaml",
    good="""kind: serving
date: 2026-11-22
sources: ["own.csv"]
points: 4
left_out: 1
model: llama-3.1-70b
accelerator: h100-sxm
engine: vllm
version: "0.19.0"
catalog: "12345678"
precision: fp8
kv_precision: fp8
layout: "TP4"
tpot: {before: 0.31, after: 0.05, left_out: 0.09}
ttft: {before: 0.31, after: 0.12}
shifts: {all: 0.2, dense_memory: -0.05}
""",
    opening="placements:\n  code:\n    calibration",
    key="placements.code.calibration",
    name_key="placements.code.calibration",
    line=5,
    damage=("points: 4", "points: x"),
    damaged_key="placements.code.calibration.points",
    missing="no such file; `ampacity calibrate serving` writes such a file",
)


def short(value: object) -> str:
    return value.file if isinstance(value, Named) else ascii(value)[:20]


BOTH = pytest.mark.parametrize("named", [BEHAVIOUR, CALIBRATION], ids=short)

# What no text, or none that is YAML, is told as: of either file, on the line that names it or on its own.
NO_TEXT: list[tuple[Named, str | bytes | None, str]] = [
    (BEHAVIOUR, None, BEHAVIOUR.missing),
    (BEHAVIOUR, "", "empty; a fit of demand begins with"),
    (BEHAVIOUR, b"\xff\xfe", "not UTF-8"),
    (BEHAVIOUR, "kind: serving\n", "no section `behaviour`"),
    (CALIBRATION, None, CALIBRATION.missing),
    (CALIBRATION, "", "empty; a calibration begins with"),
    (CALIBRATION, b"\xff\xfe", "not UTF-8"),
]
WRONG_INSIDE: list[tuple[Named, str, int, str, str]] = [
    (BEHAVIOUR, "- a\n", 1, "file", "a fit of demand is a mapping"),
    (BEHAVIOUR, "a: [1\n", 2, "YAML", "not readable"),
    (BEHAVIOUR, "a: 1\nbehaviour:\n", 2, "behaviour", "expected keys such as"),
    (BEHAVIOUR, "behaviour: 12\n", 1, "behaviour", "expected keys such as"),
    (CALIBRATION, "- a\n", 1, "file", "a calibration is a mapping"),
    (CALIBRATION, "a: [1\n", 2, "YAML", "not readable"),
]
# One word of a good file replaced by another.
WRONG_WORD: list[tuple[Named, str, str, int, str, str]] = [
    (BEHAVIOUR, "30000 token/h", "30 kg", 8, "output_tokens", "a mass where"),
    (BEHAVIOUR, "token/h\n    known", "W\n    known", 4, "uncached_tokens", "a power where"),
    (BEHAVIOUR, "output_tokens", "outptu_tokens", 8, "outptu_tokens", 'nearest is "output_tokens"'),
    (BEHAVIOUR, "30000", ".nan", 8, "output_tokens", "text that is no quantity"),
    (BEHAVIOUR, "30000", "-1", 8, "output_tokens", "cannot be below zero"),
    (CALIBRATION, "all:", "al:", 16, "shifts.al", 'nearest is "all"'),
    (CALIBRATION, "0.2,", "lots,", 16, "shifts.all", "expected a number"),
    (CALIBRATION, "0.2,", ".nan,", 16, "shifts.all", "finite"),
    (CALIBRATION, "0.2,", "9.0,", 16, "shifts.all", "5"),
    (CALIBRATION, "points: 4", "points: 0", 4, "points", "1"),
    (CALIBRATION, "2026-11-22", "soon", 2, "date", "expected a day"),
    (CALIBRATION, "70b", "8b", 6, "model", "the placement has model llama-3.1-70b"),
    (CALIBRATION, "h100", "h200", 7, "accelerator", "the placement stands on h100-sxm"),
    (CALIBRATION, "vllm", "sglang", 8, "engine", "the placement has engine vllm"),
    (CALIBRATION, "precision: fp8\nkv", "precision: bf16\nkv", 11, "precision", "fp8"),
]


def mistakes(path: Path | str, as_of: date | None = None, sets: tuple[str, ...] = ()) -> tuple[Mistake, ...]:
    with pytest.raises(Mistakes) as told:
        load(path, as_of=as_of, sets=sets)
    return told.value.mistakes


def only(found: tuple[Mistake, ...]) -> Mistake:
    (mistake,) = found
    return mistake


@BOTH
def test_a_good_one_loads(tmp_path: Path, named: Named) -> None:
    s = load(named.scenario(tmp_path, named.good))
    if named is BEHAVIOUR:
        assert s.tier("developers").behaviour.name == "own"
    else:
        found = s.placements[0].calibration
        assert found is not None
        assert (found.shifts.all, found.version, found.expected_error) == (0.2, "0.19.0", 0.09)


@pytest.mark.parametrize(("named", "content", "words"), NO_TEXT, ids=short)
def test_a_file_that_gives_nothing_is_a_mistake_of_the_line_that_names_it(
    tmp_path: Path, named: Named, content: str | bytes | None, words: str
) -> None:
    found = only(mistakes(named.scenario(tmp_path, content)))
    assert (found.file, found.line, found.key, found.found) == ("lab.yaml", named.line, named.name_key, named.file)
    assert found.message.startswith(words)


@pytest.mark.parametrize(("named", "content", "line", "key", "words"), WRONG_INSIDE, ids=short)
def test_what_is_wrong_inside_stands_in_its_own_file_and_line(
    tmp_path: Path, named: Named, content: str, line: int, key: str, words: str
) -> None:
    found = only(mistakes(named.scenario(tmp_path, content)))
    assert (found.file, found.line, found.key) == (named.file, line, key)
    assert words in found.message


@pytest.mark.parametrize(("named", "old", "new", "line", "key", "words"), WRONG_WORD, ids=short)
def test_a_wrong_word_of_a_good_file_stands_in_its_own_file_and_line_under_the_scenarios_key(
    tmp_path: Path, named: Named, old: str, new: str, line: int, key: str, words: str
) -> None:
    assert named.good.count(old) == 1
    found = only(mistakes(named.scenario(tmp_path, named.good.replace(old, new))))
    assert (found.file, found.line, found.key) == (named.file, line, f"{named.key}.{key}")
    assert words in found.message


def test_what_the_scenario_says_itself_is_wrong_in_the_scenario(tmp_path: Path) -> None:
    found = only(mistakes(BEHAVIOUR.scenario(tmp_path, BEHAVIOUR.good, "      output_tokens: 30 kg\n")))
    assert (found.file, found.line) == ("lab.yaml", 7)


def test_a_fit_is_not_known_before_its_day(tmp_path: Path) -> None:
    found = only(mistakes(BEHAVIOUR.scenario(tmp_path, BEHAVIOUR.good), date(2026, 5, 6)))
    assert (found.file, found.line) == ("own.demand.yaml", 4)
    assert "not known on 2026-05-06; first known 2026-11-22" in found.message


@BOTH
def test_mistakes_of_both_files_are_told_at_once(tmp_path: Path, named: Named) -> None:
    damaged = named.good.replace(*named.damage)
    found = mistakes(named.scenario(tmp_path, damaged, "sites: {here: {power: 300 kg}}\n"))
    assert {(m.file, m.key) for m in found} == {("lab.yaml", "sites.here.power"), (named.file, named.damaged_key)}


@BOTH
def test_a_missing_file_hides_no_other_mistake(tmp_path: Path, named: Named) -> None:
    assert len(mistakes(named.scenario(tmp_path, None, "sites: {here: {power: 300 kg}}\n"))) == 2


@pytest.mark.parametrize(
    ("named", "stated", "message"),
    [
        (CALIBRATION, "..", "a folder; expected a YAML file"),
        (CALIBRATION, "/", "a folder; expected a YAML file"),
        (CALIBRATION, "a\0b", CALIBRATION.missing),
        (CALIBRATION, "x" * 5000, CALIBRATION.missing),
        (CALIBRATION, "lab.yaml/ours.yaml", CALIBRATION.missing),
        (BEHAVIOUR, "/.yaml", BEHAVIOUR.missing),
        (BEHAVIOUR, "a\0b.yaml", BEHAVIOUR.missing),
        (BEHAVIOUR, "x" * 5000 + ".yaml", BEHAVIOUR.missing),
    ],
    ids=short,
)
def test_a_path_that_leads_to_no_file_is_a_mistake_of_who_states_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Named, stated: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.yaml").write_text("scenario: lab\nextends: laptop\n")
    found = only(mistakes("lab.yaml", sets=(f"{named.key}={stated}",)))
    assert found == Mistake("--set", 0, named.name_key, stated[:60], message)
