"""Several data processes of one service: asked and told as one, each with its own subscribers and its own journal."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from ampacity.cli import app
from ampacity.console import workers
from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.openapi import STATUS
from ampacity.console.republish import Republishing
from ampacity.console.workers import DoneInSome

SEVERAL = 2


def test_what_both_have_met_is_told_as_one(both: Any) -> None:
    mia, nia = both.key_at(0, "mia"), both.key_at(1, "nia")
    asked = [both.post(name, key)[0] for name, key in (("mia", mia), ("nia", nia), ("nia", nia))]
    assert asked == [200, 200, 200]
    status = both.operator.status()
    (kind,) = status["metrics"]["kinds"]
    assert kind["answers"] == sum(kind["answer_ms"]) == 3 and kind["tokens"]["output"] == 60
    assert sum(kind["ttft_ms"]) == 0  # they came whole
    (pool,) = status["pools"]
    assert (pool["slots"], pool["state"]) == (8, "open") and status["ready"] and status["trouble"] == []
    assert len({w["process"] for w in status["workers"]}) == SEVERAL and set(status) == set(STATUS["properties"])
    assert [(u["subscriber"], u["requests"], u["output"]) for u in both.operator.use()] == [
        ("nia", 2, 40),
        ("mia", 1, 20),
    ]
    assert [(n["subscriber"], n["share"]) for n in both.operator.near(2)] == [("nia", 0.024), ("mia", 0.012)]
    assert [used(both, who) for who in ("mia", "nia")] == [120, 240]
    shown = CliRunner().invoke(app, ["show", "use", str(both.folder.path), "--json", "-"])
    assert sum(u["requests"] for u in json.loads(shown.stdout)["use"]) == 3


def used(both: Any, who: str) -> float:
    """What somebody has used of their first window."""
    return float(both.operator.standing(who)["models"]["coder"]["windows"][0]["used"])


def test_a_refusal_is_explained_by_whoever_refused(both: Any, toy_terms: Any, model_url: str) -> None:
    both.operator.change_terms(toy_terms(model_url, five_hour=150).text())
    for worker, name in ((1, "rita"), (0, "rolf")):
        key = both.key_at(worker, name)
        (_, _), (status, headers) = both.post(name, key), both.post(name, key)
        told = both.operator.explain(headers["request-id"])
        assert status == 429 and told["worker"] == worker and "five-hour window" in told["sentence"]
        assert both.operator.explain(name)["refusals"][0]["ordinal"] == told["ordinal"]
    assert [r["subscriber"] for r in both.operator.refusals()] == ["rolf", "rita"]
    assert [len(v["terms"]) for v in both.operator.versions()] == [16, 16]  # each once, though both went by them
    with pytest.raises(NotDone, match="no request of that id was refused"):
        both.operator.explain("req_00")


def test_terms_and_moves_are_of_all_and_keys_are_known_to_all(both: Any, toy_terms: Any, model_url: str) -> None:
    before = both.operator.status()["terms"]
    answer = both.operator.change_terms(toy_terms(model_url, name="tighter").text())
    assert [s and s["terms"] for s in both.operator.statuses()] == [answer["terms"]] * SEVERAL != [before] * SEVERAL
    assert both.operator.move("hold", "here")["state"] == "held"
    assert [s and s["pools"][0]["state"] for s in both.operator.statuses()] == ["held"] * SEVERAL
    with pytest.raises(NotDone, match="changes nothing"):
        both.operator.move("hold", "here")
    ask(both.each[0].folder.speaking, "pool", pool="here", action="reopen")
    assert both.operator.status()["trouble"] == ["pool here: open at worker 0, held at worker 1"]
    assert both.operator.move("reopen", "here")["state"] == "open" and both.operator.status()["trouble"] == []
    both.operator.make_key("kim")
    assert [s and s["keys"] for s in both.operator.statuses()] == [1] * SEVERAL
    assert both.operator.checkpoint()["durable"] > 0


def test_terms_that_one_refuses_are_in_force_in_none(both: Any, toy_terms: Any, model_url: str) -> None:
    """The second one has a tier that the others never heard of, so it keeps what it has."""
    there = toy_terms(model_url)
    own = replace(there, tiers=(*there.tiers, replace(there.tiers[0], name="own")))
    ask(both.each[1].folder.speaking, "terms", text=own.text())
    before = [s and s["terms"] for s in both.operator.statuses()]
    with pytest.raises(NotDone, match=r"worker 1: .*those in force stay.*those before are in force everywhere"):
        both.operator.change_terms(toy_terms(model_url, name="tighter").text())
    assert [s and s["terms"] for s in both.operator.statuses()] == before
    assert both.operator.terms.name == "toy" and "goes by" not in str(both.operator.audit())


def test_limits_are_planned_anew_in_all_of_them_when_a_pool_goes(both: Any) -> None:
    (service,) = both.operator.terms.services
    two = replace(service, pools=(*service.pools, replace(service.pools[0], name="there")))
    both.operator.change_terms(replace(both.operator.terms, services=(two,)).text())
    asked: list[tuple[str, ...]] = []
    smaller = replace(both.operator.terms, limits={"team": ()}, caps=())

    def planning(without: tuple[str, ...]) -> Any:
        asked.append(without)
        return SimpleNamespace(title=str, planned=lambda: SimpleNamespace(terms=smaller), end=lambda: None)

    said: list[str] = []
    republishing = Republishing(both.folder, planning, said.append)
    republishing.look()
    both.operator.move("reclaim", "there")
    republishing.look()
    republishing._at_work.join(30)  # type: ignore[union-attr]
    assert asked == [("there",)] and said == [
        "limits planned anew without there, and in force: team five-hour 10 k to nothing; team weekly 100 k to nothing"
    ]
    assert both.operator.terms.limits["team"] == () and both.operator.status()["trouble"] == []
    assert len({s["terms"] for s in both.operator.statuses()}) == 1


def test_while_one_is_away_the_other_answers_and_nothing_is_done_by_halves_unsaid(both: Any, toy_terms: Any) -> None:
    mia, nia = both.key_at(0, "mia"), both.key_at(1, "nia")
    both.post("nia", nia)
    away = both.each[1]
    away.process.send_signal(signal.SIGKILL)
    away.process.wait(5)
    status = both.operator.status()
    assert not status["ready"] and status["workers"][1]["process"] is None
    assert status["trouble"] == ["worker 1 does not answer; its subscribers are refused until it is back"]
    assert both.post("mia", mia)[0] == 200
    assert {u["subscriber"] for u in both.operator.use()} == {"mia", "nia"}
    with pytest.raises(NotServing):
        both.operator.standing("nia")
    with pytest.raises(NotServing):
        both.operator.change_terms(toy_terms(away.url, name="tighter").text())
    assert both.operator.terms.name == "toy"
    with pytest.raises(DoneInSome, match="worker 1 did not answer"):
        both.operator.move("hold", "here")
    assert both.operator.audit()[0]["what"] == "hold, not heard by all"
    away.again()
    workers.tell_again(both.folder, away.folder)
    assert [s and s["pools"][0]["state"] for s in both.operator.statuses()] == ["held"] * SEVERAL
    assert used(both, "nia") == 120
    away.process.terminate()
    away.process.wait(10)


def test_whoever_comes_to_an_organization_elsewhere_is_told_that_windows_begin_anew(both: Any) -> None:
    both.operator.set_organization("acme", "firm")  # number 1
    both.key_at(0, "zoe")
    assert "worker 1 decides on them now" in both.operator.set_subscriber("zoe", organization="acme")["note"]
    both.key_at(1, "yan")
    assert "note" not in both.operator.set_subscriber("yan", organization="acme")
    assert workers.decides_on(both.folder, "zoe") == workers.decides_on(both.folder, "yan") == 1


def test_told_to_stop_all_of_them_end(both: Any) -> None:
    both.operator.stop()
    assert [one.process.wait(10) for one in both.each] == [0] * SEVERAL
    with pytest.raises(NotServing):
        both.operator.status()
