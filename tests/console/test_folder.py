"""The state folder: where it is, and who may look into it."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from ampacity.console.folder import Folder, folder_of, served, write_json
from ampacity.journal.opening import journals_at
from ampacity.scenario.mistakes import Mistakes


@pytest.mark.parametrize(
    ("scenario", "folder"),
    [("team.yaml", "team.serve"), ("elsewhere/team.yml", "elsewhere/team.serve"), ("laptop", "laptop.serve")],
)
def test_it_stands_beside_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of(scenario).path == tmp_path / folder
    assert folder_of(scenario, Path("other")).path == tmp_path / "other"


def test_a_folder_names_itself(tmp_path: Path) -> None:
    assert folder_of(str(tmp_path)).path == tmp_path


def test_its_token_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "team.serve")
    folder.make()
    token = folder.read_token()
    folder.make()
    assert folder.read_token() == token and len(token) >= 40
    assert stat.S_IMODE(folder.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_where_nothing_was_served_it_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(Mistakes, match="ampacity serve SCENARIO"):
        served(Folder(tmp_path))


def test_a_socket_of_a_long_folder_lies_in_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    folder = Folder(tmp_path / ("long" * 30) / "team.serve")
    control = folder.control
    assert len(str(control)) < 100 and stat.S_IMODE(control.parent.stat().st_mode) == 0o700
    folder.make()
    write_json(folder.settings, {"control": str(control)})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert folder.speaking == control


def test_a_short_folder_that_others_may_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    folder = Folder(tmp_path / ("long" * 30))
    folder.control.parent.chmod(0o755)
    with pytest.raises(PermissionError, match="not this user's alone"):
        _ = folder.control


def test_each_of_several_data_processes_has_its_own_files_and_one_alone_those_of_always(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "team.serve")
    assert folder.shares() == (folder,) and folder.settings.name == "settings.json"
    names = [(s.settings.name, s.journal.name, s.control.name, s.log("gateway").name) for s in folder.shares(2)]
    assert names == [(f"settings-{k}.json", f"use-{k}.journal", f"control-{k}", f"gateway-{k}.log") for k in range(2)]
    assert {(s.keys, s.terms, s.leases, s.peers) for s in folder.shares(2)} == {
        (folder.keys, folder.terms, folder.leases, folder.peers)
    }


def test_sockets_of_several_lie_in_a_short_folder_each_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.mkdtemp())
    folder = Folder(tmp_path / ("long" * 30) / "team.serve")
    sockets = {*(s.control for s in folder.shares(3)), folder.peers / "worker-0", folder.control}
    assert len(sockets) == 5 and all(len(str(s)) < 100 for s in sockets)


def test_use_that_another_number_of_data_processes_had_is_not_served(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "team.serve")
    folder.make()
    folder.make_for(2)
    for share in folder.shares(2):
        write_json(share.settings, {})
        share.journal.touch()
    assert folder.workers == 2
    folder.make_for(2)
    for other in (1, 3):
        with pytest.raises(Mistakes, match=r"use-0\.journal, use-1\.journal: made with --workers 2.*serve with 2"):
            folder.make_for(other)
    for share in folder.shares():
        share.journal.unlink()
    folder.make_for(1)
    assert folder.workers == 1 and not list(folder.path.glob("settings*"))


def test_of_a_folder_all_journals_of_its_service_are_read_and_no_copy(tmp_path: Path) -> None:
    (tmp_path / "use.journal").touch()
    (tmp_path / "use.old.journal").touch()
    assert journals_at(tmp_path) == [tmp_path / "use.journal"]
    for k in range(2):
        (tmp_path / f"use-{k}.journal").touch()
    assert journals_at(tmp_path) == [tmp_path / "use-0.journal", tmp_path / "use-1.journal"]
    assert journals_at(tmp_path / "use-1.journal") == [tmp_path / "use-1.journal"]
