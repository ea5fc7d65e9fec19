"""Random numbers without state: a hash of (seed, entity, index, ...), so any sharding gives the same bytes.

The mixer is SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014) over 64-bit words; text enters by its BLAKE2b.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


@lru_cache(maxsize=65536)
def word(part: int | str) -> int:
    """One part of a key as a 64-bit word."""
    if isinstance(part, int):
        return part & _MASK
    return int.from_bytes(blake2b(part.encode(), digest_size=8).digest(), "little")


def bits(seed: int, *key: int | str) -> int:
    """64 random bits that depend on the seed and every part of the key, and on nothing else."""
    state = _mix(word(seed) + _GOLDEN)
    for part in key:
        state = _mix((state ^ word(part)) + _GOLDEN)
    return state


def uniform(seed: int, *key: int | str) -> float:
    """A number in the open interval (0, 1), 53 bits of it."""
    return ((bits(seed, *key) >> 11) + 0.5) / (1 << 53)


def normal(seed: int, *key: int | str) -> float:
    """A standard normal number, by the inverse of its distribution function."""
    return NormalDist().inv_cdf(uniform(seed, *key))


def _mix(x: int) -> int:
    x &= _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
