"""One measured load in one form, whatever tool measured it, with every reason why a row cannot be used."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ampacity.scenario.mistakes import Mistake

USUAL_SHORTEST = 0.8
"""Shortest over longest request where a file does not say: that of the published points."""
MOST_TOKENS, MOST_CONCURRENCY = 10_000_000, 100_000
SLACK = 0.1
"""By how much a throughput may pass what Little's law allows: means over requests are no means over tokens."""

Cell = tuple[str, object]
"""The key that a file uses, and what stands there."""


@dataclass
class Raw:
    """A row as the file has it, each cell with the file's own key; None: the file has nothing of the kind.

    isl, osl: mean tokens of a request in and out. concurrency: requests in flight. requests: how many ended.
    requests_per_s: how many ended per second. shortest: shortest over longest output. ttft_ms, tpot_ms: means.
    tokens_per_s: output tokens of all requests. cached: mean tokens of an input found in the prefix cache.
    unusable: key, found and why, where the row is of no use whatever its numbers.
    """

    isl: Cell | None = None
    osl: Cell | None = None
    concurrency: Cell | None = None
    requests: Cell | None = None
    requests_per_s: Cell | None = None
    shortest: Cell | None = None
    ttft_ms: Cell | None = None
    tpot_ms: Cell | None = None
    tokens_per_s: Cell | None = None
    cached: Cell | None = None
    unusable: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Measurement:
    """One load and what it met.

    file, line: where it stands; line is the number of the run in files without lines of their own. input_tokens,
    output_tokens: means. concurrency: requests in flight. requests: how many ended. shortest: shortest over longest
    request (0 to 1]. ttft_s, tpot_s: means [s], tokens_per_s: of all requests together; None if not measured.
    """

    file: str
    line: int
    input_tokens: float
    output_tokens: float
    concurrency: int
    requests: int
    shortest: float
    ttft_s: float | None
    tpot_s: float | None
    tokens_per_s: float | None
    cached_tokens: float = 0.0

    @property
    def where(self) -> str:
        """The row in words."""
        return f"{self.file}, row {self.line}"


def measurement(file: str, line: int, raw: Raw) -> Measurement | list[Mistake]:
    """The row, or everything that is wrong with it."""
    wrong = [Mistake(file, line, key, found[:60], why) for key, found, why in raw.unusable]
    if wrong and raw == Raw(unusable=raw.unusable):
        return wrong  # nothing was read of it, so nothing else is missing

    def number(name: str, least: float, most: float, what: str, required: bool = False) -> float | None:
        cell: Cell | None = getattr(raw, name)
        if cell is None or cell[1] is None or cell[1] == "":
            if required:
                wrong.append(Mistake(file, line, cell[0] if cell else name, "", f"missing; expected {what}"))
            return None
        value = _float(cell[1])
        if value is None or not least <= value <= most:
            wrong.append(Mistake(file, line, cell[0], str(cell[1])[:60], f"expected {what}"))
            return None
        return value

    isl = number("isl", 1, MOST_TOKENS, "tokens of a request's input, at least 1", required=True)
    osl = number("osl", 2, MOST_TOKENS, "tokens of a request's output, at least 2", required=True)
    ttft_ms = number("ttft_ms", 1e-3, 1e8, "a mean time to first token in ms, above 0")
    tpot_ms = number("tpot_ms", 1e-3, 1e6, "a mean time per output token in ms, above 0")
    rate = number("tokens_per_s", 1e-3, 1e9, "output tokens per second, above 0")
    requests = number("requests", 1, 1e9, "requests that ended, at least 1")
    per_s = number("requests_per_s", 1e-9, 1e9, "requests per second, above 0")
    shortest = number("shortest", 0, 1, "shortest over longest output, 0 to 1")
    cached = number("cached", 0, MOST_TOKENS, "tokens of an input found in the prefix cache, at least 0")
    if raw.concurrency is None and per_s and ttft_ms and tpot_ms and osl:
        # requests that come at a rate: as many are in flight as Little's law says
        in_flight = per_s * (ttft_ms + (osl - 1) * tpot_ms) / 1e3
        raw.concurrency = ("concurrency", max(in_flight, 1.0))
    wanted = f"requests in flight, 1 to {MOST_CONCURRENCY:,}"
    concurrency = number("concurrency", 0.5, MOST_CONCURRENCY, wanted, required=True)
    if cached is not None and isl is not None and cached >= isl:
        wrong.append(
            Mistake(file, line, "cached", f"{cached:g}", f"expected less than the {isl:g} tokens of the input")
        )
    if concurrency and tpot_ms and osl and rate and raw.tokens_per_s:
        # Little's law, were no request ever to wait for its first token
        most = concurrency * osl / ((osl - 1) * tpot_ms / 1e3)
        if rate > most * (1 + SLACK):
            told = f"{concurrency:g} requests in flight, a token each every {tpot_ms:g} ms, make at most {most:,.0f}"
            why = f"the row contradicts itself: {told} token/s"
            wrong.append(Mistake(file, line, raw.tokens_per_s[0], f"{rate:,.0f} token/s", why))
    if ttft_ms is tpot_ms is rate is None and not wrong:
        wrong.append(Mistake(file, line, "row", "", "no time and no throughput; one of the three is needed"))
    if wrong or isl is None or osl is None or concurrency is None:
        return wrong
    return Measurement(
        file=file,
        line=line,
        input_tokens=isl,
        output_tokens=osl,
        concurrency=max(round(concurrency), 1),
        requests=round(requests) if requests else 10 * max(round(concurrency), 1),
        shortest=max(shortest, 0.05) if shortest is not None else USUAL_SHORTEST,
        ttft_s=None if ttft_ms is None else ttft_ms / 1e3,
        tpot_s=None if tpot_ms is None else tpot_ms / 1e3,
        tokens_per_s=rate,
        cached_tokens=cached or 0.0,
    )


def per(row: dict[str, object], total: str, count: str) -> Cell:
    """A mean as one key over another; nothing if either is no number."""
    above, below = _float(row.get(total)), _float(row.get(count))
    return f"{total} / {count}", above / below if above is not None and below else None


def narrowest(lengths: object) -> float | None:
    """Shortest over longest of a list of lengths; None if it is no such list."""
    if not isinstance(lengths, list):
        return None
    own = [n for n in map(_float, lengths) if n is not None and n > 0]
    return min(own) / max(own) if own else None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
