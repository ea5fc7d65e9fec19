"""The words that pass between a client and a pool: heads as they are sent on, and what is said when a pool fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ampacity.gateway.dialects import REASONS, Api, Refusal
from ampacity.gateway.request import Request

if TYPE_CHECKING:
    from ampacity.gateway.pools import Pool

# Of one connection, not of the request; or written anew; or a secret between the client and this gateway. Answers are
# to come as they are, since compressed ones do not tell what they cost.
NOT_PASSED_ON = frozenset(
    b"host authorization x-api-key content-length transfer-encoding connection keep-alive proxy-authorization "
    b"proxy-connection proxy-authenticate te trailer upgrade expect accept-encoding cookie".split()
)
NOT_PASSED_BACK = frozenset(
    b"connection keep-alive proxy-authenticate proxy-connection te trailer upgrade request-id x-request-id retry-after "
    b"set-cookie".split()
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
    query = b"?" + request.query if request.query else b""
    key = pool.key_lines.get(api, b"")
    lines = [
        b"%b %b%b%b HTTP/1.1\r\nhost: %b\r\ncontent-length: %d\r\n%b"
        % (request.method, pool.connections.prefix, request.path, query, pool.connections.authority, len(body), key)
    ]
    dropped = NOT_PASSED_ON
    for name, named in request.headers:
        if name == b"connection" and named.lower() not in USUAL:
            dropped = dropped.union(n.strip().lower() for n in named.split(b","))
    lines += [b"%b: %b\r\n" % pair for pair in request.headers if pair[0] not in dropped]
    lines += [b"\r\n", body]
    return b"".join(lines)


def headed(
    status: int,
    headers: list[tuple[bytes, bytes]],
    request_id: str,
    own: bytes,
    last: bool,
    rechunk: bool,
    unchunk: bool,
) -> bytes:
    """The head of an answer as it goes to the client: the pool's, with this gateway's own lines."""
    lines = [_STATUS.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
    for pair in headers:
        name = pair[0]
        if name in NOT_PASSED_BACK or name.startswith(LIMITS_OF_OTHERS):
            continue
        if unchunk and name == b"transfer-encoding":
            continue
        lines.append(b"%b: %b\r\n" % pair)
    if rechunk:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(f"request-id: {request_id}\r\nx-request-id: {request_id}\r\n".encode())
    if last:
        lines.append(b"connection: close\r\n")
    lines += [own, b"\r\n"]
    return b"".join(lines)


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
