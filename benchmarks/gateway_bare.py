"""The gateway's own protocols with nothing decided, counted or kept: what forwarding alone costs us.

Same reading and checking of HTTP on both sides, same connections; no key, no limit, no usage, no journal.
`python benchmarks/gateway_bare.py PORT MOCK_PORT`
"""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import uvloop

from ampacity.gateway.client import Answering, Client
from ampacity.gateway.request import Request
from ampacity.gateway.upstream import AnswerHead, Connections, Upstream
from ampacity.gateway.words import headed, passed_on


class Forwarding(Answering):
    """One request and its answer."""

    attempt = 0
    upstream: Upstream | None = None
    told: bytes | None = None

    def __init__(self, client: Client, request: Request) -> None:
        self.client, self.request = client, request

    def head(self, head: AnswerHead, length: bytes | None) -> bool:
        """The head goes on."""
        self.told = headed(head, length, "req_0", b"", False, not (head.chunked or head.sized), False)
        return True

    def relay(self, raw: bytes, pieces: list[bytes], complete: bool) -> None:
        """So do the bytes."""
        if self.told is not None:
            raw, self.told = self.told + raw, None
        if self.client.exchange is self:
            self.client.write(raw)
            if complete:
                self.client.done(self.request.head.keep_alive)

    def broken(self, *why: Any, **more: Any) -> None:
        """Nothing is tried again."""
        self.client.cut()

    def client_gone(self) -> None:
        """Nobody waits."""
        if self.upstream is not None:
            self.upstream.drop()


class Bare:
    """What connections ask of a gateway."""

    def __init__(self, mock_port: int) -> None:
        loop = asyncio.get_running_loop()
        self.now_s = loop.time
        self.clients: set[Client] = set()
        self.turn: Any = SimpleNamespace(came=Client.answer_now)  # at once
        connections = Connections(f"http://127.0.0.1:{mock_port}", loop)
        self.pool: Any = SimpleNamespace(renames=False, key_lines={}, connections=connections)

    def answer(self, client: Client, request: Request) -> None:
        """Forward it."""
        exchange = Forwarding(client, request)
        client.exchange = exchange
        self.pool.connections.ask(exchange, passed_on(request, self.pool, "openai"), False)


async def main() -> None:
    """Serve for ever."""
    gateway: Any = Bare(int(sys.argv[2]))
    server = await asyncio.get_running_loop().create_server(lambda: Client(gateway), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
