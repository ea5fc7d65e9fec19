"""Pools that are full, fail, are held, or go: what becomes of requests, seen from both sides."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from gateways import ANSWER, HOUR_MS, TEAM, Connection, Running, Serve, Upstream, eventually, whole

from ampacity.policy import rows
from ampacity.policy.rows import WindowRule
from ampacity.policy.terms import PoolEvent

FULL = whole(b'{"type":"error"}', b"content-type: application/json\r\nretry-after: 1\r\n", b"529 Overloaded")
BROKEN = whole(b"{}", status=b"500 Internal Server Error")


def states(gateway: Running) -> dict[str, str]:
    """What the operator's side says of each pool."""
    from ampacity.gateway.control import pools

    return gateway.do(lambda g: {str(p["name"]): str(p["state"]) for p in pools(g)})


def slow(seconds: float) -> Any:
    """An upstream's answer that takes so long."""

    def answer(connection: Connection, _: object) -> None:
        time.sleep(seconds)
        connection.send(whole(ANSWER))

    return answer


def together(gateway: Running, count: int) -> list[Any]:
    """So many requests at once, over connections of their own."""
    met: list[Any] = []
    threads = [threading.Thread(target=lambda: met.append(gateway.post())) for _ in range(count)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join(10)
    return met


def test_who_finds_no_room_waits_and_is_answered_when_there_is_some(serve: Serve) -> None:
    upstream = Upstream(slow(0.15))
    gateway = serve(upstream, slots=1)
    began = time.monotonic()
    met = together(gateway, 3)
    assert [said.status for said in met] == [200] * 3
    assert time.monotonic() - began > 0.4  # one after another
    upstream.stop()


def test_who_waits_too_long_is_told_that_the_service_is_overloaded(serve: Serve) -> None:
    upstream = Upstream(slow(1.0))
    gateway = serve(upstream, slots=1, wait_most_ms=200)
    met = sorted(said.status for said in together(gateway, 3))
    assert met == [200, 529, 529]
    upstream.stop()


def test_of_those_who_flood_the_queue_the_last_are_refused_at_once(serve: Serve) -> None:
    upstream = Upstream(slow(0.3))
    gateway = serve(upstream, slots=1, room=2)
    met = sorted(said.status for said in together(gateway, 6))
    assert met == [200, 200, 200, 529, 529, 529]
    upstream.stop()


def test_a_pool_that_fails_is_left_out_and_its_requests_are_answered_by_another(serve: Serve) -> None:
    asked: list[int] = []

    def fails(connection: Connection, _: object) -> None:
        asked.append(1)
        connection.send(BROKEN)

    bad, good = Upstream(fails), Upstream()
    gateway = serve(bad, good)
    assert [gateway.post().status for _ in range(40)] == [200] * 40
    assert 5 <= len(asked) <= 7  # five failures in a row, and perhaps a trial
    bad.stop()
    good.stop()


def test_a_pool_that_says_it_is_full_is_asked_again_when_it_wants_to_be(serve: Serve) -> None:
    asked: list[float] = []

    def full_at_first(connection: Connection, _: object) -> None:
        asked.append(time.monotonic())
        connection.send(FULL if len(asked) == 1 else whole(ANSWER))

    upstream = Upstream(full_at_first)
    gateway = serve(upstream)
    assert gateway.post().status == 200
    assert asked[1] - asked[0] > 0.9  # and before whoever waits is refused
    upstream.stop()


def test_a_pool_that_is_held_takes_nothing_new_and_ends_what_it_has(serve: Serve) -> None:
    upstream = Upstream(slow(0.3))
    gateway = serve(upstream)
    met: list[int] = []
    running = threading.Thread(target=lambda: met.append(gateway.post().status))
    running.start()
    eventually(lambda: gateway.do(lambda g: len(g.exchanges)) == 1)
    assert gateway.do(lambda g: g.hold("pool-0"))
    assert gateway.post().status == 529
    running.join()
    assert met == [200] and states(gateway) == {"pool-0": "held"}
    assert gateway.do(lambda g: g.reopen("pool-0"))
    assert gateway.post().status == 200
    upstream.stop()


@pytest.mark.parametrize("what", ["held", "draining", "gone"])
def test_what_an_operator_said_of_a_pool_holds_after_a_restart(serve: Serve, upstream: Upstream, what: str) -> None:
    gateway = serve(upstream, Upstream())
    later = gateway.do(lambda g: g.clock()) + 60_000

    def say(g: Any) -> None:
        g.hold("pool-0") if what == "held" else g.drain_pool("pool-0", later if what == "draining" else 0)

    gateway.do(say)
    gateway.stop()
    gateway.start()
    eventually(lambda: states(gateway) == {"pool-0": what, "pool-1": "open"})
    gateway.do(lambda g: g.reopen("pool-0"))
    gateway.stop()
    gateway.start()
    assert states(gateway) == {"pool-0": "open", "pool-1": "open"}


def test_a_contract_takes_a_pool_on_its_day_and_gives_it_back(serve: Serve, upstream: Upstream) -> None:
    now = int(time.time() * 1000)
    gone = PoolEvent(now + 300, "pool-0", now + 600, now + 1500, "reclaim")
    gateway = serve(upstream, events=(gone,))
    assert states(gateway) == {"pool-0": "open"} and gateway.post().status == 200
    eventually(lambda: states(gateway) == {"pool-0": "draining"})
    eventually(lambda: states(gateway) == {"pool-0": "gone"})
    assert gateway.post().status == 529
    eventually(lambda: states(gateway) == {"pool-0": "open"})
    assert gateway.post().status == 200


def test_what_a_contract_took_before_the_start_is_not_there(serve: Serve, upstream: Upstream) -> None:
    now = int(time.time() * 1000)
    long_ago = PoolEvent(now - 90_000, "pool-0", now - 60_000, 0, "reclaim")
    back_again = PoolEvent(now - 90_000, "pool-1", now - 60_000, now - 30_000, "reclaim")
    gateway = serve(upstream, Upstream(), events=(long_ago, back_again))
    eventually(lambda: states(gateway)["pool-0"] == "gone")
    assert states(gateway) == {"pool-0": "gone", "pool-1": "open"}
    assert gateway.post().status == 200


def test_a_pool_that_stays_full_is_left_alone_as_long_as_it_asks_also_by_who_gives_up(serve: Serve) -> None:
    asked: list[float] = []

    def full(connection: Connection, _: object) -> None:
        asked.append(time.monotonic())
        connection.send(FULL)

    upstream = Upstream(full)
    gateway = serve(upstream)
    eventually(lambda: gateway.post().status == 529 and len(asked) >= 6, seconds=20)  # not minutes later
    gaps = [b - a for a, b in pairwise(asked)]  # of one request three, if it waits
    assert min(gaps) > 0.9, gaps
    upstream.stop()


def test_a_pool_that_is_ejected_and_sound_again_is_told_in_the_log(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [True]
    upstream = Upstream(lambda to, _: to.send(BROKEN if broken[0] else whole(ANSWER)))
    gateway = serve(upstream)
    for _ in range(5):
        gateway.post()
    said: list[dict[str, Any]] = []

    def told(what: str) -> bool:
        said.extend(json.loads(line) for line in capsys.readouterr().err.splitlines())
        return any(line["what"] == what for line in said)

    eventually(lambda: told("pool ejected"))
    broken[0] = False
    eventually(lambda: gateway.post().status == 200 and told("pool sound again"))
    failed = [line for line in said if line["what"] == "pool failed"]
    eventually(lambda: told("pool failed"))
    assert sum(line.get("times", 1) for line in failed) >= 5
    upstream.stop()


def test_an_operators_word_that_changes_nothing_is_not_in_the_log(
    serve: Serve, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = serve()
    now_ms = gateway.do(lambda g: g.clock())
    assert gateway.do(lambda g: (g.hold("pool-0"), g.hold("pool-0"), g.drain_pool("pool-0", now_ms)))[:2] == (
        True,
        False,
    )
    assert gateway.do(lambda g: g.drain_pool("pool-0", now_ms)) is False
    said = [json.loads(line)["what"] for line in capsys.readouterr().err.splitlines()]
    assert [what for what in said if what in ("hold", "drain", "reclaim")] == ["hold", "reclaim"]


def test_who_waits_is_answered_by_a_pool_that_is_added_meanwhile(serve: Serve) -> None:
    go_on = threading.Event()

    def answer(connection: Connection, _: object) -> None:
        assert go_on.wait(20)
        connection.send(whole(ANSWER))

    busy, added = Upstream(answer), Upstream()
    gateway = serve(busy, slots=1)
    met: list[int] = []
    threads = [threading.Thread(target=lambda: met.append(gateway.post().status)) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: gateway.do(lambda g: g.desk.services["m"].waiting) == 1)
    (service,) = gateway.terms.services
    more = replace(service.pools[0], name="added", url=f"http://127.0.0.1:{added.port}")
    wider = replace(gateway.terms, services=(replace(service, pools=(*service.pools, more)),))
    gateway.do(lambda g: g.change(wider))
    eventually(lambda: met == [200])
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert met == [200, 200] and len(added.asked) == 1
    busy.stop()
    added.stop()


def test_who_asked_under_earlier_terms_is_told_how_their_windows_stand_now(serve: Serve) -> None:
    asked, told = threading.Event(), threading.Event()

    def answer(connection: Connection, _: object) -> None:
        asked.set()
        told.wait(5)
        connection.send(whole(ANSWER))

    gateway = serve(Upstream(answer), windows=(replace(TEAM[0], size=10**6),))
    met: list[Any] = []
    thread = threading.Thread(target=lambda: met.append(gateway.post()))
    thread.start()
    assert asked.wait(5)
    (service,) = gateway.terms.services
    earlier = replace(service, alias="a", pools=(replace(service.pools[0], name="first"),))
    chats = WindowRule("chats", 10**6, rows.AT_FIRST_USE, HOUR_MS, products=("chat",))
    other = replace(gateway.terms, limits={"0": (), "team": (chats, replace(TEAM[0], size=2 * 10**6))})
    gateway.do(lambda g: g.change(replace(other, services=(earlier, service), products=("chat",))))
    told.set()
    thread.join(5)
    after = gateway.post()
    name = "anthropic-ratelimit-unified-5h-reset"
    assert met[0].status == 200 and met[0][name] == after[name] is not None
    assert not any("1h" in header for header, _ in met[0].headers)


def test_after_a_restart_an_operators_later_word_outdoes_a_contracts_earlier_one(
    serve: Serve, upstream: Upstream
) -> None:
    now = int(time.time() * 1000)
    gone = PoolEvent(now - 90_000, "pool-0", now - 60_000, 0, "reclaim")
    back = PoolEvent(now - 90_000, "pool-1", now - 60_000, now - 30_000, "reclaim")
    gateway = serve(upstream, Upstream(), events=(gone, back))
    eventually(lambda: states(gateway) == {"pool-0": "gone", "pool-1": "open"})
    gateway.do(lambda g: (g.reopen("pool-0"), g.hold("pool-1")))
    gateway.stop()
    gateway.start()
    time.sleep(0.3)  # some ticks
    assert states(gateway) == {"pool-0": "open", "pool-1": "held"}


def test_what_was_asked_of_a_pool_and_changed_nothing_is_not_heard_after_a_restart(
    serve: Serve, upstream: Upstream
) -> None:
    gateway = serve(upstream)
    later = gateway.do(lambda g: g.clock()) + 60_000
    assert gateway.do(lambda g: g.drain_pool("pool-0", later))
    assert not gateway.do(lambda g: g.hold("pool-0"))
    gateway.stop()
    gateway.start()
    assert states(gateway) == {"pool-0": "draining"}
