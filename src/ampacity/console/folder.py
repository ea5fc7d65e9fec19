"""The folder in which a live service keeps its state: what each file is called, and how it is found again."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ampacity.base.files import write_whole
from ampacity.scenario.mistakes import Mistake, Mistakes

SOCKET_MOST = 100  # bytes of a socket's path: the system's bound is 104 or 108
ENDING = ".serve"


@dataclass(frozen=True)
class Folder:
    """The state folder of a service. All of it is its owner's alone."""

    path: Path

    @property
    def terms(self) -> Path:
        """The terms in force, as text."""
        return self.path / "terms.json"

    @property
    def settings(self) -> Path:
        """How the data process serves."""
        return self.path / "settings.json"

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
        return self.path / "use.journal"

    @property
    def keys(self) -> Path:
        """Whose key is whose."""
        return self.path / "keys"

    @property
    def control(self) -> Path:
        """The socket of the data process: here, or, where this path is too long for one, in a folder for such."""
        own = self.path / "control"
        if len(os.fsencode(own)) <= SOCKET_MOST:
            return own
        name = sha256(os.fsencode(self.path)).hexdigest()[:16]
        shorter = Path(tempfile.gettempdir()) / f"ampacity-{os.getuid()}"
        shorter.mkdir(mode=0o700, exist_ok=True)
        return shorter / name

    def log(self, process: str) -> Path:
        """What a process says when something is wrong."""
        return self.path / f"{process}.log"

    def make(self) -> None:
        """Make the folder and the admin token, if they are not there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.token.exists():
            handle = os.open(self.token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")

    def read_token(self) -> str:
        """The admin token."""
        return self.token.read_text(encoding="ascii").strip()


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
    if not folder.settings.exists():
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
