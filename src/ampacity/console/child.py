"""A process of a live service: started, heard when it is ready, told to end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ampacity.scenario.mistakes import Mistake, Mistakes

LOOK_S = 0.2
DEATHS_MOST, DEATHS_IN_S = 5, 60.0
TAIL = 2000  # characters of a log that are told when a process cannot start


@dataclass
class Child:
    """A process of the service. deaths: when it died, by a clock that does not step [s]."""

    name: str
    command: Sequence[str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self, ready_s: float) -> dict[str, Any]:
        """Start it, and what it says when it is ready. Raises Mistakes with the end of its log."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        line = _first_line(self.running, ready_s)
        if not line:
            self.end(2.0)
            tail = "; ".join(self.log.read_text(encoding="utf-8", errors="replace").strip()[-TAIL:].splitlines())
            raise Mistakes([Mistake(str(self.log), 0, self.name, "did not start", tail or "it said nothing")])
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def code(self) -> int | None:
        """How it ended, or None while it runs."""
        return None if self.running is None else self.running.poll()

    def tell(self, sign: int) -> None:
        """Send it a signal, if it runs."""
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(sign)

    def end(self, patience_s: float) -> None:
        """Tell it to end and wait; what does not end by then is killed."""
        if self.running is None:
            return
        if self.running.stdin is not None:
            self.running.stdin.close()
        self.tell(signal.SIGTERM)
        try:
            self.running.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait(5)
        if self.running.stdout is not None:
            self.running.stdout.close()

    def dies_often(self, now_s: float) -> bool:
        """Note a death; whether there were too many of late to try again."""
        self.deaths = [d for d in self.deaths if now_s - d < DEATHS_IN_S] + [now_s]
        return len(self.deaths) > DEATHS_MOST


def _first_line(process: subprocess.Popen[bytes], patience_s: float) -> bytes:
    """What a process says first; nothing if it ends before, or not in time."""
    assert process.stdout is not None
    until_s = time.monotonic() + patience_s
    said = b""
    while b"\n" not in said and (left_s := until_s - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], min(left_s, LOOK_S))[0]:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                return b""
            said += piece
    return said if b"\n" in said else b""
