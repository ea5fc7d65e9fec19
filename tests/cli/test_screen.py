"""Where an answer goes: its text to people, its data to programs, and never both to standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ampacity.cli.screen import tell
from ampacity.reporting.catalog_views import View

VIEW = View("eight chips", {"chips": 8})


@pytest.mark.parametrize(
    ("after", "printed"), [("", "eight chips\n"), ("page: x.html", "eight chips\n\n  page: x.html\n")]
)
@pytest.mark.parametrize("with_file", [False, True])
def test_people_get_the_text_and_what_follows_below_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, after: str, printed: str, with_file: bool
) -> None:
    tell(VIEW, str(tmp_path / "x.json") if with_file else None, after=after)
    assert capsys.readouterr().out == printed
    assert [json.loads(f.read_text()) for f in tmp_path.iterdir()] == ([VIEW.data] if with_file else [])


@pytest.mark.parametrize("quiet", [False, True])
def test_standard_output_that_carries_the_data_carries_nothing_else(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    tell(VIEW, "-", quiet=quiet, after="page: x.html")
    assert json.loads(capsys.readouterr().out) == VIEW.data


def test_quiet_still_writes_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tell(VIEW, str(tmp_path / "x.json"), quiet=True, after="page: x.html")
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "x.json").read_text()) == VIEW.data
