"""`python -m ampacity.gateway SETTINGS.json`: the data process. Whoever starts it is told on standard output."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from pathlib import Path

import uvloop

from ampacity.gateway.server import Gateway, Settings, open_files_most
from ampacity.policy.terms import Terms, terms_of

DRAIN_S = 30.0
GARBAGE_LOOKS = 100_000  # objects between two looks for cycles


async def serve(terms: Terms, settings: Settings, drain_s: float) -> None:
    """Serve until told to end; then let answers end."""
    gateway = Gateway(terms, settings)
    port = await gateway.listen()
    told = {"port": port, "journal": str(settings.journal), "cut_off": gateway.cut_off}
    print(json.dumps(told), flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, ended.set)
    await ended.wait()
    await gateway.drain(drain_s)


def main() -> None:
    """Read the settings and serve."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    terms = terms_of(Path(given.pop("terms")).read_bytes())
    drain_s = float(given.pop("drain_s", DRAIN_S))
    for name in ("journal", "keys", "control"):
        if given.get(name):
            given[name] = Path(given[name])
    open_files_most()
    gc.freeze()  # what is there now stays; of what comes, next to nothing is in cycles
    gc.set_threshold(GARBAGE_LOOKS)
    uvloop.run(serve(terms, Settings(**given), drain_s))


if __name__ == "__main__":
    main()
