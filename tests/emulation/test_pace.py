"""An emulated pool is as fast as the serving model says, alone and together, and finds what it had before."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pool_client import Pool, Streamed, asking

from ampacity.inference.step_time import StepTime
from ampacity.scenario.load import load
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of

LATE_S = 0.008
"""What a busy machine adds to an instant."""


@pytest.fixture(scope="module")
def step(scenario_file: Path) -> StepTime:
    s = load(scenario_file)
    found = capacities(s, hours_of(s))[0].step
    assert found is not None
    return found


def words_of(tokens: int) -> str:
    """Words that make a request of so many tokens."""
    return "x" * (4 * tokens - len(asking("", stream=True)))


def decode_s(step: StepTime, sequences: int, context: int, tokens: int) -> float:
    """A token's time, on the mean over so many."""
    k = sequences * (context + np.arange(tokens))
    return float(np.mean(step.seconds(sequences, k, 0, 0)))


def test_a_lone_stream_has_the_first_token_and_the_pace_of_the_serving_model(one: Pool, step: StepTime) -> None:
    prompt, tokens = 4000, 200
    ttft, tpot = [], []
    for i in range(3):
        met = one.stream(words_of(prompt), tokens, session=f"lone {i}")
        came = met.when("content_block_delta")
        assert len(came) == tokens
        ttft.append(came[0])
        tpot.append((came[-1] - came[0]) / (tokens - 1))
    assert min(ttft) == pytest.approx(float(step.seconds(0, 0, prompt, prompt**2 / 2)), rel=0.03, abs=LATE_S)
    assert np.median(tpot) == pytest.approx(decode_s(step, 1, prompt, tokens), rel=0.03, abs=LATE_S / tokens)


def test_together_streams_are_as_slow_as_the_step_time_says(one: Pool, step: StepTime) -> None:
    many, prompt, tokens = 8, 8000, 300
    met = [Streamed() for _ in range(many)]

    def read(i: int) -> None:
        for _ in one.events(met[i], words_of(prompt), tokens, session=f"together {i}"):
            pass

    began = []
    threads = [threading.Thread(target=read, args=(i,)) for i in range(many)]
    for thread in threads:
        began.append(time.perf_counter())
        thread.start()
    for thread in threads:
        thread.join()
    came = [[began[i] + at for at in m.when("content_block_delta")] for i, m in enumerate(met)]
    since, until = max(own[0] for own in came) + 0.02, min(own[-1] for own in came)
    paces = [np.diff([at for at in own if since <= at <= until]).mean() for own in came]
    together = decode_s(step, many, prompt + tokens // 2, 1)
    assert together > 1.2 * decode_s(step, 1, prompt, 1)
    assert np.median(paces) == pytest.approx(together, rel=0.06)


def test_a_second_turn_finds_what_the_first_one_had(one: Pool, step: StepTime) -> None:
    first = one.stream(words_of(16_000), 10, session="turns")
    usage = first.only("message_start")["message"]["usage"]
    assert usage["input_tokens"] == 16_000
    assert usage["cache_read_input_tokens"] == 0
    second = one.stream(words_of(16_200), 10, session="turns")
    usage = second.only("message_start")["message"]["usage"]
    assert usage["cache_read_input_tokens"] == 16_000 // 16 * 16
    assert usage["input_tokens"] == 200
    assert second.when("content_block_delta")[0] < first.when("content_block_delta")[0] / 4
    stranger = one.stream(words_of(16_200), 10, session="another")
    assert stranger.only("message_start")["message"]["usage"]["cache_read_input_tokens"] == 0


def test_an_aside_leaves_the_conversation_in_memory(one: Pool) -> None:
    one.stream(words_of(3200), 5, session="aside")
    assert one.stream("a title, please", 5, session="aside").only("message_delta")["usage"]["output_tokens"] == 5
    third = one.stream(words_of(3300), 5, session="aside")
    assert third.only("message_start")["message"]["usage"]["cache_read_input_tokens"] == 3200


def test_a_client_that_goes_leaves_its_place(one: Pool) -> None:
    one.until(running=0)
    events = one.events(Streamed(), "a long story", 20_000)
    while next(events) != "content_block_delta":
        pass
    one.until(running=1)
    events.close()
    one.until(running=0, waiting=0)
    _, health = one.get("/health")
    assert (health["running"], health["waiting"]) == (0, 0)
