"""The log that a vLLM server writes as text, read for counts and times only: token ids are counted, texts passed over.

One request is told by several lines, joined by its id. What they look like (vllm/entrypoints/logger.py,
vllm/engine/async_llm_engine.py and vllm/v1/engine/async_llm.py at github.com/vllm-project/vllm):

    Received request ID: prompt: '...', params: SamplingParams(...), prompt_token_ids: [...], ...    to 0.11.0
    Request ID details: prompt: '...', prompt_token_ids: [...], ...                 later, at DEBUG (pull 26713)
    Generated response ID (streaming delta): output: '...', output_token_ids: [...], finish_reason: None
    Generated response ID details: output_token_ids: [...]                                           later, at DEBUG
    Added request ID.    Finished request ID.    Aborted request(s) ID.    Request ID aborted.

A streamed answer is counted by its deltas, which leave out what had no text: a lower bound by a token or two.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Misfit, content
from ampacity.demand.traces.trace import SHOWN_FAULTS, Malformed, Trace, arrivals_from_zero, canonical
from ampacity.scenario.mistakes import Mistake

HEAD_BYTES = 256  # what stands before a message: process, container, level, time, place in the source
_STAMP = rb"(?:INFO|DEBUG|WARNING|ERROR) (\d\d-\d\d \d\d:\d\d:\d\d)[.,\d]* \[?[\w./-]+:\d+\] "
_LINE = re.compile(_STAMP)
_MESSAGE = re.compile(
    rb"(Received request|Added request|Finished request|Aborted request(?:\(s\))?|Generated response|Request) "
    rb"(\S+?)([:.]| details:| aborted\.?| failed\.?| \(streaming (?:delta|complete)\)(?: details)?:)(?=\s|$)"
)
_PROMPT_IDS = re.compile(rb"prompt_token_ids: (?:\[([\d, ]*)\]|None)(?=, [a-z]|\.)")
_ANSWER_IDS = re.compile(rb"output_token_ids: (?:\[([\d, ]*)\]|None)(?:, finish_reason: \w+)?\s*$")
_ENDED = re.compile(rb"finish_reason: \w+\s*$")
_CUT_AT = re.compile(rb"args: [^\n]*?max_log_len'?[=:] ?(\d+)")
DETAILS = 0  # in place of a line: the request itself is told right behind its details
LATER, OTHER = "a later line of a request", "another line of the log"
PROMPT, ANSWER, TOGETHER = "prompt not counted", "answer not counted", "prompts sent together, answers not told apart"
CLOCK = "the log's clock shows whole seconds and names neither year nor time zone"
HOW = (
    "the log does not count every prompt and answer; vLLM writes their token ids if it is started with "
    "--enable-log-requests --enable-log-outputs and VLLM_LOGGING_LEVEL=DEBUG, and without --max-log-len"
)


@dataclass
class Asked:
    """One request, as its lines so far tell of it; None is not told."""

    line: int
    arrived_s: float
    prompt: int | None
    whole: int | None = None
    deltas: int | None = None
    ended_s: float | None = None

    @property
    def answer(self) -> int | None:
        """Tokens of the answer: deltas count where the complete answer is logged without its ids."""
        return self.whole if self.whole is not None else self.deltas


def is_vllm(head: bytes) -> bool:
    """Whether the beginning of a file has a line as vLLM's logger writes it."""
    return any(_LINE.search(line, 0, HEAD_BYTES) for line in head.split(b"\n"))


def read(path: Path) -> Trace:
    """The requests of a server's log whose prompt and answer are both counted. Raises OSError, Mistakes."""
    data = content(path)
    asked: list[Asked] = []
    by_id: dict[bytes, Asked] = {}
    aside: Counter[str] = Counter()
    faults: list[Mistake] = []
    wrong, lines = 0, 0
    clock = Clock(b" 02-29 " in data)
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        lines += 1
        stamp = _LINE.search(line, 0, HEAD_BYTES)
        message = _MESSAGE.match(line, stamp.end()) if stamp else None
        if stamp is None or message is None:
            aside[OTHER] += 1
            continue
        try:
            new = _note(line, message, clock.seconds(stamp[1]), number, by_id)
        except Misfit as misfit:
            wrong += 1
            if len(faults) < SHOWN_FAULTS:
                faults.append(misfit.at(str(path), number, private=True))
            continue
        if new is None:
            aside[LATER] += 1
        else:
            asked.append(new)
    counted = _counted(asked, by_id, data, aside)
    uncounted = aside[PROMPT] + aside[ANSWER] > 0 or not asked
    frame, start_s = arrivals_from_zero(_frame(counted))
    return Trace(
        canonical(frame),
        "vllm-text",
        str(path),
        "trace",
        lines,
        start_s,
        Malformed(wrong, tuple(faults)),
        {reason: n for reason, n in aside.items() if n},
        notes=(CLOCK, HOW) if uncounted else (CLOCK,),
    )


def _note(line: bytes, message: re.Match[bytes], at_s: float, number: int, by_id: dict[bytes, Asked]) -> Asked | None:
    """What a line says of a request; the request itself if the line is the first of it. Raises Misfit."""
    what, name, how = message.groups()
    if what == b"Received request":
        if not line.rstrip().endswith(b"."):
            raise Misfit("Received request", line, "a line that ends in a full stop: this one is cut off")
        new = Asked(number, at_s, _ids(line, b"prompt_token_ids: ", _PROMPT_IDS))
        before = by_id.get(name)
        if before is not None and before.line == DETAILS:
            new.prompt = before.prompt
        by_id[name] = new
        return new
    if what == b"Request":
        if how == b" details:":
            by_id[name] = Asked(DETAILS, at_s, _ids(line, b"prompt_token_ids: ", _PROMPT_IDS))
        return None
    request = by_id.get(name) or by_id.get(name + b"-0")  # a completion's prompts are numbered, its answers are not
    if request is not None and what == b"Generated response":
        if not (_ENDED.search(line, max(0, len(line) - 80)) or how.endswith(b"details:")):
            raise Misfit("Generated response", line, "a line that ends in finish_reason: this one is cut off")
        count = _ids(line, b"output_token_ids: ", _ANSWER_IDS)
        if count is not None and b"delta" in how:
            request.deltas = (request.deltas or 0) + count
        elif count is not None:
            request.whole = (request.whole or 0) + count
        request.ended_s = at_s
    elif request is not None and what == b"Finished request":
        request.ended_s = at_s
    return None


def _ids(line: bytes, key: bytes, whole: re.Pattern[bytes]) -> int | None:
    """How many ids stand in the last list of that key; None if the line has none."""
    at = line.rfind(key)
    found = whole.match(line, at) if at >= 0 else None
    if found is None or found[1] is None:
        return None
    return found[1].count(b",") + 1 if found[1].strip() else 0


def _counted(asked: list[Asked], by_id: dict[bytes, Asked], data: bytes, aside: Counter[str]) -> list[Asked]:
    """The requests whose tokens are all told; the others are set aside."""
    cut = _CUT_AT.search(data)
    most = int(cut[1]) if cut else None  # lists are written up to there
    together = {name[:-2] for name in by_id if name.endswith(b"-1") and name[:-2] + b"-0" in by_id}
    crowd = {id(a) for name, a in by_id.items() if name.startswith(b"cmpl-") and name.rpartition(b"-")[0] in together}
    counted = []
    for a in asked:
        if id(a) in crowd:
            aside[TOGETHER] += 1
        elif a.prompt is None or (most is not None and a.prompt >= most):
            aside[PROMPT] += 1
        elif a.answer is None or (most is not None and a.whole is not None and a.whole >= most):
            aside[ANSWER] += 1
        else:
            counted.append(a)
    return counted


def _frame(counted: list[Asked]) -> pl.DataFrame:
    took = [None if a.ended_s is None or a.ended_s < a.arrived_s else a.ended_s - a.arrived_s for a in counted]
    columns = {
        "t_s": pl.Series([a.arrived_s for a in counted], dtype=pl.Float64),
        "input_tokens": pl.Series([a.prompt for a in counted], dtype=pl.Int64),
        "output_tokens": pl.Series([a.answer for a in counted], dtype=pl.Int64),
        "server_s": pl.Series(took, dtype=pl.Float64),
    }
    return pl.DataFrame(columns)


class Clock:
    """A clock without years, as seconds that go on at New Year; `leap`: its February has 29 days."""

    def __init__(self, leap: bool) -> None:
        self.year, self.days = (2000, 366) if leap else (2001, 365)
        self.known: dict[bytes, float] = {}
        self.last, self.turns = 0.0, 0

    def seconds(self, stamp: bytes) -> float:
        """Seconds from an arbitrary instant. Raises Misfit for a date that does not exist."""
        at = self.known.get(stamp)
        if at is None:
            try:
                date = datetime.strptime(f"{self.year}-{stamp.decode()}", "%Y-%m-%d %H:%M:%S")
            except ValueError:
                raise Misfit("time", stamp, "month-day hour:minute:second") from None
            at = self.known[stamp] = (date - datetime(self.year, 1, 1)).total_seconds()
        half_s = self.days * 43_200
        if at < self.last - half_s:
            self.turns += 1
        self.last = at
        return at + self.turns * self.days * 86_400
