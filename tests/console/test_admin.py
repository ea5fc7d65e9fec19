"""The admin API: for who shows the token; as its OpenAPI document says it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth
from starlette.testclient import TestClient

from ampacity.console.admin import COOKIE, Admin, is_loopback
from ampacity.console.folder import Folder
from ampacity.console.openapi import document
from ampacity.console.operator import Operator

READ = [
    "status",
    "near",
    "use",
    "limits",
    "refusals",
    "audit",
    "keys",
    "subscribers",
    "organizations",
    "terms",
    "versions",
]


@pytest.fixture(scope="module")
def token(shared: Any) -> str:
    return str(shared.folder.read_token())


@pytest.fixture(scope="module")
def app(shared: Any, token: str) -> Any:
    return Admin(Operator(shared.folder, "test"), token, open_metrics=True).app()


@pytest.fixture
def stranger(app: Any) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def admin(app: Any, token: str) -> Iterator[TestClient]:
    with TestClient(app, headers={"authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.mark.parametrize("name", READ)
def test_nobody_reads_without_the_token(stranger: TestClient, admin: TestClient, name: str) -> None:
    refused = stranger.get(f"/api/{name}")
    assert refused.status_code == 401 and "admin token" in refused.json()["error"]
    assert stranger.get(f"/api/{name}", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert admin.get(f"/api/{name}").status_code == 200


@pytest.mark.parametrize("path", ["keys", "keys/revoke", "pool", "terms", "checkpoint", "subscribers"])
def test_nobody_changes_anything_without_the_token(stranger: TestClient, path: str) -> None:
    assert stranger.post(f"/api/{path}", json={}).status_code == 401


def test_a_browser_exchanges_the_token_for_a_cookie(stranger: TestClient, token: str) -> None:
    assert stranger.post("/login", json={"token": "wrong"}).status_code == 401
    answer = stranger.post("/login", json={"token": token})
    said = answer.headers["set-cookie"].lower()
    assert answer.status_code == 200 and COOKIE in said and "httponly" in said and "samesite=strict" in said
    assert token.lower() not in said
    assert stranger.get("/api/status").status_code == 200


def test_what_a_cookie_holds_is_no_token_and_a_cookie_of_another_service_opens_nothing(
    stranger: TestClient, token: str
) -> None:
    stranger.post("/login", json={"token": token})
    ((name, kept),) = stranger.cookies.items()
    stranger.cookies.clear()
    assert stranger.get("/api/status", headers={"authorization": f"Bearer {kept}"}).status_code == 401
    stranger.cookies.set(name, token)
    assert stranger.get("/api/status").status_code == 401
    stranger.cookies.clear()
    stranger.cookies.set(f"{COOKIE}-000000000000", kept)
    assert stranger.get("/api/status").status_code == 401


def test_a_form_of_another_site_changes_nothing(stranger: TestClient, token: str) -> None:
    stranger.post("/login", json={"token": token})
    sent = stranger.post("/api/checkpoint", content="{}", headers={"content-type": "text/plain"})
    assert sent.status_code == 415


def test_a_key_is_made_used_and_revoked(admin: TestClient, shared: Any) -> None:
    made = admin.post("/api/keys", json={"subscriber": "ada", "tier": "tools"})
    assert made.status_code == 201 and shared.post(made.json()["key"])[0] == 200
    assert made.json()["key"] not in admin.get("/api/keys").text
    assert made.headers["cache-control"] == "no-store"
    assert admin.post("/api/keys/revoke", json={"key": made.json()["id"]}).status_code == 200
    assert shared.post(made.json()["key"])[0] == 401


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("keys", {}, 400, "subscriber"),
        ("keys", {"subscriber": "x", "tiers": "y"}, 400, "tiers"),
        ("keys", {"subscriber": "x", "tier": "y"}, 404, "expected one of developers, tools"),
        ("keys", {"subscriber": "x", "organization": "y"}, 404, "none yet"),
        ("keys/revoke", {"key": "y"}, 404, "no key in force"),
        ("pool", {"pool": "y", "action": "hold"}, 404, "expected one of here"),
        ("pool", {"pool": "here", "action": "melt"}, 400, "melt"),
        ("pool", {"pool": "here", "action": "drain"}, 409, "deadline"),
        ("pool", {"pool": "here", "action": "drain", "deadline_s": -1}, 400, "deadline_s"),
        ("terms", {"text": "{}"}, 409, "not the text of terms"),
    ],
)
def test_mistakes_are_answered_in_words(admin: TestClient, path: str, body: Any, status: int, words: str) -> None:
    answer = admin.post(f"/api/{path}", json=body)
    assert answer.status_code == status and words in answer.json()["error"]


def test_prometheus_reads_the_counts(stranger: TestClient, admin: TestClient, shared: Any) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    shared.post(admin.post("/api/keys", json={"subscriber": "prom"}).json()["key"], stream=True)
    answer = stranger.get("/metrics")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    assert families["ampacity_up"].samples[0].value == 1
    for name in ("time_to_first_token_seconds", "time_per_output_token_seconds", "answer_seconds"):
        samples = [s for s in families[f"ampacity_{name}"].samples if s.labels["tier"] == "developers"]
        buckets = [s.value for s in samples if s.name.endswith("_bucket")]
        (count,) = (s.value for s in samples if s.name.endswith("_count"))
        assert buckets == sorted(buckets) and buckets[-1] == count >= 1
    each = families["ampacity_time_per_output_token_seconds"].samples
    (total,) = (s.value for s in each if s.name.endswith("_sum") and s.labels["tier"] == "developers")
    assert total == pytest.approx(0.05, rel=0.5)


def test_elsewhere_than_on_this_machine_prometheus_shows_the_token(shared: Any, token: str) -> None:
    closed = TestClient(Admin(Operator(shared.folder), token, open_metrics=False).app())
    assert closed.get("/metrics").status_code == 401
    assert closed.get("/metrics", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert is_loopback("127.0.0.1") and not is_loopback("0.0.0.0")


def test_without_a_data_process_it_says_so(tmp_path: Any, shared: Any) -> None:
    folder = Folder(tmp_path / "dead.serve")
    folder.make()
    folder.terms.write_bytes(shared.folder.terms.read_bytes())
    client = TestClient(Admin(Operator(folder), "t", open_metrics=True).app(), headers={"authorization": "Bearer t"})
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/api/status").status_code == 503 and "no data process" in client.get("/api/status").text
    assert "ampacity_up 0.0" in client.get("/metrics").text
    assert client.get("/api/keys").json() == []


OPERATIONS = [(method, path) for path, methods in document("0").get("paths", {}).items() for method in methods]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda m: m.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
def test_it_answers_as_its_document_says(app: Any, token: str, method: str, path: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def all_of_them(case: Any) -> None:
        case.call_and_validate(headers={"authorization": f"Bearer {token}"}, excluded_checks=[ignored_auth])

    with suppress(Unsatisfiable):  # what takes nothing cannot be given something wrong
        all_of_them()
