"""A pool as the gateway reaches it: its connections, the name it knows the model by, its key."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ampacity.gateway.upstream import Connections
from ampacity.policy.terms import PoolTerms, Terms, TermsError

NEW = 16  # one part in so many of what is known of a pool's pace is its latest stream


class Pool:
    """One pool. renames: its name of the model is not the one, or not the only one, that clients ask for.

    counts: it tells how many tokens a request has, as far as is known. counting: requests that it is asked this of now.
    token_s: what lies between two tokens of its streams of late, for which nothing is known before the first. [s]
    """

    def __init__(self, terms: PoolTerms, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.terms = terms
        self.model = terms.model
        self.renames = any(name != terms.model for name in names)
        self.counts, self.counting = True, 0
        self.token_s = 0.0
        self.connections = Connections(terms.url, loop)
        key = key_of(terms)
        self.key_lines: dict[str, bytes] = {}
        if key:
            self.key_lines = {
                "anthropic": b"x-api-key: " + key + b"\r\n",
                "openai": b"authorization: Bearer " + key + b"\r\n",
            }

    def streamed(self, seconds: float, tokens: int) -> None:
        """A stream has brought so many tokens after its first one."""
        each_s = seconds / tokens
        self.token_s = each_s if self.token_s == 0 else self.token_s + (each_s - self.token_s) / NEW

    def computed(self, seconds: float, uncached: int, output_most: int) -> tuple[int, int]:
        """What of a prompt, and of an answer that comes whole, it can have computed in so long before it is seen."""
        read = min(int(seconds * 1e9 / self.terms.pace_ns), uncached)
        left_s = seconds - read * self.terms.pace_ns / 1e9
        return read, min(int(left_s / self.token_s), output_most) if self.token_s > 0 and read == uncached else 0

    def reached_as(self, other: Pool) -> bool:
        """Whether it is reached as another one is: at the same place, by the same name and key."""
        return (self.terms, self.renames, self.key_lines) == (other.terms, other.renames, other.key_lines)


def pools_of(terms: Terms, loop: asyncio.AbstractEventLoop) -> dict[str, Pool]:
    """The pools that terms name. Raises TermsError."""
    return {p.name: Pool(p, (s.alias, *s.names), loop) for s in terms.services for p in s.pools}


def key_of(terms: PoolTerms) -> bytes:
    """The key of a pool from where its terms say it is; none is empty. Raises TermsError if it is not there."""
    if terms.key_env:
        key = os.environ.get(terms.key_env)
        if key is None:
            raise TermsError([f"pool {terms.name}: its key should stand in the environment as {terms.key_env}"])
    elif terms.key_file:
        try:
            key = Path(terms.key_file).read_text(encoding="utf-8")
        except OSError as err:
            raise TermsError([f"pool {terms.name}: its key should stand in {terms.key_file}: {err.strerror}"]) from err
    else:
        return b""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise TermsError([f"pool {terms.name}: what {terms.key_env or terms.key_file} holds is no key"])
    return key.encode()
