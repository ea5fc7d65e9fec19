"""M3, live: the lessor takes its pool back, with notice and without, while people are being answered.

Two contracts serve one model. Limits are the plan's, so they follow the compute: when one contract's pool goes, those
that the other carries come into force, and when it returns, the larger ones do. Answers under way end by the deadline
or are cut at it; what was cut is charged for what it had, and everything that was decided can be decided again.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from ampacity.simulator.journal_replay import replay

SCENARIO = """
scenario: two-lessors
start: 2026-11-23
horizon: 1 week
worlds: 1
service_level: {hours: 99 %, tpot: 50 ms}
sites: {here: {time_zone: UTC, power: {value: 24 kW, basis: server}, pue: 1.2, carbon: tva, electricity: 90 USD/MWh}}
contracts:
  firm:
    start: 2026-11-01
    deliveries: [{site: here, accelerator: h100-sxm, quantity: 1}]
    fee: {monthly: 2 kUSD/month}
  leased:
    start: 2026-11-01
    deliveries: [{site: here, accelerator: h100-sxm, quantity: 3}]
    fee: {monthly: 5 kUSD/month}
placements: {small: {model: llama-3.1-8b, accelerator: h100-sxm, precision: bf16, accelerators_per_replica: 1}}
limits: {team: {windows: {five-hour: {length: 5 h}}}}
tiers: {developers: {people: 60, model: llama-3.1-8b, limit: team, behaviour: coding-agent}}
"""
LEASED = "leased/here/h100-sxm"
MODEL = "llama-3.1-8b"
ASKED: Any = [{"role": "user", "content": "Hello"}]


def command(*args: str) -> list[str]:
    return [sys.executable, "-c", "from ampacity.cli import main; main()", *args]


class Live:
    """A served scenario, and whoever asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "two-lessors.yaml").write_text(SCENARIO)
        starting = command("serve", "two-lessors.yaml", "--emulate", "--port", "0", "--admin-port", "0")
        self.process = subprocess.Popen(
            starting, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        self.url = re.search(r"gateway\s+(http://\S+)", said).group(1)  # type: ignore[union-attr]
        key = re.search(r"key\s+(sk-amp-\S+)", said).group(1)  # type: ignore[union-attr]
        self.client = anthropic.Anthropic(base_url=self.url, api_key=key, max_retries=0)

    def admin(self, *words: str) -> Any:
        asking = command("serve", "two-lessors.yaml", "--admin", *words, "--json", "-")
        done = subprocess.run(asking, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def limit(self) -> float:
        """What the five-hour window holds now. [token]"""
        answer = self.client.get("/v1/usage", cast_to=object)
        return float(answer["models"][MODEL]["windows"][0]["size"])  # type: ignore[index]

    def pool(self) -> dict[str, Any]:
        """How the leased pool stands."""
        return next(p for p in self.admin("status")["pools"] if p["name"] == LEASED)

    def ask(self, tokens: int, met: list[str]) -> None:
        """One streamed answer of so many tokens, and how it ended."""
        try:
            with self.client.messages.stream(
                model=MODEL, max_tokens=tokens, messages=ASKED, extra_headers={"x-emulate-output-tokens": str(tokens)}
            ) as stream:
                for _ in stream:
                    pass
            met.append("whole")
        except anthropic.APIError as err:
            met.append(type(err).__name__)

    def asking(self, tokens: int, met: list[str], count: int = 8) -> list[threading.Thread]:
        """Some answers at once."""
        threads = [threading.Thread(target=self.ask, args=(tokens, met)) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def until(self, holds: Callable[[], bool], within_s: float = 60) -> None:
        until_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < until_s
            time.sleep(0.3)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    made = Live(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(30)


def test_a_reclaim_with_and_without_notice_moves_limits_and_loses_nobody_who_could_end(live: Live) -> None:
    full = live.limit()
    met: list[str] = []

    # with notice: short answers end in time, nothing new goes there, smaller limits come into force
    threads = live.asking(200, met)
    time.sleep(0.3)
    live.admin("drain", LEASED, "--deadline", "30s")
    for thread in threads:
        thread.join(30)
    assert met == ["whole"] * 8
    assert live.pool()["state"] == "draining"
    live.until(lambda: live.limit() < full)
    left = live.limit()
    assert left == pytest.approx(full / 4, rel=0.5)  # one accelerator of four is left

    # back: the larger limits return
    live.admin("reopen", LEASED)
    live.until(lambda: live.limit() > left)
    assert live.limit() == pytest.approx(full)

    # without notice, in the midst of long answers: those of that pool are cut, the others end
    met.clear()
    threads = live.asking(900, met, 12)
    time.sleep(1.0)
    there = live.pool()["requests"]
    live.admin("reclaim", LEASED)
    for thread in threads:
        thread.join(60)
    assert live.pool()["state"] == "gone" and live.pool()["requests"] == 0
    assert 0 < there < 12
    assert met.count("whole") >= 12 - there and len(met) == 12 and met.count("whole") < 12
    live.until(lambda: live.limit() < full)

    # service goes on with what is left, and all of it can be decided again
    met.clear()
    live.ask(20, met)
    assert met == ["whole"]
    live.process.send_signal(signal.SIGTERM)
    assert live.process.wait(30) == 0
    (journal,) = (live.folder / "two-lessors.serve").glob("*.journal")
    found = replay(journal)
    assert found.differing == () and found.decisions > 20
