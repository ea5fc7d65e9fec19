"""`python -m ampacity.emulation SCENARIO`: emulate every pool of a scenario, until told to end or left alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys
from functools import partial

import uvloop

from ampacity.emulation.connection import Connection
from ampacity.emulation.desk import PoolDesk
from ampacity.emulation.pools import ServingPool, serving_pools
from ampacity.emulation.real_time import PoolInTime
from ampacity.scenario.load import load

HOST = "127.0.0.1"
STDIN = 0


def main() -> int:
    """Read the command line, load the scenario, serve."""
    parser = argparse.ArgumentParser("python -m ampacity.emulation", description=__doc__)
    parser.add_argument("scenario", metavar="SCENARIO", help="a YAML file, or the name of a packaged scenario")
    parser.add_argument("--set", dest="sets", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--port", type=int, default=0, help="of the first pool, the next ones follow; 0: any")
    parser.add_argument("--seed", type=int, default=1, help="of the lengths of answers, and of whom faults hit")
    args = parser.parse_args()
    try:
        pools = serving_pools(load(args.scenario, sets=args.sets))
        uvloop.run(serve(pools, args.port, args.seed))
    except (ValueError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


async def serve(pools: tuple[ServingPool, ...], port: int, seed: int) -> None:
    """Listen for every pool, say so, and serve until the end."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    _end_with_parent(loop, end)
    servers, lines = [], []
    for i, pool in enumerate(pools):
        desk = PoolDesk(PoolInTime(pool, seed, loop))
        own_port = port + i if port else 0
        server = await loop.create_server(partial(Connection, desk), HOST, own_port, backlog=1024)
        servers.append(server)
        lines.append(_line(pool, server.sockets[0].getsockname()[1]))
    print(json.dumps({"pools": lines}), flush=True)
    await end.wait()
    for server in servers:
        server.close()


def _line(pool: ServingPool, port: int) -> dict[str, object]:
    """What whoever started this needs to know of a pool."""
    return {
        "name": pool.name,
        "placement": pool.placement,
        "model": pool.model,
        "alias": pool.alias,
        "url": f"http://{HOST}:{port}",
        "replicas": pool.replicas.replicas,
        "slots": pool.slots,
        "pace_ns": pool.replicas.pace_ns,
    }


def _end_with_parent(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    """End when standard input is closed: whoever holds its other end has closed it or died, in whatever way.

    Only if it is a pipe or a socket: a terminal stays, and /dev/null is closed from the start.
    """
    try:
        mode = os.fstat(STDIN).st_mode
    except OSError:
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def look() -> None:
        if not os.read(STDIN, 4096):
            loop.remove_reader(STDIN)
            end.set()

    loop.add_reader(STDIN, look)


if __name__ == "__main__":
    sys.exit(main())
