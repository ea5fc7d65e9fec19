"""Random numbers without state for whole arrays: the keyed hash of `base/streams.py`, bit for bit, in numpy.

A draw depends on (seed, key) and on nothing else, so how work is cut into chunks or spread over machines changes no
byte. A part of a key may be an array: then the result is an array, one draw for each entry.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ampacity.base.streams import bits as scalar_bits
from ampacity.base.streams import word

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
Key = int | str | NDArray[np.int64] | Words

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
BLOCK = 1 << 15
"""Words mixed at once: two such arrays stay in a core's cache, where mixing takes a third of the time."""


def bits(seed: int, *key: Key) -> Words:
    """64 random bits for every entry of the key's arrays, which broadcast. Equal to `base.streams.bits` of each."""
    plain = [part for part in key if not isinstance(part, np.ndarray)]
    if len(plain) == len(key):
        return np.array(scalar_bits(seed, *plain), dtype=np.uint64)
    first = next(i for i, part in enumerate(key) if isinstance(part, np.ndarray))
    state: Words = np.array(scalar_bits(seed, *key[:first]), dtype=np.uint64)  # type: ignore[arg-type]
    for part in key[first:]:
        state = then(state, part)
    return state


def then(state: Words, part: Key) -> Words:
    """The state after one more part of the key: `then(bits(seed, a), b)` is `bits(seed, a, b)`."""
    other = part.astype(np.uint64, copy=False) if isinstance(part, np.ndarray) else np.uint64(word(part))
    mixed: Words = np.atleast_1d(np.bitwise_xor(state, other))
    flat = mixed.reshape(-1)
    spare = np.empty(min(BLOCK, len(flat)), dtype=np.uint64)
    for begin in range(0, len(flat), BLOCK):
        piece = flat[begin : begin + BLOCK]
        _mix(piece, spare[: len(piece)])
    return mixed.reshape(np.broadcast_shapes(np.shape(state), np.shape(other)))


def uniform(seed: int, *key: Key) -> Floats:
    """Numbers in the open interval (0, 1), 53 bits each. Equal to `base.streams.uniform` of each."""
    return as_uniform(bits(seed, *key))


def normal(seed: int, *key: Key) -> Floats:
    """Standard normal numbers, by the inverse of their distribution function."""
    drawn: Floats = ndtri(uniform(seed, *key))
    return drawn


def as_uniform(drawn: Words) -> Floats:
    """Words as numbers in the open interval (0, 1)."""
    return ((drawn >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mix(x: Words, spare: Words) -> None:
    """Add the golden gamma, then SplitMix64's finalizer, in place."""
    np.add(x, _GOLDEN, out=x)
    for shift, factor in ((30, _FIRST), (27, _SECOND), (31, None)):
        np.right_shift(x, np.uint64(shift), out=spare)
        np.bitwise_xor(x, spare, out=x)
        if factor is not None:
            np.multiply(x, factor, out=x)
