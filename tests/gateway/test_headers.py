"""Which headers pass and which do not, in both directions; and how windows are told in the headers of both APIs."""

from __future__ import annotations

import time

import pytest
from gateways import ANSWER, CHAT, HOUR_MS, MESSAGES, STREAM, STREAM_HEAD, Running, Serve, Upstream, chunk, whole

from ampacity.gateway.headers import duration
from ampacity.policy import rows
from ampacity.policy.rows import ONE_REQUEST, SCALE, Price, WindowRule

INPUT = Price(1000, 1000, 0, 0)
OUTPUT = Price(0, 0, 0, 1000)
WEIGHTED = Price(uncached=1000, write=1250, read=100, output=5000)
SPENT = 10 * 1000 + 4 * 1250 + 90 * 100 + 7 * 5000


def test_headers_of_a_connection_and_secrets_do_not_reach_the_upstream(gateway: Running, upstream: Upstream) -> None:
    head = (
        "Connection: keep-alive, X-Private\r\nconnection: x-other\r\nx-private: 1\r\nX-Other: 1\r\nkeep-alive: 5\r\n"
        "te: trailers\r\ntrailer: x\r\nproxy-authorization: Basic x\r\nproxy-connection: x\r\ncookie: a=b\r\n"
        "accept-encoding: gzip\r\nAuthorization: Bearer sk-alice\r\nexpect: nothing\r\nx-kept: 1\r\n"
    )
    assert gateway.post(head=head).status == 200
    asked = upstream.asked[0]
    assert {name for name, _ in asked.headers} == {b"host", b"content-length", b"x-kept"}
    assert asked.values(b"host") == [b"127.0.0.1:%d" % upstream.port]
    assert not any(b"sk-alice" in value for _, value in asked.headers)


@pytest.mark.parametrize(
    ("path", "name", "value"), [(MESSAGES, b"x-api-key", b"sk-own"), (CHAT, b"authorization", b"Bearer sk-own")]
)
def test_a_pool_is_shown_its_own_key(
    serve: Serve, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, path: str, name: bytes, value: bytes
) -> None:
    monkeypatch.setenv("OWN_KEY", "sk-own")
    serve(pool={"key_env": "OWN_KEY"}).post(path=path)
    asked = upstream.asked[0]
    assert asked.values(name) == [value]
    assert len(asked.values(b"x-api-key") + asked.values(b"authorization")) == 1


def test_a_pool_may_stand_behind_a_path(serve: Serve, upstream: Upstream) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    for base, path in (("/", ""), ("/v1", ""), ("/v1/", ""), ("/a/b", "/a/b"), ("/a/v1/", "/a")):
        serve(urls=(url + base,)).post()
        assert upstream.asked[-1].line == f"POST {path}/v1/messages HTTP/1.1".encode()


def test_either_way_to_show_a_key_is_known(gateway: Running) -> None:
    known = (
        "x-api-key: sk-alice",
        "X-API-Key:   sk-bob  ",
        "authorization: bearer sk-alice",
        "Authorization: Bearer  sk-bob",
    )
    for line in known:
        with gateway.client() as client:
            client.send(f"GET /v1/usage HTTP/1.1\r\nhost: x\r\n{line}\r\n\r\n".encode())
            assert client.said().json["subscriber"] == line.strip().rpartition("-")[2]
    for line in (
        "x-api-key: sk-mallory",
        "x-api-key:",
        "authorization: Basic sk-alice",
        "authorization: sk-alice",
        "x: y",
    ):
        with gateway.client() as client:
            client.send(f"GET /v1/usage HTTP/1.1\r\nhost: x\r\n{line}\r\n\r\n".encode())
            assert client.said().status == 401


def test_what_the_upstream_says_of_limits_and_connections_does_not_reach_the_client(
    gateway: Running, upstream: Upstream
) -> None:
    own = (
        b"content-type: application/json\r\nX-RateLimit-Limit-Requests: 9\r\nanthropic-ratelimit-tokens-limit: 9\r\n"
        b"connection: keep-alive\r\nkeep-alive: timeout=5\r\nretry-after: 7\r\nrequest-id: its\r\nx-request-id: t\r\n"
        b"set-cookie: a=b\r\nX-Kept: a\r\nx-kept: b\r\nopenai-processing-ms: 5\r\n"
    )
    upstream.answer = whole(ANSWER, own)
    said = gateway.post()
    names = [name for name, _ in said.headers if not name.startswith("anthropic-ratelimit-unified-")]
    own_names = ["request-id", "x-request-id"]
    assert names == ["content-type", "x-kept", "x-kept", "openai-processing-ms", "content-length", *own_names]
    assert said["request-id"] == said["x-request-id"] != "its"


def test_an_answer_keeps_its_status_in_a_stream_too(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = STREAM_HEAD.replace(b"200 OK", b"299 Own Words") + chunk(STREAM) + chunk(b"")
    assert gateway.post().status == 299


# windows


def test_windows_of_hours_and_days_are_told_as_unified(serve: Serve) -> None:
    windows = (
        WindowRule("five-hour", 200_000, rows.AT_FIRST_USE, 5 * HOUR_MS, WEIGHTED),
        WindowRule("weekly", 1_000_000, rows.AT_FIRST_USE, 168 * HOUR_MS, WEIGHTED),
        WindowRule("of m", 10**9, rows.AT_FIRST_USE, 168 * HOUR_MS, WEIGHTED, families=("m",)),
    )
    gateway = serve(windows=windows)
    assert gateway.post({"model": "m", "max_tokens": 1}).status == 200
    said = gateway.post({"model": "m", "max_tokens": 1})
    own = {k.removeprefix("anthropic-ratelimit-unified-"): v for k, v in said.headers if "unified" in k}
    in_5_hours = time.time() + 5 * 3600
    assert (
        float(own["5h-utilization"]) == 2 * SPENT * 100 // 200_000 / 100
    )  # what both have cost, not what was reserved
    assert own["5h-status"] == "allowed"
    assert abs(int(own["5h-reset"]) - in_5_hours) < 60
    assert abs(int(own["7d-reset"]) - time.time() - 7 * 86400) < 60
    assert (own["status"], own["representative-claim"], own["reset"]) == ("allowed", "five_hour", own["5h-reset"])
    assert own["7d_of_m-status"] == "allowed"


def test_debt_and_warnings_are_told_as_they_are(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("five-hour", SPENT, rows.AT_FIRST_USE, 5 * HOUR_MS, WEIGHTED),))
    small = {"model": "m", "max_tokens": 1}
    gateway.post(small)  # its reservation is smaller than what it costs
    said = gateway.post(small)
    assert said.status == 429
    assert said["anthropic-ratelimit-unified-5h-status"] == "rejected"
    assert said["anthropic-ratelimit-unified-5h-utilization"] == "1.00"
    assert said["anthropic-ratelimit-unified-status"] == "rejected"
    assert int(said["retry-after"] or 0) == pytest.approx(5 * 3600, abs=60)
    assert said["x-should-retry"] == "false"


EVEN = (
    WindowRule("requests", 50 * SCALE, rows.EVENLY, 60_000, ONE_REQUEST),
    WindowRule("tokens", 10_000 * SCALE, rows.EVENLY, 60_000),
    WindowRule("in", 8_000 * SCALE, rows.EVENLY, 60_000, INPUT),
    WindowRule("out", 2_000 * SCALE, rows.EVENLY, 60_000, OUTPUT),
)


def test_stores_that_refill_evenly_are_told_in_anthropics_words(serve: Serve) -> None:
    said = serve(windows=EVEN).post()
    own = {k.removeprefix("anthropic-ratelimit-"): v for k, v in said.headers if k.startswith("anthropic-ratelimit-")}
    assert {k: own[k] for k in own if k.endswith("limit")} == {
        "requests-limit": "50", "tokens-limit": "10000", "input-tokens-limit": "8000", "output-tokens-limit": "2000",
    }  # fmt: skip
    assert int(own["requests-remaining"]) == 49
    assert time.strptime(own["tokens-reset"], "%Y-%m-%dT%H:%M:%SZ")


def test_stores_that_refill_evenly_are_told_in_openais_words(serve: Serve) -> None:
    said = serve(windows=EVEN).post(path=CHAT)
    own = {k.removeprefix("x-ratelimit-"): v for k, v in said.headers if k.startswith("x-ratelimit-")}
    assert own["limit-requests"] == "50"
    assert own["remaining-requests"] == "49"
    assert own["reset-requests"] in ("1s", "2s")
    assert own["limit-tokens"] == "10000"
    assert not any(k.startswith("anthropic") for k, _ in said.headers)


@pytest.mark.parametrize(
    ("ms", "said"),
    [(0, "0ms"), (120, "120ms"), (999, "999ms"), (1000, "1s"), (1001, "2s"), (60_000, "1m0s"), (360_000, "6m0s"),
     (3_600_000, "1h0m0s"), (3_661_000, "1h1m1s")],
)  # fmt: skip
def test_a_wait_is_written_as_openai_does(ms: int, said: str) -> None:
    assert duration(ms) == said.encode()
