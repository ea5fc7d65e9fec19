"""`python -m ampacity.gateway SETTINGS.json`: the data process. Whoever starts it is told on standard output."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import uvloop

from ampacity.gateway.control import Control
from ampacity.gateway.server import Gateway
from ampacity.gateway.settings import Settings
from ampacity.policy.rows import LimitError
from ampacity.policy.terms import Terms, TermsError, terms_of
from ampacity.scenario.mistakes import Mistakes

DRAIN_S = 30.0
LOOK_S = 1.0
GARBAGE_LOOKS = 100_000  # objects between two looks for cycles


async def serve(terms: Terms, settings: Settings, drain_s: float, parent: int) -> None:
    """Serve until told to end, or until the parent, if one is named, has died; then let answers end."""
    gateway = Gateway(terms, settings)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(gateway.log.mistake)
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, ended.set)
    control = Control(gateway, ended.set)
    port = await gateway.listen()
    if settings.control is not None:
        await control.listen(settings.control)
    gateway.log("serving", terms.name, port=port, cut_off=gateway.cut_off)
    told = {"port": port, "journal": str(settings.journal), "cut_off": gateway.cut_off}
    print(json.dumps(told), flush=True)
    while not ended.is_set() and (not parent or os.getppid() == parent):
        try:
            await asyncio.wait_for(ended.wait(), LOOK_S)
        except TimeoutError:
            continue
    await gateway.drain(drain_s)
    control.close()


def open_files_most() -> None:
    """Let this process have as many connections as the system lets it."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Read the settings and serve."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    drain_s = float(given.pop("drain_s", DRAIN_S))
    parent = int(given.pop("parent", 0))
    open_files_most()
    gc.freeze()  # what is there now stays; of what comes, next to nothing is in cycles
    gc.set_threshold(GARBAGE_LOOKS)
    try:
        terms = terms_of(Path(given.pop("terms")).read_bytes())
        for name in ("journal", "keys", "control", "peers", "leases"):
            if given.get(name):
                given[name] = Path(given[name])
        uvloop.run(serve(terms, Settings(**given), drain_s, parent))
    except (TermsError, LimitError, Mistakes, OSError, sqlite3.Error) as err:
        print(err, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
