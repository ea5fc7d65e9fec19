"""The words that pass between a client and a pool: heads as they are sent on, and what is said when a pool fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ampacity.gateway.dialects import REASONS, Api, Refusal, error_body, status_in
from ampacity.gateway.request import Head, Request
from ampacity.gateway.upstream import AnswerHead

if TYPE_CHECKING:
    from ampacity.gateway.pools import Pool

# Of one connection, not of the request; or written anew; or a secret between the client and this gateway. Answers are
# to come as they are, since compressed ones do not tell what they cost.
NOT_PASSED_ON = frozenset(
    b"host authorization x-api-key transfer-encoding connection keep-alive proxy-authorization "
    b"proxy-connection proxy-authenticate te trailer upgrade expect accept-encoding cookie".split()
)
NOT_PASSED_BACK = frozenset(
    b"connection keep-alive proxy-authenticate proxy-connection te trailer upgrade request-id x-request-id retry-after "
    b"set-cookie transfer-encoding".split()
)
LIMITS_OF_OTHERS = (b"anthropic-ratelimit-", b"x-ratelimit-")
USUAL = (b"keep-alive", b"close")

OVERLOADED = Refusal(529, "overloaded_error", "No pool has room for this request; try again soon.", 2, True)
CLOSED = Refusal(
    529, "overloaded_error", "All pools of this model are held or gone until an operator opens one.", 60, False
)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_STATUS = {status: f"HTTP/1.1 {status} {words}\r\n".encode() for status, words in REASONS.items()}


def out_of_reach(why: str) -> Refusal:
    """What to say when a pool did not do its work."""
    return Refusal(502, "api_error", f"The model's server did not answer this request: {why}.", None, True)


def broken_off(why: str) -> Refusal:
    """What to say within a stream that does not go on."""
    return Refusal(502, "api_error", f"The answer breaks off here: {why}.", None, True)


def unanswered(why: str) -> Refusal:
    """What to say when this gateway takes back what it had sent to a pool."""
    return Refusal(529, "overloaded_error", f"This request was not answered: {why}; try again soon.", 2, True)


def wait_asked_ms(headers: list[tuple[bytes, bytes]]) -> int:
    """For how long a pool asks to be left alone; 0 if it does not say, or not in seconds. [ms]"""
    for name, value in headers:
        if name == b"retry-after" and value.isdigit():
            return min(int(value[:6]), 3600) * 1000
    return 0


def passed_on(request: Request, pool: Pool, api: Api) -> bytes:
    """A request as it goes to a pool: its own headers but those of its connection and its key; the body as it is."""
    body = request.body
    if pool.renames:
        body = with_model(body, pool.model)
    passed = request.head.passed_on
    if passed is None or passed[0] is not pool:
        passed = request.head.passed_on = (pool, *_passed_on(request.head, pool, api))
    return b"%b%d%b%b" % (passed[1], len(body), passed[2], body)


def _passed_on(head: Head, pool: Pool, api: Api) -> tuple[bytes, bytes]:
    """A head as it goes to a pool, before the length of the body and after it."""
    query = b"?" + head.query if head.query else b""
    to = pool.connections
    before = b"%b %b%b%b HTTP/1.1\r\nhost: %b\r\ncontent-length: "
    dropped = NOT_PASSED_ON
    for name, named in head.headers:
        if name == b"connection" and named.lower() not in USUAL:
            dropped = dropped.union(n.strip().lower() for n in named.split(b","))
    lines = [b"\r\n", pool.key_lines.get(api, b"")]
    lines += [b"%b: %b\r\n" % pair for pair in head.headers if pair[0] not in dropped]
    return before % (head.method, to.prefix, head.path, query, to.authority), b"".join([*lines, b"\r\n"])


def headed(
    head: AnswerHead, length: bytes | None, request_id: str, own: bytes, last: bool, rechunk: bool, unchunk: bool
) -> bytes:
    """The head of an answer as it goes to the client: the pool's, with this gateway's own lines.

    length: of its body, if its head says it.
    """
    if head.passed_back is None:
        head.passed_back = _passed_back(head)
    framed = b""
    if length is not None:
        framed = b"content-length: %b\r\n" % length
    elif rechunk or (head.chunked and not unchunk):
        framed = b"transfer-encoding: chunked\r\n"
    ids = request_id.encode()
    if last:
        own += b"connection: close\r\n"
    return b"%b%brequest-id: %b\r\nx-request-id: %b\r\n%b\r\n" % (head.passed_back, framed, ids, ids, own)


def _passed_back(head: AnswerHead) -> bytes:
    """The lines of an answer's head that go to the client, but those that say where its body ends."""
    lines = [_STATUS.get(head.status) or b"HTTP/1.1 %d Unknown\r\n" % head.status]
    for pair in head.headers:
        name = pair[0]
        if name not in NOT_PASSED_BACK and not name.startswith(LIMITS_OF_OTHERS):
            lines.append(b"%b: %b\r\n" % pair)
    return b"".join(lines)


def refusal(api: Api, why: Refusal, request_id: str, own: bytes, last: bool) -> bytes:
    """An error as a whole answer. own: header lines of its own, each with its end."""
    status = status_in(api, why)
    body = error_body(api, why, request_id)
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\ncontent-type: application/json\r\n".encode(),
        b"content-length: %d\r\n" % len(body),
        f"request-id: {request_id}\r\nx-request-id: {request_id}\r\n".encode(),
    ]
    if why.retry_after_s is not None:
        lines.append(b"retry-after: %d\r\n" % why.retry_after_s)
    if why.retry is not None:
        lines.append(b"x-should-retry: true\r\n" if why.retry else b"x-should-retry: false\r\n")
    if last:
        lines.append(b"connection: close\r\n")
    return b"".join([*lines, own, b"\r\n", body])


def plain_answer(status: int, body: bytes, request_id: str, keep: bool, own: str = "") -> bytes:
    """A whole answer of JSON that is this gateway's own. own: header lines of its own, each with its end."""
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n",
        f"request-id: {request_id}\r\nx-request-id: {request_id}\r\n{own}",
        "\r\n" if keep else "connection: close\r\n\r\n",
    ]
    return "".join(lines).encode() + body


def with_model(body: bytes, model: str) -> bytes:
    """The body with another model's name in it, all other values byte for byte as they are."""
    fields = _fields(body)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(fields)
