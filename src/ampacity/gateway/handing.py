"""Handing a client's connection to the process that decides on whoever asks over it.

Processes that share a port get connections by chance. The socket goes over a Unix socket with all that was read from it
and not yet answered, written out again; from then on it is the other's. Large requests go as a file in memory.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from ampacity.gateway.client import IDLE_S, Answering, Client
from ampacity.gateway.dialects import Refusal
from ampacity.gateway.keys import Holder, owner_of
from ampacity.gateway.plain import answer_error
from ampacity.gateway.request import Request

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

INLINE = 32_768  # bytes of requests that go in the message itself
AGAIN_S, AGAIN_MOST_S = 0.002, 0.1
AT_ONCE = 64  # connections taken between two turns of the loop
AWAY = Refusal(529, "overloaded_error", "This is served by a process that is just starting; try again soon.", 1, True)
FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS)


class Leaving(Answering):
    """Stands where an answer would while a connection cannot go yet."""

    __slots__ = ()


class Hands:
    """Gives and takes connections. Raises OSError if nobody can listen where the others look."""

    def __init__(self, gateway: Gateway, worker: int, workers: int, peers: Path | None) -> None:
        if peers is None or not hasattr(os, "memfd_create"):
            raise OSError("processes that share a port need Linux, and a folder `peers` where they meet")
        self._gateway, self._worker, self._workers, self._peers = gateway, worker, workers, peers
        self._to: dict[int, socket.socket] = {}
        self._from: set[socket.socket] = set()
        self._adopting: set[asyncio.Task[None]] = set()
        peers.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = peers / f"worker-{worker}"
        path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            self._listening.bind(str(path))
        finally:
            os.umask(before)
        self._listening.listen(64)
        gateway.loop.add_reader(self._listening, self._accept)

    # giving

    def give(self, client: Client, request: Request, holder: Holder) -> bool:
        """Whether another decides on this holder; then the connection is handed over, or the request refused."""
        owner = owner_of(holder, self._workers)
        handed, client.handed = client.handed, False
        if owner == self._worker:
            return False
        client.exchange = leaving = Leaving()
        if handed:  # keys have just changed, and the two do not know the same: nobody is to be sent back and forth
            self._refuse(client, request)
        else:
            self._go(client, request, owner, leaving, AGAIN_S)
        return True

    def _go(self, client: Client, request: Request, owner: int, leaving: Leaving, again_s: float) -> None:
        """Hand a connection over as soon as all that was answered over it is sent."""
        if client.exchange is not leaving:
            return
        if not client.transport.get_write_buffer_size():
            try:
                self._send(client, request, owner)
            except OSError as err:
                if err.errno not in FULL:
                    self._refuse(client, request)
                    return
            else:
                client.let_go()
                return
        if self._gateway.now_s() - client.since > IDLE_S:
            client.cut()
        else:
            later_s = min(2 * again_s, AGAIN_MOST_S)
            self._gateway.loop.call_later(again_s, self._go, client, request, owner, leaving, later_s)

    def _refuse(self, client: Client, request: Request) -> None:
        answer_error(self._gateway, client, request, AWAY)

    def _send(self, client: Client, request: Request, owner: int) -> None:
        """One message: the socket, and what came over it. Raises OSError if it cannot be sent now, or to nobody."""
        data = client.unanswered(request)
        fds = [client.transport.get_extra_info("socket").fileno()]
        if len(data) <= INLINE:
            self._message(owner, data, fds)
            return
        with FileIO(os.memfd_create("request"), "r+") as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            self._message(owner, b"+", [*fds, file.fileno()])

    def _message(self, owner: int, data: bytes, fds: list[int]) -> None:
        """Send; over a new connection if the other end of an old one has gone."""
        known = self._to.get(owner)
        if known is not None:
            try:
                socket.send_fds(known, [data], fds)
                return
            except OSError as err:
                if err.errno in FULL:
                    raise
                known.close()
                del self._to[owner]
        new = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            new.connect(str(self._peers / f"worker-{owner}"))
            socket.send_fds(new, [data], fds)
        except OSError:
            new.close()
            raise
        self._to[owner] = new

    # taking

    def _accept(self) -> None:
        with suppress(OSError):
            peer, _ = self._listening.accept()
            peer.setblocking(False)
            self._from.add(peer)
            self._gateway.loop.add_reader(peer, self._take, peer)

    def _take(self, peer: socket.socket) -> None:
        """Take connections that another hands over."""
        for _ in range(AT_ONCE):
            try:
                data, fds, _, _ = socket.recv_fds(peer, INLINE, 2, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._gateway.loop.remove_reader(peer)
                self._from.discard(peer)
                peer.close()
                return
            if fds:
                self._adopt(data, fds)

    def _adopt(self, data: bytes, fds: list[int]) -> None:
        """Go on with a connection where the other was."""
        sock = socket.socket(fileno=fds[0])
        if len(fds) > 1:
            with FileIO(fds[1]) as file:
                file.seek(0)
                data = file.readall()
        elif data == b"+":  # there was no descriptor left for the file
            sock.close()
            return
        sock.setblocking(False)
        task = self._gateway.loop.create_task(_connect(self._gateway.loop, sock, lambda: Client(self._gateway, data)))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def close(self) -> None:
        """Take what has been handed over, and no more."""
        loop = self._gateway.loop
        loop.remove_reader(self._listening)
        (self._peers / f"worker-{self._worker}").unlink(missing_ok=True)
        for _ in range(self._workers):
            self._accept()
        self._listening.close()
        for peer in list(self._from):
            self._take(peer)
            if peer in self._from:
                loop.remove_reader(peer)
                peer.close()
        for known in self._to.values():
            known.close()
        self._to.clear()


async def _connect(loop: asyncio.AbstractEventLoop, sock: socket.socket, client: Callable[[], Client]) -> None:
    try:
        await loop.connect_accepted_socket(client, sock)
    except OSError:
        sock.close()


def refuse_taken(host: str, port: int) -> None:
    """Raise OSError if somebody listens there: who shares a port on purpose would not be told by the system."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind((host, port))
