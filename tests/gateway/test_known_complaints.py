"""What users of another gateway complain of (threads of BerriAI/litellm), each as a test that it does not happen here.

Those that concern several processes or a shared store (#6288, #35533) have no place: one process decides.
"""

from __future__ import annotations

import threading
import time
import tracemalloc

from gateways import (
    ANSWER,
    CHAT,
    END,
    HOUR_MS,
    START,
    STREAM_HEAD,
    TEAM,
    Asked,
    Running,
    Serve,
    Upstream,
    chunk,
    eventually,
    post,
    whole,
)

from ampacity.journal.records import ABORTED, RELEASED, SETTLED
from ampacity.policy import rows
from ampacity.policy.rows import ONE_REQUEST, SCALE, Price, WindowRule

SMALL = {"model": "m", "max_tokens": 1}


def at_once(gateway: Running, count: int, body: object = None) -> list[int]:
    """The statuses of so many requests over so many connections."""
    clients = [gateway.client() for _ in range(count)]
    for client in clients:
        client.send(post(SMALL if body is None else body))
    statuses = [client.said().status for client in clients]
    for client in clients:
        client.close()
    return statuses


def test_litellm_26672_a_burst_does_not_bypass_the_limit(serve: Serve, upstream: Upstream) -> None:
    """Use is reserved when a request comes, not counted when it is over."""
    upstream.answer = lambda to, _: (time.sleep(0.05), to.send(whole(ANSWER)))
    windows = (WindowRule("requests", 20 * SCALE, rows.AT_FIRST_USE, HOUR_MS, ONE_REQUEST),)
    gateway = serve(windows=windows)
    assert sorted(at_once(gateway, 200)) == [200] * 20 + [429] * 180
    assert len(upstream.asked) == 20


def test_litellm_34732_racing_requests_of_one_session_share_one_limit(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("requests", 5 * SCALE, rows.AT_FIRST_USE, HOUR_MS, ONE_REQUEST),))
    said: list[int] = []

    def ask() -> None:
        said.append(gateway.post(SMALL, head="x-claude-code-session-id: s\r\n").status)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count(200) == 5


def test_litellm_27639_reservations_do_not_leak(serve: Serve, upstream: Upstream) -> None:
    """Whatever ends a request gives back what it reserved, but for what can have been computed for who went."""
    upstream.answer = lambda to, _: to.close()
    gateway = serve(windows=(WindowRule("five-hour", 10_000_000, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    for i in range(20):
        client = gateway.client()
        client.ask({"model": "m", "max_tokens": 500})
        if i % 2:
            client.reset()
        else:
            assert client.said().status in (502, 529)
            client.close()
    eventually(gateway.idle)
    ends, prompt = gateway.ends(), gateway.do(lambda g: g.recorder.last[1][0])
    assert all(end in ((RELEASED, 0, 0, 0, 0), (ABORTED, end[1], 0, 0, 0)) and end[1] <= prompt for end in ends)
    assert (RELEASED, 0, 0, 0, 0) in ends
    assert gateway.used() == sum(end[1] for end in ends) * rows.SCALE


def test_litellm_27735_what_is_enforced_is_what_is_recorded(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = STREAM_HEAD + chunk(START) + chunk(END) + chunk(b"")
    for _ in range(10):
        gateway.post({"model": "m", "stream": True, "max_tokens": 32_000})
    weights = TEAM[0].price
    recorded = sum(
        u * weights.uncached + w * weights.write + r * weights.read + o * weights.output
        for _, u, w, r, o in gateway.ends()
    )
    assert gateway.used() == recorded == 10 * (10 * 1000 + 90 * 100 + 9 * 5000)


def test_litellm_18728_cached_tokens_do_not_count_when_their_weight_is_zero(serve: Serve, upstream: Upstream) -> None:
    free = WindowRule("five-hour", 10**9, rows.AT_FIRST_USE, 5 * HOUR_MS, Price(1000, 1000, 0, 1000))
    gateway = serve(windows=(free,))
    upstream.answer = whole(b'{"usage":{"input_tokens":10,"cache_read_input_tokens":100000,"output_tokens":5}}')
    gateway.post()
    assert gateway.used() == 15 * 1000
    cached = b'{"prompt_tokens":100010,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":100000}}'
    upstream.answer = whole(b'{"usage":' + cached + b"}")
    gateway.post(path=CHAT)
    assert gateway.used() == 30 * 1000


def test_litellm_10555_a_single_request_beyond_a_limit_does_not_pass_twice(serve: Serve, upstream: Upstream) -> None:
    """One that turns out larger than all of the window is charged in full: the next waits."""
    upstream.answer = whole(b'{"usage":{"input_tokens":90000,"output_tokens":90000}}')
    gateway = serve(windows=(WindowRule("five-hour", 100_000 * SCALE, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    assert gateway.post(SMALL).status == 200
    said = gateway.post(SMALL)
    assert said.status == 429
    assert said["anthropic-ratelimit-unified-5h-utilization"] == "1.80"


def test_litellm_4829_limits_hold_for_streams_too(serve: Serve, upstream: Upstream) -> None:
    upstream.answer = STREAM_HEAD + chunk(START) + chunk(END) + chunk(b"")
    gateway = serve(windows=(WindowRule("five-hour", 109 * SCALE, rows.AT_FIRST_USE, 5 * HOUR_MS),))
    assert gateway.post({"model": "m", "stream": True, "max_tokens": 1}).status == 200
    assert gateway.post({"model": "m", "stream": True, "max_tokens": 1}).status == 429


def test_litellm_7129_a_window_comes_back_when_it_was_said_to(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("short", SCALE, rows.AT_FIRST_USE, 300, ONE_REQUEST),))
    assert gateway.post().status == 200
    said = gateway.post()
    assert (said.status, said["retry-after"]) == (429, "1")
    time.sleep(0.31)
    assert gateway.post().status == 200


def test_litellm_23749_no_room_in_one_pool_is_room_in_another(serve: Serve, upstream: Upstream) -> None:
    upstream.answer = whole(b"{}", status=b"429 Too Many Requests")
    other = Upstream()
    gateway = serve(upstream, other)
    assert at_once(gateway, 20) == [200] * 20
    other.stop()


def test_litellm_37592_a_pool_that_is_full_is_left_alone_for_a_while(serve: Serve, upstream: Upstream) -> None:
    upstream.answer = whole(b"{}", b"retry-after: 60\r\n", b"429 Too Many Requests")
    other = Upstream()
    gateway = serve(upstream, other)
    for _ in range(30):
        assert gateway.post().status == 200
    assert len(upstream.asked) <= 2
    other.stop()


def test_litellm_18953_all_of_a_limit_can_be_used_and_a_refusal_locks_nobody_out(serve: Serve) -> None:
    windows = (WindowRule("requests", 10 * SCALE, rows.EVENLY, 1000, ONE_REQUEST),)
    gateway = serve(windows=windows)
    said = [gateway.post().status for _ in range(10)]
    assert said == [200] * 10
    assert at_once(gateway, 20).count(429) >= 18
    time.sleep(0.25)
    assert gateway.post().status == 200


def test_litellm_26378_each_subscriber_has_a_limit_of_their_own(serve: Serve) -> None:
    gateway = serve(windows=(WindowRule("requests", 2 * SCALE, rows.AT_FIRST_USE, HOUR_MS, ONE_REQUEST),))
    assert [gateway.post(key="sk-alice").status for _ in range(3)] == [200, 200, 429]
    assert [gateway.post(key="sk-bob").status for _ in range(3)] == [200, 200, 429]


def test_litellm_12685_a_thousand_requests_leave_no_memory_behind(gateway: Running, upstream: Upstream) -> None:
    def many(count: int) -> None:
        with gateway.client() as client:
            for i in range(count):
                client.ask({"model": "m", "user": f"session {i % 10}"})
                assert client.said().status == 200

    upstream.asked = Forgetful()
    many(200)
    tracemalloc.start()
    try:
        many(100)
        before = tracemalloc.get_traced_memory()[0]
        many(500)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 300_000
    assert {end[0] for end in gateway.ends()} == {SETTLED}


class Forgetful(list[Asked]):
    """An upstream's memory in which nothing stays."""

    def append(self, asked: Asked) -> None:
        pass


def test_litellm_6345_the_last_of_many_is_as_quick_as_the_first(gateway: Running, upstream: Upstream) -> None:
    upstream.asked = Forgetful()

    def seconds(count: int) -> float:
        begun = time.perf_counter()
        with gateway.client() as client:
            for _ in range(count):
                client.ask(SMALL)
                client.said()
        return time.perf_counter() - begun

    seconds(50)
    first = min(seconds(50) for _ in range(4))
    seconds(400)
    assert min(seconds(50) for _ in range(4)) < 3 * first + 0.05


def test_a_client_that_asks_for_32_000_tokens_is_not_charged_for_them(gateway: Running) -> None:
    """As Claude Code does with every request; what is reserved is what such requests have turned out to be."""
    for _ in range(5):
        gateway.post({"model": "m", "max_tokens": 32_000})
    assert gateway.used() == 5 * (10 * 1000 + 4 * 1250 + 90 * 100 + 7 * 5000)
