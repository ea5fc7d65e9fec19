"""One answer out of those of several data processes, without any process."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ampacity.console import merged
from ampacity.console.exposition import exposition
from ampacity.console.forecast import measured, quantile
from ampacity.console.views import status_view

OUTCOMES = ("admitted", "queued", "refused", "refused_organization", "no_capacity")
TOKENS = ("uncached", "written", "read", "output")
BUCKETS = 25
counts = st.integers(0, 1 << 40)


def kind(tier: str, alias: str = "coder", n: int = 0, ttft_ms: list[int] | None = None) -> dict[str, Any]:
    """What arrivals of a tier met, every count n."""
    return {
        "tier": tier,
        "alias": alias,
        "outcomes": dict.fromkeys(OUTCOMES, n),
        "tokens": dict.fromkeys(TOKENS, n),
        **dict.fromkeys(("answers", "pool_failures", "ttft_sum_ms", "answer_sum_ms", "tpot_sum_us"), n),
        "ttft_ms": ttft_ms or [n] * BUCKETS,
        "answer_ms": [n] * BUCKETS,
        "tpot_us": [n] * BUCKETS,
        "statuses": {"429": n},
    }


def pool(name: str = "here", state: str = "open", requests: int = 0, slots: int = 4, **other: Any) -> dict[str, Any]:
    """A pool as a data process tells of it."""
    return {
        "name": name, "alias": "coder", "model": "coder", "url": "http://there", "state": state, "deadline_ms": None,
        "requests": requests, "begun": requests, "slots": slots, "backlog_tokens": 10 * requests, "health": "sound",
        "failures_in_a_row": 0, "out_until_ms": None, "pace_ns": 5,
    } | other  # fmt: skip


def status(n: int = 0, kinds: list[dict[str, Any]] | None = None, **other: Any) -> dict[str, Any]:
    """A status in which whatever is counted is n."""
    return {
        "scenario": "toy", "terms": "abc", "now_ms": 1000 + n, "started_ms": n, "uptime_s": 1.0, "process": 100 + n,
        "ready": True, "draining": False, "pools": [pool(requests=n)],
        "services": [{"alias": "coder", "names": ["default"], "waiting": n}],
        "queue": [{"tier": "pro", "alias": "coder", "waiting": n}], "room": 10, "wait_most_ms": 30_000,
        "metrics": {
            "kinds": [kind("pro", n=n)] if kinds is None else kinds,
            "refusals": [{"tier": "pro", "window": "weekly", "owner": "subscriber", "alias": "coder", "count": n}],
            **dict.fromkeys(("malformed", "unauthenticated", "cut_short", "left"), n),
        },
        "exchanges": n, "connections": n, "keys": 7, "subscribers": 5, "cut_off": n,
        "journal": {"last": n, "durable": n, "error": None, "path": f"use-{n}.journal"}, "memory_bytes": n,
    } | other  # fmt: skip


@given(counts)
def test_of_one_data_process_it_is_its_own_answer(n: int) -> None:
    own = status(n)
    assert merged.status([own], {"here": 8}) == own
    rows = [{"now_ms": n, "terms": "b", "share": 0.5}, {"now_ms": n, "terms": "b", "share": 0.7}]
    assert merged.near([rows], 2) == merged.latest([rows], 2) == rows


@given(st.lists(counts, min_size=2, max_size=5))
def test_what_is_counted_is_added(each: list[int]) -> None:
    found = merged.status([status(n) for n in each], {"here": 8})
    total = sum(each)
    (one,) = found["metrics"]["kinds"]
    assert one == kind("pro", n=total)
    assert found["metrics"]["refusals"] == [
        {"tier": "pro", "window": "weekly", "owner": "subscriber", "alias": "coder", "count": total}
    ]
    assert (found["exchanges"], found["connections"], found["memory_bytes"]) == (total, total, total)
    assert found["journal"]["last"] == total and found["room"] == 10 * len(each)
    assert found["queue"] == [{"tier": "pro", "alias": "coder", "waiting": total}]
    assert (found["started_ms"], found["now_ms"]) == (min(each), 1000 + max(each))
    assert (found["keys"], found["subscribers"]) == (7, 5)  # each knows all of them
    assert [w["process"] for w in found["workers"]] == [100 + n for n in each]


@given(st.lists(counts, min_size=3, max_size=3))
def test_in_whichever_order_it_is_merged_the_counts_are_the_same(each: list[int]) -> None:
    forth = merged.metrics([status(n)["metrics"] for n in each])
    assert forth == merged.metrics([status(n)["metrics"] for n in reversed(each)])


def test_kinds_that_one_has_not_met_are_there() -> None:
    found = merged.status([status(kinds=[kind("pro", n=1)]), status(kinds=[kind("api", n=2), kind("pro", n=3)])], {})
    assert [(k["tier"], k["answers"]) for k in found["metrics"]["kinds"]] == [("api", 2), ("pro", 4)]


def test_a_quantile_is_read_from_added_histograms_and_is_no_mean_of_quantiles() -> None:
    """Ninety-nine quick answers at one, one slow one at the other: the median is that of the quick."""
    quick, slow = [0] * BUCKETS, [0] * BUCKETS
    quick[3], slow[13] = 99, 1
    both = [status(kinds=[kind("pro", ttft_ms=quick)]), status(kinds=[kind("pro", ttft_ms=slow)])]
    (one,) = merged.status(both, {})["metrics"]["kinds"]
    assert sum(one["ttft_ms"]) == 100 and 4 <= (quantile(one["ttft_ms"], 0.5) or 0) < 8
    assert 4 <= measured(merged.status(both, {}), "pro")["ttft_p99_ms"] <= 8


def test_a_pool_has_the_slots_of_the_terms_and_the_requests_of_all() -> None:
    (one,) = merged.pools([[pool(requests=3, slots=4)], [pool(requests=2, slots=3)]], {"here": 8})
    assert (one["slots"], one["requests"], one["begun"], one["backlog_tokens"]) == (8, 5, 5, 50)
    (gone,) = merged.pools([[pool(slots=4)], [pool(slots=3)]], {})
    assert gone["slots"] == 7


def test_a_pool_is_as_closed_and_as_ill_as_any_finds_it() -> None:
    draining = pool(state="draining", deadline_ms=50, health="ejected", failures_in_a_row=5, out_until_ms=90)
    (one,) = merged.pools([[pool()], [draining]], {})
    assert (one["state"], one["deadline_ms"]) == ("draining", 50)
    assert (one["health"], one["failures_in_a_row"], one["out_until_ms"]) == ("ejected", 5, 90)


def test_what_differs_and_who_is_silent_is_said_in_words() -> None:
    failing = {"last": 2, "durable": 1, "error": "no room on the disk", "path": "use-2.journal"}
    found = merged.status(
        [status(pools=[pool(state="held")]), None, status(terms="def", journal=failing, ready=False)], {"here": 8}
    )
    assert found["trouble"] == [
        "worker 1 does not answer; its subscribers are refused until it is back",
        "worker 2 refuses its subscribers: its journal cannot be written (no room on the disk)",
        "terms: abc at worker 0, def at worker 2",
        "pool here: held at worker 0, open at worker 2",
    ]
    assert not found["ready"] and found["journal"]["error"] is None
    assert [w["process"] for w in found["workers"]] == [100, None, 100]
    text = status_view(found)
    assert "2 of 3 answer" in text and all(words in text for words in found["trouble"])


def test_the_journal_is_said_to_fail_if_nobody_can_write() -> None:
    failing = {"last": 1, "durable": 1, "error": "no room", "path": "use.journal"}
    assert merged.status([status(journal=failing)] * 2, {})["journal"]["error"] == "no room"


def test_who_is_near_comes_in_one_order() -> None:
    rows = [{"subscriber": name, "organization": None, "share": share} for name, share in (("a", 0.9), ("b", 0.3))]
    other = [{"subscriber": "", "organization": 4, "share": 0.5}]
    assert [n["share"] for n in merged.near([rows, other], 2)] == [0.9, 0.5]


def test_use_is_added_and_what_happened_comes_in_the_order_of_time() -> None:
    def used(who: int, output: int) -> dict[str, Any]:
        return {"subscriber": who, "tier": "pro", "requests": 1, "refused": 0, "output": output}

    found = merged.use([[used(1, 5), used(2, 3)], [used(2, 4)]])
    assert [(u["subscriber"], u["requests"], u["output"]) for u in found] == [(2, 2, 7), (1, 1, 5)]
    refusals = [[{"now_ms": 9}, {"now_ms": 2}], [{"now_ms": 5}]]
    assert [r["now_ms"] for r in merged.latest(refusals, 2)] == [9, 5]


def test_terms_that_all_went_by_in_turn_came_into_force_once() -> None:
    def since(*at: tuple[int, str]) -> list[dict[str, Any]]:
        return [{"now_ms": ms, "terms": terms} for ms, terms in at]

    one = merged.versions([since((40, "a"), (30, "b"), (20, "b"), (1, "a"))])  # a start by the same terms says nothing
    assert one == since((40, "a"), (20, "b"), (1, "a"))
    both = merged.versions([since((20, "b"), (1, "a")), since((21, "b"), (2, "a"))])
    assert both == since((20, "b"), (1, "a"))


def test_prometheus_has_each_by_itself_under_a_label() -> None:
    """A sum over processes would fall when one of them begins anew, and a rate of it would be nonsense."""
    text = exposition([status(1), None]).decode()
    assert 'ampacity_up{worker="0"} 1.0' in text and 'ampacity_up{worker="1"} 0.0' in text
    assert 'ampacity_requests_total{alias="coder",outcome="admitted",tier="pro",worker="0"} 1.0' in text
    alone = exposition([status(1)]).decode()
    assert "worker" not in alone and "ampacity_up 1.0" in alone
    assert text.count("# TYPE ampacity_up gauge") == 1
