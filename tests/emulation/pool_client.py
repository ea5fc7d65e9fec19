"""A client of emulated pools that notes when each event came."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Streamed:
    """What a stream brought. at_s: when each event came, counted from the request. names, data: of each."""

    at_s: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)

    def when(self, name: str) -> list[float]:
        return [at for at, own in zip(self.at_s, self.names, strict=True) if own == name]

    def only(self, name: str) -> dict[str, Any]:
        (found,) = (data for data, own in zip(self.data, self.names, strict=True) if own == name)
        return found


class Pool:
    """An emulated pool of a process that runs."""

    def __init__(self, process: subprocess.Popen[str], line: dict[str, Any]) -> None:
        self.process = process
        self.line = line
        self.url: str = line["url"]

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)

    def get(self, path: str) -> tuple[int, Any]:
        return self._answer("GET", path, None, {})

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        return self._answer("POST", path, body, headers)

    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        connection = self.connection()
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, {name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text else None

    def fault(self, kind: str, seconds: float = 5.0, **more: float) -> None:
        status, _ = self.post("/emulation/fault", {"kind": kind, "seconds": seconds, **more})
        assert status == 200

    def stream(self, words: str = "hello", tokens: int = 20, session: str | None = None) -> Streamed:
        """Ask for so many tokens by the Messages API and read to the end."""
        met = Streamed()
        for _ in self.events(met, words, tokens, session):
            pass
        return met

    def events(self, met: Streamed, words: str, tokens: int, session: str | None = None) -> Iterator[str]:
        """The same event by event; the connection closes when whoever reads stops."""
        headers = {"x-emulate-output-tokens": str(tokens)}
        if session is not None:
            headers["x-claude-code-session-id"] = session
        connection = self.connection()
        connection.connect()
        began = time.perf_counter()
        connection.request("POST", "/v1/messages?beta=true", asking(words, stream=True), headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        try:
            while line := response.readline():
                if line.startswith(b"event: "):
                    met.at_s.append(time.perf_counter() - began)
                    met.names.append(line[7:].strip().decode())
                    met.data.append(json.loads(response.readline().removeprefix(b"data: ")))
                    yield met.names[-1]
        finally:
            response.close()
            connection.close()

    def until(self, **wanted: int) -> None:
        """Wait until its health says so."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            _, health = self.get("/health")
            if all(health[name] == value for name, value in wanted.items()):
                return
            time.sleep(0.01)
        raise AssertionError(health)


def asking(words: str, *, stream: bool = False) -> bytes:
    """A request by the Messages API."""
    messages = [{"role": "user", "content": words}]
    return json.dumps({"model": "claude-code", "max_tokens": 32_000, "stream": stream, "messages": messages}).encode()
