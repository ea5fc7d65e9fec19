"""What the answers of the three APIs have in common: a beginning, a piece for every token, an end; or all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import msgspec

from ampacity.emulation.asked import Asked

encode = msgspec.json.encode


@dataclass(frozen=True)
class Usage:
    """Tokens of a request. cached: of its input those that the prefix cache held. output: that have come out."""

    input: int
    cached: int
    output: int


class Answer(ABC):
    """One answer in the shape of its API. number: hexadecimal, its own among all answers. at_s: when it began."""

    full_status = 503
    """What a client is told when there is no room."""

    def __init__(self, asked: Asked, number: str, at_s: int) -> None:
        self.asked = asked
        self.number = number
        self.at_s = at_s

    @abstractmethod
    def opening(self, usage: Usage) -> bytes:
        """The events before the first token."""

    @abstractmethod
    def piece(self, i: int) -> bytes:
        """The event of token `i`, counted from 0."""

    @abstractmethod
    def closing(self, usage: Usage) -> bytes:
        """The events after the last token."""

    @abstractmethod
    def whole(self, usage: Usage) -> bytes:
        """The answer to a request that does not stream."""

    @abstractmethod
    def broken(self, message: str) -> bytes:
        """The event that tells a client, in the middle of a stream, that there is no more to come."""

    @staticmethod
    @abstractmethod
    def error(status: int, message: str, number: str) -> bytes:
        """The body of a refusal."""


def event(name: str, data: Any) -> bytes:
    """A server-sent event with a name."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(data))


def unnamed(data: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: %b\n\n" % encode(data)
