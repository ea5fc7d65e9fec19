"""What an operator asks a data process while it serves, and what becomes of it."""

from __future__ import annotations

import http.client
import json
import signal
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.folder import write_json
from ampacity.console.keys import KeyMistake
from ampacity.console.republish import closed_before
from ampacity.console.views import explain_view, pool_view
from ampacity.policy import rows
from ampacity.policy.terms import ServiceTerms, TermsError, TierTerms
from ampacity.simulator.journal_replay import replay


def test_the_socket_is_its_owners_alone(shared: Any) -> None:
    assert stat.S_IMODE(shared.folder.control.stat().st_mode) == 0o600


def test_status_tells_what_has_happened(shared: Any) -> None:
    key = shared.operator.make_key("stella")["key"]
    before = shared.operator.status()
    assert shared.post(key)[0] == 200
    after = shared.operator.status()
    (pool,) = after["pools"]
    assert (pool["name"], pool["state"], pool["health"], pool["slots"]) == ("here", "open", "sound", 8)
    assert after["ready"] and after["journal"]["durable"] == after["journal"]["last"] > before["journal"]["last"]
    assert after["journal"]["error"] is None
    kind = next(k for k in after["metrics"]["kinds"] if k["tier"] == "developers")
    assert kind["alias"] == "coder" and kind["tokens"]["output"] >= 20
    assert 10e6 < after["memory_bytes"] < 80e6


def test_a_model_answers_to_all_its_names_and_counts_once(shared: Any) -> None:
    key = shared.operator.make_key("nora")["key"]
    assert [shared.post(key, model=m)[0] for m in ("default", "coder", "nothing")] == [200, 200, 404]
    assert list(shared.operator.standing("nora")["models"]) == ["coder"]


def test_a_key_works_from_when_it_is_made_until_it_is_revoked(shared: Any) -> None:
    made = shared.operator.make_key("kim")
    assert shared.post(made["key"])[0] == 200
    shared.operator.revoke(made["id"])
    assert shared.post(made["key"])[0] == 401


def test_standing_near_and_use_know_who_asked(shared: Any) -> None:
    key = shared.operator.make_key("uma")["key"]
    for _ in range(3):
        shared.post(key)
    windows = shared.operator.standing("uma")["models"]["coder"]["windows"]
    assert [w["used"] for w in windows] == [360, 360]
    assert next(n for n in shared.operator.near() if n["subscriber"] == "uma")["share"] == 0.036
    (row,) = (u for u in shared.operator.use() if u["subscriber"] == "uma")
    assert (row["requests"], row["uncached"], row["output"]) == (3, 300, 60)


def test_an_organization_is_near_its_limit_by_its_name(shared: Any) -> None:
    shared.operator.set_organization("acme", "firm")
    for name in ("anna", "arno"):
        shared.post(shared.operator.make_key(name, tier="tools", organization="acme")["key"])
    near = {n["subscriber"]: n for n in shared.operator.near()}
    assert near["organization acme"]["share"] == 0.024 and near["organization acme"]["window"] == "five-hour"
    assert near["organization acme"]["back_ms"] > shared.operator.status()["now_ms"] and "anna" not in near


def test_a_request_for_which_there_is_no_pool_is_counted_once(live: Any) -> None:
    key = live.operator.make_key("olga")["key"]
    live.operator.move("hold", "here")
    assert live.post(key)[0] == 529
    (kind,) = live.operator.status()["metrics"]["kinds"]
    assert kind["outcomes"] == {"admitted": 0, "queued": 0, "refused": 0, "refused_organization": 0, "no_capacity": 1}


def test_a_refusal_is_explained_by_its_id_and_by_whom_it_hit(live: Any, toy_terms: Any) -> None:
    live.operator.change_terms(toy_terms(live.url, five_hour=150).text())
    key = live.operator.make_key("rita")["key"]
    answers = [live.post(key) for _ in range(3)]
    assert [a[0] for a in answers] == [200, 429, 429]
    told = live.operator.explain(answers[1][1]["request-id"])
    assert "five-hour window" in told["sentence"]
    assert told["sentence"] == json.loads(answers[1][2])["error"]["message"]
    about = live.operator.explain("rita")
    assert [(r["outcome"], r["window"]) for r in about["refusals"]] == [("refused", "five-hour")] * 2
    assert about["refusals"][1]["ordinal"] == told["ordinal"]


def test_who_is_not_there_is_said(shared: Any) -> None:
    with pytest.raises(NotDone, match="no request of that id was refused"):
        shared.operator.explain("req_00")
    with pytest.raises(NotDone, match="no key that is in force"):
        shared.operator.standing("nobody")


def test_other_terms_come_into_force_and_no_stream_is_dropped(
    live: Any, toy_terms: Any, stay: Callable[[], None]
) -> None:
    key = live.operator.make_key("tara")["key"]
    live.post(key)
    connection, response = live.open(key, stream=True)
    assert response.readline().startswith(b"event: message_start")
    before = live.operator.status()["terms"]
    answer = live.operator.change_terms(toy_terms(live.url, five_hour=250, name="tighter").text())
    assert answer["terms"] == live.operator.status()["terms"] != before
    stay()
    assert b"message_stop" in response.read()
    connection.close()
    (five_hour, _) = live.operator.standing("tara")["models"]["coder"]["windows"]
    assert (five_hour["used"], five_hour["size"]) == (240, 250)
    assert live.post(key)[0] == 429
    assert live.operator.terms.name == "tighter"
    assert (
        answer["changed"] == "firm five-hour 10 k to 250; firm weekly 100 k to 2.5 k; team five-hour 10 k to 250; "
        "team weekly 100 k to 2.5 k"
    )
    (told, *_) = live.operator.audit()
    assert (told["what"], told["subject"]) == (f"terms {answer['terms']} in force", answer["changed"])
    assert [v["terms"] for v in live.operator.versions()] == [answer["terms"], before]


def test_a_service_that_runs_gains_and_loses_an_alias_a_limit_a_tier_and_a_product(
    live: Any, toy_terms: Any, stay: Callable[[], None]
) -> None:
    key = live.operator.make_key("vera")["key"]
    live.post(key)
    plain, process = toy_terms(live.url), live.operator.status()["process"]
    connection, response = live.open(key, stream=True)
    assert response.readline().startswith(b"event: message_start")
    (pool,) = plain.services[0].pools
    (five_hour, weekly) = plain.limits["team"]
    chats = replace(five_hour, name="chats", size=300 * rows.SCALE, products=("chat",))
    larger = replace(
        plain,
        limits=plain.limits | {"all": (weekly, chats)},
        tiers=(*plain.tiers, TierTerms("guests", "all")),
        services=(ServiceTerms("writer", (replace(pool, name="there"),)), *plain.services),
        products=("chat",),
    )
    answer = live.operator.change_terms(larger.text())
    assert answer["changed"] == (
        "model writer comes; tier guests comes; pool there comes; all weekly nothing to 100 k; all chats nothing to 300"
    )
    guest = live.operator.make_key("gast", tier="guests", product="chat")["key"]
    assert [live.post(guest, model=m)[0] for m in ("writer", "default", "writer")] == [200, 200, 429]
    assert live.post(key, model="writer")[0] == 200
    answer = live.operator.change_terms(replace(larger, services=plain.services).text())
    assert answer["changed"] == "model writer goes; pool there goes"
    assert live.post(key, model="writer")[0] == 404
    assert [p["state"] for p in live.operator.status()["pools"]] == ["open", "gone"]
    stay()
    assert b"message_stop" in response.read()
    connection.close()
    windows = live.operator.standing("vera")["models"]["coder"]["windows"]
    assert [w["used"] for w in windows] == [360, 360]  # what was asked of the alias that went is used all the same
    assert live.operator.status()["process"] == process
    live.process.kill()
    live.process.wait(10)
    live.again()
    live.post(key)
    assert live.operator.standing("vera")["models"]["coder"]["windows"][0]["used"] == 480
    live.operator.stop()
    live.process.wait(10)
    found = replay(live.folder.journal)
    assert (found.differing, found.same) == ((), found.decisions)


def test_a_limit_that_an_organization_has_does_not_go_while_it_serves(live: Any, toy_terms: Any) -> None:
    live.operator.set_organization("acme", "firm")
    key = live.operator.make_key("anna", organization="acme")["key"]
    plain = toy_terms(live.url)
    without = replace(plain, limits={n: w for n, w in plain.limits.items() if n != "firm"})
    with pytest.raises(NotDone, match="'firm' would go, and the organization of anna has it"):
        live.operator.change_terms(without.text())
    live.operator.set_organization("acme", "team")
    live.operator.change_terms(without.text())
    assert live.post(key)[0] == 200


def test_an_organizations_window_is_told_in_headers_where_it_refuses_and_to_who_has_none(
    live: Any, toy_terms: Any
) -> None:
    live.operator.set_organization("acme", "firm")
    key = live.operator.make_key("anna", tier="tools", organization="acme")["key"]
    live.operator.change_terms(toy_terms(live.url, five_hour=300).text())
    status, headers, _ = live.post(key)
    assert (status, headers["anthropic-ratelimit-unified-5h-utilization"]) == (200, "0.40")
    while live.post(key)[0] == 200:
        pass
    other = live.operator.make_key("arno", organization="acme")["key"]  # whose own windows are fresh
    status, headers, body = live.post(other)
    assert status == 429 and b"Your organization's five-hour window" in body
    assert headers["anthropic-ratelimit-unified-status"] == "rejected"
    (refusal, *_) = live.operator.refusals("arno")
    assert (refusal["outcome"], refusal["window"]) == ("refused by the organization's limit", "five-hour")
    told = live.operator.explain("acme")
    assert not told["now"]["coder"]["admits"] and told["people"] == 2
    assert "The organization's five-hour window" in told["now"]["coder"]["sentence"]
    assert {r["subscriber"] for r in told["refusals"]} == {"anna", "arno"}
    counts = live.operator.status()["metrics"]["refusals"]
    assert [(r["tier"], r["window"], r["owner"], r["count"]) for r in counts] == [
        (tier, "five-hour", "organization", 1) for tier in ("developers", "tools")
    ]
    assert explain_view(told).startswith("organization acme, 2 members\n")
    with pytest.raises(KeyMistake, match="2 belong to it"):
        live.operator.remove_organization("acme")


def test_who_is_left_without_a_limit_by_a_restart_is_told_so_and_so_is_the_operator(live: Any, toy_terms: Any) -> None:
    live.operator.set_organization("acme", "firm")
    key = live.operator.make_key("anna", organization="acme")["key"]
    live.operator.stop()
    live.process.wait(10)
    plain = toy_terms(live.url)
    without = replace(plain, limits={n: w for n, w in plain.limits.items() if n != "firm"})
    live.folder.terms.write_text(without.text(), encoding="utf-8")
    live.again()
    status, _, body = live.post(key)
    assert status == 403 and b"The limit of your organization, 'firm', is here no more" in body
    told = live.operator.explain("anna")["now"]["coder"]
    assert (told["admits"], "'firm'" in told["sentence"]) == (False, True)


def test_an_organization_is_given_no_limit_without_a_size(live: Any, toy_terms: Any) -> None:
    plain = toy_terms(live.url)
    endless = replace(plain.limits["firm"][0], size=rows.UNLIMITED)
    live.operator.change_terms(replace(plain, limits=plain.limits | {"firm": (endless,)}).text())
    with pytest.raises(KeyMistake, match="nothing says how large five-hour would be"):
        live.operator.set_organization("acme", "firm")


def test_terms_that_cannot_be_kept_change_nothing(shared: Any, toy_terms: Any) -> None:
    before = shared.operator.status()["terms"]
    with pytest.raises(TermsError, match="not the text of terms"):
        shared.operator.change_terms("{")
    fewer = replace(toy_terms(shared.url), tiers=toy_terms(shared.url).tiers[1:])
    with pytest.raises(NotDone, match="those in force stay"):
        shared.operator.change_terms(fewer.text())
    assert shared.operator.status()["terms"] == before


def test_a_pool_is_held_and_reopened(live: Any) -> None:
    key = live.operator.make_key("pam")["key"]
    assert live.operator.move("hold", "here")["state"] == "held"
    assert live.operator.status()["ready"] is False  # as /readyz says
    with pytest.raises(NotDone, match="is held: to hold it changes nothing"):
        live.operator.move("hold", "here")
    assert live.operator.move("reopen", "here")["state"] == "open"
    assert live.post(key)[0] == 200


def test_a_drain_lets_answers_end(live: Any, stay: Callable[[], None]) -> None:
    key = live.operator.make_key("dora")["key"]
    connection, response = live.open(key, stream=True)
    response.readline()
    drained = live.operator.move("drain", "here", deadline_s=60)
    assert drained["state"] == "draining" and drained["deadline_ms"] > time.time() * 1000
    stay()
    assert b"message_stop" in response.read()
    connection.close()
    assert live.operator.move("reopen", "here")["state"] == "open"
    assert [row["what"] for row in live.operator.audit()[:2]] == ["reopen", "drain within 60 s"]


def test_a_reclaim_does_not_wait(live: Any, stay: Callable[[], None]) -> None:
    key = live.operator.make_key("dora")["key"]
    _connection, response = live.open(key, stream=True)
    response.readline()
    moved = live.operator.move("reclaim", "here")
    assert (moved["state"], moved["cut"]) == ("gone", 1)
    assert pool_view(moved).endswith("cut with it: 1 answer")
    assert live.operator.status()["metrics"]["cut_short"] == 1
    with suppress(OSError, http.client.HTTPException):
        assert b"message_stop" not in response.read()  # which ends while the model would still go on
    assert live.post(key)[0] == 529
    assert [(row["what"], row["subject"]) for row in live.operator.audit()[:1]] == [
        ("reclaim", "pool here, 1 answer cut")
    ]


def test_a_pool_that_is_not_there_and_a_drain_without_a_deadline_are_refused(shared: Any) -> None:
    with pytest.raises(NotDone, match="expected one of here"):
        shared.operator.move("hold", "there")
    with pytest.raises(NotDone, match="a drain has a deadline"):
        shared.operator.move("drain", "here")


@pytest.mark.parametrize("line", [b"{}", b"nothing", b'{"do": "dance"}', b'{"do": 1}', b'{"do": "near", "top": "x"}'])
def test_what_is_no_request_is_answered_in_words(shared: Any, line: bytes) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(5)
        raw.connect(str(shared.folder.control))
        raw.sendall(line + b"\n")
        answer = json.loads(raw.recv(1 << 16))
        assert answer["ok"] is False and answer["error"]
        raw.sendall(b'{"do": "checkpoint"}\n')
        assert json.loads(raw.recv(1 << 16))["ok"] is True


def test_a_service_that_is_started_again_counts_on_the_pools_that_are_still_open(live: Any) -> None:
    (service,) = live.operator.terms.services
    two = replace(service, pools=(*service.pools, replace(service.pools[0], name="there")))
    live.operator.change_terms(replace(live.operator.terms, services=(two,)).text())
    assert closed_before(live.folder) == ()
    live.operator.move("reclaim", "there")
    live.operator.checkpoint()
    assert closed_before(live.folder) == ("there",)
    live.operator.stop()
    live.process.wait(10)
    live.again()
    assert live.operator.status()["pools"][1]["state"] != "open"
    live.operator.move("reopen", "there")
    live.operator.checkpoint()
    assert closed_before(live.folder) == ()


def test_a_refusal_that_an_operator_sees_has_the_id_that_the_client_has(live: Any, toy_terms: Any) -> None:
    live.operator.change_terms(toy_terms(live.url, five_hour=150).text())
    key = live.operator.make_key("rita")["key"]
    live.post(key)
    status, headers, _ = live.post(key)
    (refusal,) = live.operator.refusals()
    assert status == 429 and refusal["request"] == headers["request-id"]
    assert refusal["sentence"] == live.operator.explain(refusal["request"])["sentence"]
    live.process.send_signal(signal.SIGTERM)
    live.process.wait(10)
    (refusal,) = live.operator.refusals()  # as the journal knows it, without what was said
    assert "request" not in refusal and refusal["subscriber"] == "rita"
    live.again()


def test_a_backup_is_taken_while_it_serves_and_serves_in_its_place(live: Any, tmp_path: Path) -> None:
    key = live.operator.make_key("bea")["key"]
    live.post(key)
    live.operator.checkpoint()
    made = live.operator.backup(tmp_path / "copy")
    assert [path.name for path in made] == ["use.journal", "keys"]
    assert all(path.stat().st_mode & 0o77 == 0 for path in made)
    with pytest.raises(FileExistsError, match=r"it holds use\.journal, keys already"):
        live.operator.backup(tmp_path / "copy")
    live.post(key)
    live.operator.stop()
    live.process.wait(10)
    for path in made:
        for left in live.folder.path.glob(f"{path.name}*"):
            left.unlink()
        path.rename(live.folder.path / path.name)
    live.again()
    assert live.operator.standing("bea")["models"]["coder"]["windows"][0]["used"] == 120  # of the first request
    assert live.post(key)[0] == 200


def test_what_is_old_is_forgotten_and_windows_keep_what_is_used(live: Any) -> None:
    key = live.operator.make_key("finn")["key"]
    live.post(key)
    assert live.operator.forget(3600) == 0
    live.operator.checkpoint()
    time.sleep(0.01)
    assert live.operator.forget(0) > 0
    assert live.operator.use() == []
    assert live.operator.standing("finn")["models"]["coder"]["windows"][0]["used"] == 120
    live.process.send_signal(signal.SIGKILL)
    live.process.wait(5)
    live.again()
    assert live.operator.standing("finn")["models"]["coder"]["windows"][0]["used"] == 120
    assert live.post(key)[0] == 200


def test_to_look_at_use_under_another_limit_changes_nothing(live: Any, toy_terms: Any) -> None:
    """Found by a reader: under a limit with other windows one look was enough to lose what was used."""
    other = (replace(toy_terms(live.url).limits["firm"][0], name="day"),)
    live.operator.stop()
    live.process.wait(10)
    terms = toy_terms(live.url)
    live.folder.terms.write_text(replace(terms, limits=terms.limits | {"other": other}).text(), encoding="utf-8")
    live.again()
    live.operator.set_organization("acme", "firm")
    key = live.operator.make_key("cat", organization="acme")["key"]
    live.post(key)

    def used() -> list[tuple[str, float]]:
        (told,) = live.operator.standing("cat")["models"].values()
        return [(w["name"], w["used"]) for w in told["windows"] if w["owner"]]

    assert used() == [("five-hour", 120), ("weekly", 120)]
    live.operator.set_organization("acme", "other")
    assert used() == [("day", 0)]
    live.operator.set_organization("acme", "firm")
    assert used() == [("five-hour", 120), ("weekly", 120)]


def test_use_survives_a_killed_process(live: Any) -> None:
    key = live.operator.make_key("vera")["key"]
    live.post(key)
    live.process.send_signal(signal.SIGKILL)
    live.process.wait(5)
    with pytest.raises(NotServing):
        live.operator.status()
    live.again()
    live.post(key)
    assert live.operator.standing("vera")["models"]["coder"]["windows"][0]["used"] == 240


def test_stop_lets_answers_end(live: Any, stay: Callable[[], None]) -> None:
    key = live.operator.make_key("stan")["key"]
    connection, response = live.open(key, stream=True)
    response.readline()
    live.operator.stop()
    stay()
    assert b"message_stop" in response.read()
    connection.close()
    assert live.process.wait(10) == 0
    assert not live.folder.control.exists()


def test_keys_are_made_while_nothing_serves(live: Any) -> None:
    live.operator.stop()
    live.process.wait(10)
    key = live.operator.make_key("early")["key"]
    live.again()
    assert live.post(key)[0] == 200
    assert ask(live.folder.control, "keys")["keys"] == 1


def test_a_reload_that_planned_for_a_pool_that_went_meanwhile_is_not_brought_into_force(
    live: Any, toy_terms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan counted on two pools; while it was made one of them was taken away."""
    there = live.operator.terms
    (service,) = there.services
    two = replace(there, services=(replace(service, pools=(*service.pools, replace(service.pools[0], name="gone"))),))
    live.operator.change_terms(two.text())
    larger = replace(two, limits=two.limits | {"team": two.limits["unlimited"]})
    write_json(live.folder.how, {"scenario": "toy", "sets": [], "seed": 1})

    class Planned:
        def __init__(self, *_: object, **__: object) -> None: ...

        def title(self) -> str:
            live.operator.move("reclaim", "gone")
            return "toy"

        def planned(self) -> Any:
            return SimpleNamespace(terms=larger)

        def end(self) -> None: ...

    monkeypatch.setattr("ampacity.console.operator.Planning", Planned)
    with pytest.raises(NotDone, match="went or came while this was planned"):
        live.operator.reload()
    assert live.operator.terms.limits["team"] == two.limits["team"]
