"""What a pool remembers of conversations: how much of the next prompt was there before, and which replica had it.

A request says who it belongs to and how long its prompt is, not which tokens are the same. So a prompt that is no
shorter than the one before has all that this one had. A shorter one is an aside, as coding agents send beside the
conversation: it finds nothing and leaves nothing. A second one in a row means that the conversation was cut. A request
beside another one of its conversation is an aside too: to the engine, those of a session follow one another.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ampacity.policy.routing import NOBODY

SESSIONS_MOST = 4096
"""Conversations of a pool whose context is looked for; the one that asked longest ago makes room."""
NO_SESSION = 0
"""The place of a request that finds nothing and leaves nothing."""


@dataclass
class Session:
    """A conversation. place: its row on every replica. prompt, context: tokens of its last input, and with its answer.

    home: the replica that it asked last. asides: shorter prompts since its last turn. open: whether a request is under
    way.
    """

    place: int
    prompt: int = 0
    context: int = 0
    home: int = NOBODY
    asides: int = 0
    open: bool = False


class Sessions:
    """The conversations of a pool, the one that asked longest ago first."""

    def __init__(self, most: int = SESSIONS_MOST) -> None:
        self._by_key: OrderedDict[str, Session] = OrderedDict()
        self._free = list(range(most, 0, -1))
        self.left: list[int] = []
        """Places whose context on the replicas has to be forgotten before they are used."""

    def turn(self, key: str, input_tokens: int) -> tuple[Session, int]:
        """The conversation that a request belongs to, and how many tokens of its prompt that had before."""
        known = self._by_key.get(key)
        if known is not None and known.open:
            return Session(NO_SESSION), 0
        if known is not None and input_tokens < known.prompt:
            known.asides += 1
            if known.asides == 1:
                return Session(NO_SESSION), 0
            self._forget(key)
            known = None
        if known is None:
            known = Session(self._place())
            if known.place != NO_SESSION:
                self._by_key[key] = known
        if key in self._by_key:
            self._by_key.move_to_end(key)
        shared = min(known.context, input_tokens - 1)
        known.prompt, known.asides = input_tokens, 0
        return known, shared

    def _place(self) -> int:
        """A place that nobody has; NO_SESSION if all who have one have a request under way."""
        if not self._free:
            idle = next((key for key, s in self._by_key.items() if not s.open), None)
            if idle is None:
                return NO_SESSION
            self._forget(idle)
        return self._free.pop()

    def _forget(self, key: str) -> None:
        gone = self._by_key.pop(key)
        self.left.append(gone.place)
        self._free.append(gone.place)
