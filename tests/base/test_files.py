"""Files that are whole, whatever happens while they are written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ampacity.base.files import write_whole


def test_a_file_is_written_with_its_text_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_whole(tmp_path / "report.html", "größer")
    assert (tmp_path / "report.html").read_bytes() == "größer".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_whole(tmp_path / "figure", b"\x00\xff\r\n")
    assert (tmp_path / "figure").read_bytes() == b"\x00\xff\r\n"


def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "plan.json"
    target.write_text("old")

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_text_that_cannot_be_encoded_touches_nothing(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(target, "\ud800")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_a_folder_in_the_place_of_the_file_stays_and_no_temporary_is_left(tmp_path: Path) -> None:
    (tmp_path / "out" / "inner").mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(tmp_path / "out", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "plan.json", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_the_old_file_open_still_reads_all_of_it(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    target.write_text("old and whole")
    with target.open() as reader:
        write_whole(target, "new")
        assert reader.read() == "old and whole"
    assert target.read_text() == "new"


def test_a_written_file_has_the_permissions_of_any_other_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "whole", "text")
    assert stat.S_IMODE((tmp_path / "whole").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
