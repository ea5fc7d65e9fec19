"""The folder in which a live service keeps its state: what each file is called, and how it is found again."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ampacity.base.files import write_whole
from ampacity.journal.opening import SEVERAL
from ampacity.scenario.mistakes import Mistake, Mistakes

SOCKET_MOST = 100  # bytes of a socket's path: the system's bound is 104 or 108
ENDING = ".serve"


@dataclass(frozen=True)
class Folder:
    """The state folder of a service. All of it is its owner's alone. worker: which of several data processes has it."""

    path: Path
    worker: int | None = None

    @property
    def workers(self) -> int:
        """How many data processes it was served by."""
        return len(list(self.path.glob("settings-*.json"))) or 1

    def shares(self, workers: int | None = None) -> tuple[Folder, ...]:
        """The folder as each data process has it: itself, where there is only one."""
        several = workers or self.workers
        return tuple(replace(self, worker=k) for k in range(several)) if several > 1 else (self,)

    def _own(self, name: str) -> str:
        return name if self.worker is None else f"{name}-{self.worker}"

    @property
    def terms(self) -> Path:
        """The terms in force, as text."""
        return self.path / "terms.json"

    @property
    def settings(self) -> Path:
        """How the data process serves."""
        return self.path / f"{self._own('settings')}.json"

    @property
    def admin(self) -> Path:
        """How the admin process serves."""
        return self.path / "admin.json"

    @property
    def how(self) -> Path:
        """Which scenario is served, with what is laid over it."""
        return self.path / "serve.json"

    @property
    def token(self) -> Path:
        """The admin token."""
        return self.path / "admin-token"

    @property
    def journal(self) -> Path:
        """What was used."""
        return self.path / f"{self._own('use')}.journal"

    @property
    def keys(self) -> Path:
        """Whose key is whose."""
        return self.path / "keys"

    @property
    def control(self) -> Path:
        """The socket of the data process: here, or, where this path is too long for one, in a folder for such."""
        return self._socket(self._own("control"), self._own(""))

    @property
    def peers(self) -> Path:
        """The folder of the sockets by which several data processes hand connections over, under the same rule."""
        return self._socket("peers/worker-00", "-peers/worker-00").parent

    @property
    def leases(self) -> Path:
        """Which of several data processes has how many slots of each pool."""
        return self.path / "leases"

    def _socket(self, name: str, ending: str) -> Path:
        own = self.path / name
        if len(os.fsencode(own)) <= SOCKET_MOST:
            return own
        return _folder_of_sockets() / (sha256(os.fsencode(self.path)).hexdigest()[:16] + ending)

    @property
    def speaking(self) -> Path:
        """The socket as the data process was told of it; the system's temporary folder may be another one by now."""
        return Path(read_json(self.settings)["control"]) if self.settings.exists() else self.control

    def log(self, process: str) -> Path:
        """What a process says when something is wrong."""
        return self.path / f"{self._own(process)}.log"

    def make(self) -> None:
        """Make the folder and the admin token, if they are not there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.token.exists():
            handle = os.open(self.token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")

    def refuse_other(self, workers: int) -> None:
        """Raise Mistakes if there is use that another number of data processes had."""
        several = [p for p in sorted(self.path.glob("*.journal")) if SEVERAL.fullmatch(p.name)]
        there = [*([self.journal] if self.journal.exists() else ()), *several]
        made_with = max(self.workers, len(several))
        if there and made_with != workers:
            names = ", ".join(p.name for p in there)
            words = (
                f"{names}: made with --workers {made_with}, which says whose use is in which file; "
                f"serve with {made_with}, or from another --folder, or move these away: then all use begins anew"
            )
            raise Mistakes([Mistake(str(self.path), 0, "--workers", str(workers), words)])

    def make_for(self, workers: int) -> None:
        """Make it ready for so many data processes. Raises Mistakes if there is use that another number of them had."""
        self.refuse_other(workers)
        own = {share.settings for share in self.shares(workers)}
        for stale in {*self.path.glob("settings*.json")} - own:
            stale.unlink()
        if workers > 1:
            self.peers.mkdir(mode=0o700, exist_ok=True)
            for part in self.path.glob("leases*"):  # who held what is gone
                part.unlink()

    def read_token(self) -> str:
        """The admin token."""
        return self.token.read_text(encoding="ascii").strip()


def _folder_of_sockets() -> Path:
    """A folder with a short name that is this user's alone. Raises PermissionError if another one made it."""
    found = Path(tempfile.gettempdir()) / f"ampacity-{os.getuid()}"
    found.mkdir(mode=0o700, exist_ok=True)
    there = found.lstat()
    if there.st_uid != os.getuid() or stat.S_IMODE(there.st_mode) & 0o077 or not stat.S_ISDIR(there.st_mode):
        words = "is not this user's alone; remove it, or serve from a folder with a shorter name"
        raise PermissionError(errno.EPERM, words, str(found))
    return found


def folder_of(scenario: str, stated: Path | None = None) -> Folder:
    """The state folder of a scenario: the one stated; beside its file; for a packaged one, here."""
    if stated is not None:
        return Folder(stated.absolute())
    path = Path(scenario)
    if path.is_dir():
        return Folder(path.absolute())
    beside = path.parent if path.suffix in (".yaml", ".yml") else Path()
    return Folder((beside / f"{path.stem if path.suffix in ('.yaml', '.yml') else path.name}{ENDING}").absolute())


def served(folder: Folder) -> Folder:
    """The folder, if something was ever served from it. Raises Mistakes."""
    if not folder.shares()[0].settings.exists():
        words = "nothing has been served from this folder; start it with: ampacity serve SCENARIO"
        raise Mistakes([Mistake(str(folder.path), 0, "settings.json", "", words)])
    return folder


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file of settings, readable by its owner."""
    write_whole(path, json.dumps(content, indent=1) + "\n")
    path.chmod(0o600)


def read_json(path: Path) -> dict[str, Any]:
    """Read one."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
