"""The live page in a real Chromium over a real service: who may see it, what moves, what an operator does with it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ampacity.console.folder import Folder, write_json

PATIENCE_MS = 40_000  # only what fails waits so long
NOT_LOADED = "Failed to load resource"
CONTRAST_LEAST = 4.5  # WCAG 2.2, level AA, for text of any size

pytestmark = pytest.mark.browser


def admin_of(folder: Folder) -> tuple[subprocess.Popen[bytes], str]:
    """The admin process of a folder, and its address."""
    write_json(folder.admin, {"host": "127.0.0.1", "port": 0})
    command = [sys.executable, "-m", "ampacity.console.admin", str(folder.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    watchdog = threading.Timer(15, process.kill)
    watchdog.start()
    port = json.loads(process.stdout.readline())["port"]
    watchdog.cancel()
    return process, f"http://127.0.0.1:{port}/"


@pytest.fixture(autouse=True)
def as_it_was(shared: Any) -> Iterator[None]:
    """Each test finds the service running and its pool open, whatever became of the one before."""
    yield
    if shared.process.poll() is not None:
        shared.again()
    if shared.operator.status()["pools"][0]["state"] != "open":
        shared.operator.move("reopen", "here")


@pytest.fixture(scope="module")
def address(shared: Any) -> Iterator[str]:
    process, address = admin_of(shared.folder)
    yield address
    process.send_signal(signal.SIGTERM)
    process.wait(10)


class Visit:
    """An open page with all that it complained of and asked for."""

    def __init__(self, browser: Any, address: str, scheme: str = "light", width: int = 1280) -> None:
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.address, self.allowed = address, ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(address)

    def log_in(self, token: str) -> Visit:
        self.page.get_by_label("Admin token").fill(token)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#pool-list li")
        return self

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def wait_for(self, selector: str, words: str) -> None:
        """Until an element says so."""
        found = "([s, w]) => document.querySelector(s)?.textContent.match(new RegExp(w))"
        try:
            self.page.wait_for_function(found, arg=[selector, words])
        except Exception:
            raise AssertionError(f"{selector} says {self.text(selector)!r}, not {words!r}") from None

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def open_(**how: Any) -> Visit:
        visits.append(Visit(chromium, address, **how))
        return visits[-1]

    yield open_
    for v in visits:
        v.context.close()
        assert not [c for c in v.complaints if not (v.allowed and v.allowed in c)]
        assert all(url.startswith((v.address, "data:")) for url in v.requests)


@pytest.fixture
def inside(visit: Callable[..., Visit], shared: Any) -> Visit:
    """Logged in."""
    return visit().log_in(shared.folder.read_token())


def test_who_has_no_token_sees_a_login_and_nothing_of_the_service(visit: Callable[..., Visit], shared: Any) -> None:
    v = visit()
    assert v.page.is_visible("#login") and not v.page.is_visible("#live")
    assert not [url for url in v.requests if "/api/" in url] and "toy" not in v.page.content()
    v.allowed = NOT_LOADED
    v.page.get_by_label("Admin token").fill("wrong")
    v.button("Log in").click()
    v.wait_for("#login-said", "not the admin token")
    v.log_in(shared.folder.read_token())
    assert shared.folder.read_token() not in v.page.content()
    v.page.reload()
    v.wait_for("#lead", "Serving 1 pool")
    v.button("Log out").click()
    v.page.wait_for_selector("#login")
    assert v.context.cookies() == []


def test_figures_move_when_a_request_is_sent(inside: Visit, shared: Any, stay: Callable[[], None]) -> None:
    key = shared.operator.make_key("ada")["key"]
    inside.wait_for("#lead", "Serving 1 pool, 0 requests in flight, nobody waits")
    inside.wait_for("#more", "nobody is within 20 % of a limit|Nobody is within 20 % of a limit")
    connection, response = shared.open(key, stream=True)
    inside.wait_for("#lead", "1 request in flight")
    inside.wait_for(".load", "1 of 8 slots in use, 1 answer begun")
    stay()
    response.read()
    connection.close()
    inside.wait_for("#more", r"Since this page was opened, at .* UTC, nothing was refused, \d+ request")
    inside.wait_for("#speed-table", r"developers\s*coder\s*\d+\s*[\d.]+ m?s")
    inside.wait_for("#token-table", r"developers\s*coder\s*100\s*0\s*0\s*20")
    inside.wait_for("#near-table", r"ada\s*developers\s*five-hour\s*1 %in 4 h 59 min, \d\d:\d\d UTC")
    inside.wait_for("#curve-ttft", r"p50 [\d.]+ m?s · p99")
    assert "Unlimited" not in inside.text("#limits") and "five-hour" in (inside.page.text_content("#limit-table") or "")


def test_a_refusal_is_shown_with_its_reason_and_whom_it_hit(inside: Visit, shared: Any, toy_terms: Any) -> None:
    key = shared.operator.make_key("rita")["key"]
    connection, response = shared.open(shared.operator.make_key("ruth")["key"], stream=True)
    assert b"message_stop" in response.read()  # a first token, to be shown beside the forecast's
    connection.close()
    assert shared.operator.forecast() == {"same": None, "tiers": []}
    assert not inside.page.is_visible("#forecast")
    forecast = {
        "record": {"scenario_hash": "of another"},
        "slo": [{"tier": "developers", "answered": 50, "ttft_p50_s": 0.5, "ttft_p99_s": 20.0}],
        "refusals": {"tier": [{"tier": "developers", "refused_attempts": 40, "overloaded_attempts": 10}]},
    }
    (shared.folder.path / "simulated.json").write_text(json.dumps(forecast), encoding="utf-8")
    shared.operator.change_terms(toy_terms(shared.url, five_hour=150).text())
    try:
        assert [shared.post(key)[0] for _ in range(2)] == [200, 429]
        inside.wait_for("#more", "rita has used 80 % of the five-hour window|1 by the five-hour window")
        inside.wait_for("#near-table", r"rita\s*developers\s*five-hour\s*80 %")
        inside.wait_for("#refusal-counts", r"developers\s*the five-hour window\s*coder\s*1")
        inside.wait_for("#refusal-latest", r"UTC\s*rita\s*developers\s*coder\s*the five-hour window")
        assert re.search(r"Since the data process began, .* 1 of \d requests? was", inside.text("#refused-said"))
    finally:
        shared.operator.change_terms(toy_terms(shared.url).text())
    inside.page.reload()
    inside.wait_for("#forecast", r"of another scenario")
    inside.wait_for("#forecast", r"developers\s*\d+ requests?\s*50.0 %\s*\d+.\d %\s*500 ms\s*[\d.]+ m?s\s*20 s")


def test_a_pool_drains_after_its_dialog_has_said_what_that_does(
    inside: Visit, shared: Any, stay: Callable[[], None]
) -> None:
    key = shared.operator.make_key("dora", tier="tools")["key"]
    connection, response = shared.open(key, stream=True)
    inside.wait_for(".load", "1 answer begun")
    inside.button("Drain here").click()
    inside.wait_for("#confirm-what", r"Its 1 request in flight has 10 min to end")
    inside.wait_for("#confirm-what", "No other pool serves coder")
    inside.page.get_by_label("It is to be gone within").fill("3")
    inside.page.get_by_label("Unit").select_option("seconds")
    inside.wait_for("#confirm-what", "has 3 s to end.*1 answer that has begun is cut")
    inside.page.keyboard.press("Escape")
    assert shared.operator.status()["pools"][0]["state"] == "open"
    inside.button("Drain here").click()
    inside.page.get_by_label("It is to be gone within").fill("8")
    inside.page.get_by_label("Unit").select_option("seconds")
    inside.page.get_by_role("dialog").get_by_role("button", name="Drain here").click()
    inside.wait_for("#told", "here drains until .* UTC, for 8 s: 1 request in flight, nothing new")
    inside.wait_for("#lead", "No pool takes requests")
    inside.wait_for("#spoken", "No pool takes requests")
    stay()
    assert b"message_stop" in response.read()
    connection.close()
    inside.wait_for("#pool-list .state", "Gone")
    inside.wait_for("#audit-table", r"admin API\s*drain within 8 s\s*pool here")
    assert not inside.button("Hold here").is_visible()
    inside.button("Reopen here").click()
    inside.page.get_by_role("dialog").get_by_role("button", name="Reopen here").click()
    inside.wait_for("#told", "here takes requests again")
    inside.wait_for("#lead", "Serving 1 pool")


def test_a_reclaim_cuts_what_it_said_it_would_and_a_mistake_is_told(
    inside: Visit, shared: Any, stay: Callable[[], None]
) -> None:
    key = shared.operator.make_key("carl", tier="tools")["key"]
    connection, response = shared.open(key, stream=True)
    inside.wait_for(".load", "1 answer begun")
    inside.button("Reclaim here").focus()
    inside.page.keyboard.press("Enter")
    inside.wait_for("#confirm-what", "gone at once. At this moment 1 answer that has begun is cut")
    inside.page.keyboard.press("Enter")
    inside.wait_for("#told", "here is gone. It had 1 request in flight, 1 answer of them begun and now cut")
    assert b"message_stop" not in response.read()
    connection.close()
    stay()
    inside.wait_for("#pool-list .state", "Gone")
    inside.button("Reopen here").click()
    shared.operator.move("reopen", "here")
    inside.allowed = NOT_LOADED
    inside.page.get_by_role("dialog").get_by_role("button", name="Reopen here").click()
    inside.wait_for("#told", "Not done: pool 'here' is open")


def test_it_says_plainly_when_the_data_process_does_not_answer(inside: Visit, shared: Any) -> None:
    inside.allowed = NOT_LOADED
    shared.process.send_signal(signal.SIGTERM)
    shared.process.wait(10)
    inside.wait_for("#lead", r"The data process does not answer, since .* UTC \(no data process answers here")
    inside.wait_for("#spoken", "does not answer")
    assert inside.button("Hold here").is_disabled()
    shared.again()
    inside.wait_for("#lead", "Serving 1 pool")
    assert inside.button("Hold here").is_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_every_ink_can_be_read(visit: Callable[..., Visit], shared: Any, scheme: str) -> None:
    v = visit(scheme=scheme, width=390).log_in(shared.folder.read_token())
    v.wait_for("#more", "limit")
    assert v.page.evaluate("document.documentElement.scrollWidth") <= 390
    v.button("Drain here").click()
    assert v.page.evaluate("document.querySelector('dialog').getBoundingClientRect().right") <= 390
    inks = v.page.evaluate(
        "['paper', 'raised', 'text', 'soft', 'link', 'mark'].map(n => "
        "getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim())"
    )
    for ground in inks[:2]:
        assert min(contrast(ground, ink) for ink in inks[2:]) >= CONTRAST_LEAST
    assert (luminance(inks[0]) < 0.1) == (scheme == "dark")
    unnamed = "[...document.querySelectorAll('button, input, select')].filter(e => e.checkVisibility() && !name(e))"
    name = "e => e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length"
    assert v.page.evaluate(f"(() => {{ const name = {name}; return {unnamed}.length; }})()") == 0


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
