"""What is refused is said in the shape of the API that was asked, with all that a client needs to go on."""

from __future__ import annotations

import pytest
from gateways import (
    ANSWER,
    CHAT,
    HOUR_MS,
    MESSAGES,
    SECONDS,
    TEAM,
    Asked,
    Client,
    Connection,
    Running,
    Serve,
    Upstream,
    eventually,
    whole,
)

from ampacity.gateway.dialects import Api, Refusal, error_body, error_event, status_in
from ampacity.journal import opening, read
from ampacity.policy import rows
from ampacity.policy.rows import ONE_IN_FLIGHT, SCALE, WindowRule

BOTH = [MESSAGES, CHAT, "/v1/responses"]


def kind_of(said: object, path: str) -> str:
    """The type of an error, once its shape has been looked at."""
    assert isinstance(said, dict)
    if path == MESSAGES:
        assert set(said) == {"type", "error", "request_id"}
        assert said["type"] == "error"
        assert set(said["error"]) == {"type", "message"}
    else:
        assert set(said) == {"error"}
        assert set(said["error"]) == {"message", "type", "param", "code"}
    assert said["error"]["message"]
    return str(said["error"]["type"])


@pytest.mark.parametrize("path", BOTH)
def test_no_key_is_a_401(gateway: Running, upstream: Upstream, path: str) -> None:
    said = gateway.post(path=path, key="sk-mallory")
    assert said.status == 401
    assert kind_of(said.json, path) == ("authentication_error" if path == MESSAGES else "invalid_request_error")
    assert said["request-id" if path == MESSAGES else "x-request-id"]
    assert upstream.asked == []


@pytest.mark.parametrize("path", BOTH)
def test_a_model_that_is_not_there_is_a_404_that_names_those_that_are(gateway: Running, path: str) -> None:
    said = gateway.post({"model": "gpt-ü"}, path=path)
    assert said.status == 404
    assert kind_of(said.json, path) == ("not_found_error" if path == MESSAGES else "invalid_request_error")
    assert "gpt-ü" in said.json["error"]["message"]
    assert "there are: m" in said.json["error"]["message"]


def test_another_path_is_a_404_and_another_method_a_405(gateway: Running) -> None:
    with gateway.client() as client:
        for line, status in (
            ("GET /v1/nothing", 404), ("GET /v1/messages", 405), ("DELETE /v1/models", 405), ("GET /v1/messages/", 404),
            ("GET /v1/models/x", 404), ("GET /v1/models/m", 200), ("GET //v1/models", 404), ("OPTIONS * ", 404),
            ("POST http://x/v1/messages", 404),
        ):  # fmt: skip
            client.send(f"{line} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\nanthropic-version: x\r\n\r\n".encode())
            said = client.said()
            assert said.status == status, line
            assert status == 200 or kind_of(said.json, MESSAGES)


def test_a_mistaken_path_or_method_is_told_what_is_expected(gateway: Running) -> None:
    with gateway.client() as client:
        client.send(b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n")
        said = client.said()
        assert "'/v1/nothing'" in said.json["error"]["message"] and "/v1/messages" in said.json["error"]["message"]
        assert said.json["error"]["code"] == "unknown_url"
        client.send(b"GET /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n")
        said = client.said()
        assert said["allow"] == "POST" and "asked with POST, not GET" in said.json["error"]["message"]
        client.send(b"GET /v1/models/x HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n")
        assert "there are: m" in client.said().json["error"]["message"]


def test_to_show_no_key_is_told_from_a_wrong_one(gateway: Running) -> None:
    with gateway.client() as client:
        client.send(b"GET /v1/usage HTTP/1.1\r\nhost: x\r\n\r\n")
        assert "No key is shown" in client.said().json["error"]["message"]
        client.send(b"GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: sk-no\r\n\r\n")
        assert "This key is not known here" in client.said().json["error"]["message"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/v1/usage", "/v1/nothing"])
def test_every_answer_has_a_request_id_in_both_spellings(gateway: Running, path: str) -> None:
    with gateway.client() as client:
        client.send(f"GET {path} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n".encode())
        said = client.said()
    assert said["request-id"] and said["request-id"] == said["x-request-id"]


def test_a_model_all_of_whose_pools_are_held_is_not_worth_another_try(gateway: Running) -> None:
    assert gateway.do(lambda g: g.hold("pool-0"))
    said = gateway.post()
    assert (said.status, said["x-should-retry"], said["retry-after"]) == (529, "false", "60")
    assert "held or gone" in said.json["error"]["message"]
    with gateway.client() as client:
        client.send(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.said().status == 503
        assert gateway.do(lambda g: g.reopen("pool-0"))
        client.send(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.said().status == 200


def test_whoever_is_refused_reads_in_their_usage_that_they_would_be(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("five-hour", 500_000, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    while (said := gateway.post({"model": "m", "max_tokens": 1000})).status == 200:
        pass
    assert "less than this request is expected to take" in said.json["error"]["message"]
    with gateway.client() as client:
        client.send(b"GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n")
        (told,) = client.said().json["models"].values()
    assert told["admits"] is False
    assert "less than your last request, asked again, is expected to take" in told["sentence"]


def test_of_several_windows_the_one_that_refuses_longest_is_told_and_recorded(serve: Serve) -> None:
    windows = tuple(
        WindowRule(name, size, rows.AT_FIRST_USE, hours * HOUR_MS)
        for name, size, hours in (("hour", 200_000, 1), ("day", 200_000, 24), ("five-hour", 200_000, 5))
    )
    gateway = serve(windows=windows)
    while (said := gateway.post()).status == 200:
        pass
    assert said.json["error"]["message"].startswith("The day window")
    assert said["anthropic-ratelimit-unified-representative-claim"] == "one_day"
    assert int(said["retry-after"] or 0) == pytest.approx(24 * 3600, abs=60)
    with opening.for_reading(gateway.folder / "journal") as db:
        eventually(lambda: read.refusals(db))
        assert [a.place for a in read.refusals(db)] == ["day"]
    told = gateway.do(lambda g: dict(g.refusals.said))
    assert told[said["request-id"]][1] == said.json["error"]["message"]


def test_who_has_too_many_in_flight_is_to_try_again_soon(serve: Serve, upstream: Upstream) -> None:
    windows = (WindowRule("at once", SCALE, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT), *TEAM[:1])
    gateway = serve(windows=windows)
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as client:
        client.ask()
        eventually(lambda: upstream.asked)
        said = gateway.post()
    assert said.status == 429 and "in flight" in said.json["error"]["message"]
    assert (said["retry-after"], said["x-should-retry"]) == ("1", "true")


def test_who_is_refused_for_what_their_own_requests_reserve_is_to_come_again_soon(
    serve: Serve, upstream: Upstream
) -> None:
    gateway = serve(windows=(WindowRule("five-hour", 200_000, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    upstream.answer = lambda to, _: to.until_gone()
    clients = [gateway.client() for _ in range(4)]  # nothing is known of them: a quarter of the window is reserved each
    for i, client in enumerate(clients):
        client.ask()
        eventually(lambda n=i + 1: len(upstream.asked) == n)
    said = gateway.post()
    assert (said.status, said["retry-after"], said["x-should-retry"]) == (429, "10", "true")
    assert "reserved for requests in flight, and they do not need, returns as they end" in said.json["error"]["message"]
    for client in clients:
        client.close()
    eventually(gateway.idle)
    upstream.answer = whole(ANSWER)
    assert gateway.post().status == 200


def test_who_waited_in_vain_is_known_by_the_id_that_they_were_told(serve: Serve, upstream: Upstream) -> None:
    gateway = serve(slots=1, wait_most_ms=200)
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as client:
        client.ask()
        eventually(lambda: upstream.asked)
        said = gateway.post(key="sk-bob")
    assert said.status == 529
    told = gateway.do(lambda g: dict(g.refusals.said))
    assert told[said["request-id"]][1] == said.json["error"]["message"]


def test_whoever_has_asked_little_is_judged_by_what_they_ask(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("five-hour", 10_000_000, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    for _ in range(2):
        assert gateway.post({"model": "m", "max_tokens": 9}).status == 200  # the prior is more than the window holds
        with gateway.client() as client:
            client.send(b"GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n")
            (told,) = client.said().json["models"].values()
        assert told["admits"] is True


def test_usage_says_that_no_pool_takes_requests(gateway: Running) -> None:
    assert gateway.do(lambda g: g.hold("pool-0"))
    with gateway.client() as client:
        client.send(b"GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n")
        (told,) = client.said().json["models"].values()
    assert told["admits"] is False and told["sentence"].startswith("All pools of this model are held or gone")


@pytest.mark.parametrize("path", BOTH)
def test_a_full_window_is_a_429_that_says_when(serve: Serve, upstream: Upstream, path: str) -> None:
    gateway = serve(windows=(WindowRule("five-hour", 60_000, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    for _ in range(9):
        said = gateway.post({"model": "m", "max_tokens": 1}, path)
    assert said.status == 429
    assert kind_of(said.json, path) == ("rate_limit_error" if path == MESSAGES else "tokens")
    assert path == MESSAGES or said.json["error"]["code"] == "rate_limit_exceeded"
    assert 4 * 3600 < int(said["retry-after"] or 0) <= 5 * 3600
    assert said["x-should-retry"] == "false"
    assert "five-hour" in said.json["error"]["message"]
    assert said["connection"] is None


def test_a_window_that_is_back_soon_may_be_tried_again(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("requests", 2 * SCALE, rows.EVENLY, 10_000, rows.ONE_REQUEST),))
    for _ in range(3):
        said = gateway.post()
    assert (said.status, said["x-should-retry"]) == (429, "true")
    assert 1 <= int(said["retry-after"] or 0) <= 6


@pytest.mark.parametrize("path", BOTH)
def test_a_pool_that_refuses_connections_is_a_502(serve: Serve, path: str) -> None:
    gone = Upstream()
    gone.stop()
    said = serve(gone).post(path=path)
    assert said.status == 502
    assert kind_of(said.json, path) == ("api_error" if path == MESSAGES else "server_error")
    assert said["x-should-retry"] == "true"


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"529 Overloaded", b"503 Service Unavailable"])
@pytest.mark.parametrize("path", BOTH)
def test_a_full_pool_is_overload_and_not_a_limit(serve: Serve, upstream: Upstream, path: str, status: bytes) -> None:
    upstream.answer = whole(b'{"error":"theirs"}', b"retry-after: 3600\r\n", status)
    said = serve(wait_most_ms=50).post(path=path)
    assert said.status == (529 if path == MESSAGES else 503)
    assert kind_of(said.json, path) == ("overloaded_error" if path == MESSAGES else "server_error")
    assert said["x-should-retry"] == "true"
    assert int(said["retry-after"] or 0) >= 1


@pytest.mark.parametrize(
    "status", [b"500 Internal Server Error", b"502 Bad Gateway", b"504 Timeout", b"401 Unauthorized"]
)
def test_a_pool_that_fails_is_a_502_and_its_words_stay_here(
    gateway: Running, upstream: Upstream, status: bytes
) -> None:
    upstream.answer = whole(b"the key sk-own is not known", status=status)
    said = gateway.post()
    assert said.status == 502
    assert kind_of(said.json, MESSAGES) == "api_error"
    assert b"sk-own" not in said.body


@pytest.mark.parametrize("status", [b"500 Internal Server Error", b"429 Too Many Requests"])
def test_another_pool_is_asked_instead(serve: Serve, upstream: Upstream, status: bytes) -> None:
    upstream.answer = whole(b"no", status=status)
    other = Upstream()
    gateway = serve(upstream, other)
    for _ in range(10):
        assert gateway.post().body == ANSWER
    assert upstream.asked
    assert len(other.asked) == 10
    assert len(gateway.ends()) == 10
    other.stop()


@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found", b"413 Too Large", b"422 Unprocessable"])
def test_what_a_pool_says_of_the_request_itself_passes(gateway: Running, upstream: Upstream, status: bytes) -> None:
    upstream.answer = whole(b'{"error":{"message":"your mistake"}}', status=status)
    said = gateway.post()
    assert (said.status, said.json["error"]["message"]) == (int(status[:3]), "your mistake")
    assert gateway.used() == 0


def test_errors_leave_the_connection_open(gateway: Running) -> None:
    with gateway.client() as client:
        for _ in range(3):
            client.ask(key="sk-mallory")
            assert client.said().status == 401
            client.ask()
            assert client.said().status == 200


def test_in_flight_windows_free_as_answers_end(serve: Serve, upstream: Upstream) -> None:
    go: list[Connection] = []
    upstream.answer = lambda to, _: go.append(to)
    gateway = serve(windows=(WindowRule("in flight", 3 * SCALE, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT),))
    clients = [gateway.client() for _ in range(3)]
    for client in clients:
        client.ask()
    eventually(lambda: len(go) == 3)
    assert gateway.post().status == 429
    go[0].send(whole(ANSWER))
    statuses = []
    eventually(lambda: any(_answered(c) and statuses.append(1) is None for c in clients))
    fourth = gateway.client()
    fourth.ask()
    eventually(lambda: len(go) == 4)
    for connection in go[1:]:
        connection.send(whole(ANSWER))
    assert fourth.said().status == 200
    for client in (*clients, fourth):
        client.close()


def _answered(client: Client) -> bool:
    client.sock.settimeout(0.01)
    try:
        return bool(client.more())
    except TimeoutError:
        return False
    finally:
        client.sock.settimeout(SECONDS)


def test_the_queue_gives_up_in_words(serve: Serve, upstream: Upstream) -> None:
    def answer(to: Connection, _: Asked) -> None:
        to.until_gone()

    upstream.answer = answer
    gateway = serve(slots=1, wait_most_ms=50, windows=TEAM)
    with gateway.client() as first:
        first.ask()
        eventually(lambda: upstream.asked)
        said = gateway.post()
        assert (said.status, kind_of(said.json, MESSAGES)) == (529, "overloaded_error")


@pytest.mark.parametrize("api", ["anthropic", "openai"])
@pytest.mark.parametrize("message", ['"quoted"\n', "ü\u2028", "\x00"])
def test_words_of_any_letters_make_one_event(api: Api, message: str) -> None:
    refusal = Refusal(529, "overloaded_error", message)
    event = error_event(api, refusal, "req_1")
    assert event.count(b"\n\n") == 1
    assert event.endswith(error_body(api, refusal, "req_1") + b"\n\n")
    assert status_in(api, refusal) == (529 if api == "anthropic" else 503)
