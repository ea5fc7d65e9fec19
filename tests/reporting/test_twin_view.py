"""What requests meet, on the screen, on the page and as data: the numbers of the cell, nothing else."""

from __future__ import annotations

import pytest

from ampacity.planner.plan import Plan, plan
from ampacity.reporting.page import report
from ampacity.reporting.twin_view import limits_found, twin_chapter, twin_data, twin_rows, twin_sentences
from ampacity.scenario.load import load
from ampacity.simulator import cell_rows as at
from ampacity.simulator.twin import Weeks, twin


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(load("laptop", sets=["worlds=1"]))


@pytest.fixture(scope="module")
def weeks(planned: Plan) -> list[Weeks]:
    return twin(planned.scenario, limits_found(planned), 1, hours=168)


def test_the_windows_of_the_plan_are_those_that_requests_meet(planned: Plan) -> None:
    assert limits_found(planned) == {
        "developers": {w.window: w.tokens.value for w in planned.windows if w.tier == "developers"}
    }


def test_a_line_says_how_many_asked_how_fast_and_what_was_in_memory(weeks: list[Weeks]) -> None:
    (word, line), (_, of_tools) = twin_rows(weeks)
    r = weeks[0].result
    assert word == "requests"
    assert line.startswith(f"developers: {r.count(at.SENT, 'developers'):,} in 168 hours, first token within ")
    assert of_tools.endswith("0 % of input found in memory")


def test_slow_first_tokens_are_said_with_what_makes_them_slow(planned: Plan, weeks: list[Weeks]) -> None:
    roomy = planned.scenario.replace({"placements.code.kv_blocks": 3_000_000, "tiers.developers.people": 10})
    assert twin_sentences(twin(roomy, limits_found(planned), 1, hours=168)) == []
    tight = planned.scenario.replace({"placements.code.kv_blocks": 16_000})
    said, *_ = twin_sentences(twin(tight, limits_found(planned), 1, hours=168))
    assert said.startswith("Request by request this is slow: a tenth of the first tokens of developers take more than ")
    assert "of their input is found in memory" in said


def test_data_holds_every_tier_in_seconds_and_tokens(weeks: list[Weeks]) -> None:
    found = twin_data(weeks)["llama-3.1-70b"]
    r = weeks[0].result
    tier = found["tiers"]["developers"]
    assert tier["answered"] + r.in_flight >= tier["asked"] - tier["lost"]
    assert tier["ttft_s"]["p50"] <= tier["ttft_s"]["p90"] <= tier["ttft_s"]["p99"]
    assert 0 < tier["found_in_memory_tokens"] < tier["input_tokens"]
    assert 0 < found["iteration_running_share"] < 1


def test_the_page_has_a_chapter_after_the_limits(planned: Plan, weeks: list[Weeks]) -> None:
    chapter = twin_chapter(weeks)
    assert chapter is not None
    html = report(planned, requests=chapter).html
    assert html.index("The limits") < html.index("Request by request")
    assert "Nothing fails in it." in html
    assert "Request by request" not in report(planned).html
    assert twin_chapter([]) is None


def test_requests_that_are_left_out_are_told_on_the_screen_and_the_page(planned: Plan) -> None:
    tiny = planned.scenario.replace({"placements.code.kv_blocks": 5_000})
    found = twin(tiny, limits_found(planned), 1, hours=24)
    told = f"{found[0].left_out:,} of more context than a replica holds, or that would have followed one"
    assert twin_rows(found)[-1] == ("requests", f"left out: {told}")
    chapter = twin_chapter(found)
    assert chapter is not None
    assert any(told in sentence for sentence in chapter.said)
