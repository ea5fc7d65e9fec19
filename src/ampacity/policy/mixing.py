"""Mixes whole numbers, so that what was counted looks drawn: one number alone, and a pair into a score.

Decisions may use nothing beyond 63 bits, so numbers have 62 bits, in halves of 31 whose product has 62 again. `mixed`
is a Feistel network over the halves (Luby and Rackoff 1988): no two numbers are mixed into one.
"""

from __future__ import annotations

HALF_BITS = 31
HALF_MASK = (1 << HALF_BITS) - 1
MIXED_MASK = (1 << 62) - 1
MIX_ROUNDS = 4
MIX_STEP = 0x3C6EF372  # added to the key of each round, odd after the first: the golden ratio's digits
MIX_TIMES = 0x5BD1E995  # odd, with about as many ones as zeros
SCORE_A, SCORE_B, SCORE_C, SCORE_D = 0x243F6A88, 0x05A308D3, 0x13198A2E, 0x03707344  # the digits of pi


def mixed(number: int) -> int:
    """A whole number of 62 bits that looks drawn; of the argument 62 bits count."""
    high = (number >> HALF_BITS) & HALF_MASK
    low = number & HALF_MASK
    key = MIX_STEP
    for _ in range(MIX_ROUNDS):
        product = (low ^ key) * MIX_TIMES
        before = high
        high = low
        low = before ^ (product & HALF_MASK) ^ (product >> HALF_BITS)
        key = (key + MIX_STEP) & HALF_MASK
    return high << HALF_BITS | low


def score(one: int, other: int) -> int:
    """31 bits that depend on a pair of mixed numbers, each pair as if drawn anew; 0 to HALF_MASK."""
    pair = one ^ other
    product = ((pair & HALF_MASK) ^ SCORE_A) * ((pair >> HALF_BITS) ^ SCORE_B)
    product = ((product & HALF_MASK) ^ SCORE_C) * ((product >> HALF_BITS) ^ SCORE_D)
    return (product & HALF_MASK) ^ (product >> HALF_BITS)
