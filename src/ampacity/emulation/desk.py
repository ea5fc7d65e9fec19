"""Which path means what: the three APIs, the list of models, health, faults; and every refusal in its API's shape."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ampacity.emulation.answer import Answer, encode
from ampacity.emulation.asked import Asked, read_asked
from ampacity.emulation.chat_api import ChatAnswer
from ampacity.emulation.connection import Connection, Request
from ampacity.emulation.faults import Fault
from ampacity.emulation.messages_api import MessagesAnswer
from ampacity.emulation.real_time import PoolInTime
from ampacity.emulation.responses_api import ResponsesAnswer

COUNT_TOKENS = "/v1/messages/count_tokens"
ANSWERS: dict[str, type[Answer]] = {
    "/v1/messages": MessagesAnswer,
    COUNT_TOKENS: MessagesAnswer,
    "/v1/chat/completions": ChatAnswer,
    "/v1/responses": ResponsesAnswer,
}


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class PoolDesk:
    """Takes the requests to one pool."""

    def __init__(self, pool: PoolInTime) -> None:
        self._pool = pool

    def admits_connection(self) -> bool:
        """Whether a connection that comes now is kept."""
        p = self._pool
        return not p.faults.hits("refuse", p.number()[1], p.now_s())

    def take(self, client: Connection, request: Request) -> None:
        """Answer a request, now or when its tokens have come."""
        number, luck = self._pool.number()
        answer = ANSWERS.get(request.path)
        try:
            if answer is None:
                client.reply(200, self._other(request), f"req_{number}")
            elif request.method != "POST":
                raise _Refusal(405, f"{request.path} takes POST")
            else:
                self._generate(client, request, answer, number, luck)
        except _Refusal as err:
            # a path that nobody knows is refused in the shape of the API that it looks like
            shape = answer or (MessagesAnswer if request.path.startswith("/v1/messages") else ChatAnswer)
            status = shape.full_status if err.status == 529 else err.status
            client.reply(status, shape.error(status, err.message, number), f"req_{number}")

    def _generate(self, client: Connection, request: Request, answer: type[Answer], number: str, luck: float) -> None:
        p = self._pool
        now_s = p.now_s()
        asked = self._asked(request, by_input=answer is ResponsesAnswer)
        if request.path == COUNT_TOKENS:
            client.reply(200, encode({"input_tokens": asked.input_tokens}), f"req_{number}")
            return
        if p.faults.hits("error", luck, now_s):
            raise _Refusal(500, "Internal server error")
        if p.faults.hits("overloaded", luck, now_s) or p.is_full():
            raise _Refusal(529, "Overloaded")
        if not p.ask(client, answer(asked, number, int(time.time())), luck):
            raise _Refusal(529, "Overloaded")

    def _asked(self, request: Request, *, by_input: bool) -> Asked:
        p = self._pool
        if request.body is None:
            raise _Refusal(413, "Request exceeds the maximum size: 32 MB")
        try:
            asked = read_asked(request.body, request.headers, p.seed, p.pool.context_most, by_input=by_input)
        except ValueError as err:
            raise _Refusal(400, str(err)) from err
        if asked.model not in p.pool.names:
            raise _Refusal(404, f"model: {asked.model}; here are {', '.join(p.pool.names)}")
        return asked

    def _other(self, request: Request) -> bytes:
        """The answer to what asks for no tokens."""
        match request.method, request.path:
            case "HEAD", "/":
                return b""
            case "GET", "/health":
                if not any(self._pool.replicas.up):
                    raise _Refusal(503, "no replica is up")
                return encode(self._health())
            case "GET", "/v1/models":
                return encode(self._models())
            case "POST", "/emulation/fault":
                try:
                    fault = msgspec.json.decode(request.body or b"", type=Fault)
                except msgspec.DecodeError as err:
                    raise _Refusal(400, str(err)) from err
                self._pool.begin(fault)
                return encode(fault)
        raise _Refusal(404, f"{request.method} {request.path}: unknown path")

    def _health(self) -> dict[str, Any]:
        r = self._pool.replicas
        return {"status": "ok", "replicas": sum(r.up), "running": r.running(), "waiting": r.waiting()}

    def _models(self) -> dict[str, Any]:
        """A list that clients of all three APIs can read."""
        names = self._pool.pool.names
        models = [
            {
                "id": name,
                "object": "model",
                "type": "model",
                "display_name": name,
                "created": 0,
                "created_at": "1970-01-01T00:00:00Z",
                "owned_by": "ampacity",
            }
            for name in names
        ]
        return {"object": "list", "data": models, "has_more": False, "first_id": names[0], "last_id": names[-1]}
