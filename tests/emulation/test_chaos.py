"""Whatever clients and faults do at once, nothing of it stays behind."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter

from pool_client import Pool, asking

SECONDS = 3.0
PEOPLE = 40
KINDS = ("refuse", "error", "overloaded", "stall", "slow", "cut", "kill")


async def ask(port: int, path: str, body: object, leave_s: float | None, *headers: str) -> str:
    """Ask on a connection of its own and leave after so long a silence; how it ended."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        text = json.dumps(body).encode()
        head = [f"POST {path} HTTP/1.1", "connection: close", f"content-length: {len(text)}", *headers]
        writer.write("\r\n".join([*head, "", ""]).encode() + text)
        met = b""
        try:
            while data := await asyncio.wait_for(reader.read(65536), leave_s):
                met += data
        except TimeoutError:
            return "left"
        finally:
            writer.close()
    except ConnectionError:
        return "refused"
    return met[9:12].decode() or "refused"


def test_clients_that_leave_and_faults_that_overlap_leave_nothing_behind(two: Pool) -> None:
    port = int(two.url.rsplit(":", 1)[1])
    end = time.monotonic() + SECONDS
    ends: Counter[str] = Counter()

    async def person(i: int) -> None:
        draw = random.Random(i)
        while time.monotonic() < end:
            path = draw.choice(["/v1/messages", "/v1/chat/completions", "/v1/responses"])
            words = "y" * draw.randrange(10, 8000)
            body = {
                "model": "code",
                "stream": draw.random() < 0.8,
                "messages": [{"role": "user", "content": words}],
                "input": words,
            }
            headers = (
                f"x-claude-code-session-id: {draw.randrange(20)}",
                f"x-emulate-output-tokens: {draw.randrange(1, 99)}",
            )
            ends[await ask(port, path, body, draw.choice([None, 0.05, 0.3]), *headers)] += 1

    async def faults() -> None:
        draw = random.Random(7)
        while time.monotonic() < end:
            await asyncio.sleep(0.3 * draw.random())
            fault = {"kind": draw.choice(KINDS), "seconds": 0.1 + 0.4 * draw.random(), "share": draw.random()}
            await ask(port, "/emulation/fault", fault, None)

    async def all_of_them() -> None:
        await asyncio.gather(faults(), *(person(i) for i in range(PEOPLE)))

    asyncio.run(all_of_them())
    assert min(ends["200"], ends["500"], ends["left"]) > 5
    time.sleep(0.6)  # until the last fault is over
    two.until(replicas=2, running=0, waiting=0)
    assert two.post("/v1/messages", asking("hi"), x_emulate_output_tokens="3")[0] == 200
