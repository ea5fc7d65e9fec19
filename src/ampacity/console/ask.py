"""Asking the data process through its control socket: a line of JSON each way."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0
PIECE = 1 << 16


class NotServing(OSError):
    """No data process answers."""


class NotDone(ValueError):
    """The data process answered that it did not do what it was asked, and why."""


class NotKnown(NotDone):
    """Whom or what was named is not there."""


def ask(control: Path, do: str, patience_s: float = PATIENCE_S, **what: Any) -> dict[str, Any]:
    """What the data process answers. Raises NotServing, NotDone, NotKnown."""
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(patience_s)
            connection.connect(str(control))
            connection.sendall(json.dumps({"do": do, **what}).encode() + b"\n")
            answer = _line(connection)
    except OSError as err:
        nowhere = isinstance(err, FileNotFoundError | ConnectionRefusedError)
        why = "none runs; ampacity serve SCENARIO starts one" if nowhere else err.strerror or err
        raise NotServing(err.errno or 0, f"no data process answers here: {why}", str(control)) from err
    if not answer:
        raise NotServing(0, "the data process closed the connection before it answered", str(control))
    found: dict[str, Any] = json.loads(answer)
    if not found.pop("ok", False):
        raise (NotKnown if found.get("missing") else NotDone)(str(found.get("error", "no reason was given")))
    return found


def _line(connection: socket.socket) -> bytes:
    pieces = []
    while True:
        piece = connection.recv(PIECE)
        pieces.append(piece)
        if not piece or piece.endswith(b"\n"):
            return b"".join(pieces)
