"""The rules of a continuous-batching engine, by name and version, as the kernels read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.replica import KV_BLOCK_TOKENS

PS_PER_S = 1_000_000_000_000
FOREVER_PS = 1 << 62
"""Beyond every instant: 53 days."""

# of the rules
(
    TOKEN_BUDGET,
    MAX_SEQS,
    KV_BLOCKS,
    WATERMARK,
    LAG,
    MIXED,
    PREFIX_CACHE,
    IDLE_PS,
    DRAFTS,
    GAIN_OVER,
    GAIN_UNDER,
    TIERS,  # KV tiers below HBM
) = range(12)
KV_TIERS_MOST = 2
TIER_BLOCKS = TIERS + 1
"""Of each tier, side by side: the blocks that it holds; behind them what loading one of them takes."""
TIER_LOAD_PS = TIER_BLOCKS + KV_TIERS_MOST
(
    LEAST_OUTPUT_FIRST,
    RESERVE_UNIT,  # a share of 1, in which the next three are told; 0: nothing is reserved
    RESERVE_FIRST,
    RESERVE_LEAST,
    RESERVE_FALL,
    RESERVE_AHEAD,
    RESERVE_MOST,
    RESERVE_ASKED,
) = range(TIER_LOAD_PS + KV_TIERS_MOST, TIER_LOAD_PS + KV_TIERS_MOST + 8)
UNIT_MOST = 1 << 24
"""Of a reserve's common denominator, so that no product leaves 63 bits."""
RESERVE_MOST_TOKENS = 1 << 20
ASKED_MOST_TOKENS = 1 << 31
SEQS_MOST = 4096
SEQS_USUAL = 1024
"""Sequences that a replica runs at once by vLLM's default on chips of 70 GB and more."""
LOAD_MOST_PS = 86_400 * PS_PER_S
"""What loading all blocks of a replica may take: a day, so that no sum of loads leaves 63 bits."""


@dataclass(frozen=True)
class KvTier:
    """Memory below HBM where evicted blocks stay: of a host, an SSD, a remote store.

    blocks: that it holds of one replica [>= 1]. load_ps_per_block: the whole way of one of them into HBM, on the one
    link of the replica [>= 0; 0: at once]. [ps]
    """

    blocks: int
    load_ps_per_block: int


@dataclass(frozen=True)
class Reserve:
    """Output that is still to come and for which admission keeps memory free, by default as SGLang does.

    first: share of it that is kept, at first and after a rest. fall: what each decoding iteration takes off that share,
    as long as nobody gives way. least: where it stops falling; all three from 0 to 1. ahead: after somebody gave way
    the share is (output that came + ahead for each) / (output that may come + 1), over those who stay [>= 0]. most:
    tokens of one sequence that are counted [1 to 2^20]. asked: tokens that every client says it takes (`max_tokens`);
    where the answer is longer, and at 0, those that it has [>= 0].

    Raises ValueError that lists everything that is impossible.
    """

    first: Fraction = Fraction(7, 10)
    least: Fraction = Fraction(7, 10) * Fraction(14, 100)
    fall: Fraction = Fraction(7, 10) * Fraction(86, 100) / 600
    ahead: int = 20
    most: int = 4096
    asked: int = 0

    def __post_init__(self) -> None:
        wrong = {
            f"shares reserved of {self.first} at first and {self.least} at least: from 0 to 1, in this order": not (
                0 <= self.least <= self.first <= 1
            ),
            f"a share reserved that falls by {self.fall}: from 0 to 1": not 0 <= self.fall <= 1,
            f"{self.ahead} tokens ahead: from 0 to {UNIT_MOST}": not 0 <= self.ahead <= UNIT_MOST,
            f"{self.most} tokens of output reserved at most: from 1 to {RESERVE_MOST_TOKENS}": not (
                1 <= self.most <= RESERVE_MOST_TOKENS
            ),
            f"{self.asked} tokens asked for: from 0 to {ASKED_MOST_TOKENS}": not 0 <= self.asked <= ASKED_MOST_TOKENS,
            f"shares of which {self.unit} is the common denominator: at most {UNIT_MOST}": self.unit > UNIT_MOST,
        }
        found = [words for words, is_wrong in wrong.items() if is_wrong]
        if found:
            raise ValueError("; ".join(found))

    @property
    def unit(self) -> int:
        """The common denominator of the three shares."""
        return math.lcm(self.first.denominator, self.least.denominator, self.fall.denominator)

    def rules(self) -> tuple[int, ...]:
        """As the kernels read it."""
        shares = (int(share * self.unit) for share in (self.first, self.least, self.fall))
        return self.unit, *shares, self.ahead, self.most, self.asked


@dataclass(frozen=True)
class Engine:
    """What an engine does with the requests of one replica.

    kv_blocks: blocks of 16 tokens that the replica has for context [>= 1]. token_budget: tokens of one iteration.
    max_seqs: sequences that run at once [1 to token_budget]. watermark: share of the blocks that admission leaves free
    while anything runs [0 to 1). lag: iterations that scheduling runs ahead [0 or 1]. mixed: prompts share iterations
    with decoding; else they have their own, which come first. prefix_cache: what ended stays in memory until it is
    evicted, and a request's cached tokens are looked up there; else they are taken as found. idle_s: for how long an
    unused prefix can be found; None: until it is evicted. drafts: tokens that are guessed ahead of every sequence in a
    decoding iteration [>= 0], of which all are computed; tokens_per_round: that come out of it [1 to 1 + drafts].
    tiers: where blocks go that the prefix cache evicts, at most two, the nearest first; none: they are forgotten.
    least_output_first: when blocks are short, whoever has least output gives way and waits behind all others; else the
    last admitted, who waits before them. reserve: output to come for which admission keeps blocks free; with it nobody
    is tried after a refusal until somebody has gone. None: nothing is kept free.

    Raises ValueError that lists everything that is impossible.
    """

    kv_blocks: int
    token_budget: int = 8192
    max_seqs: int = SEQS_USUAL
    watermark: float = 0.0
    lag: int = 1
    mixed: bool = True
    prefix_cache: bool = True
    idle_s: float | None = None
    drafts: int = 0
    tokens_per_round: Fraction = Fraction(1)
    tiers: tuple[KvTier, ...] = ()
    least_output_first: bool = False
    reserve: Reserve | None = None

    def __post_init__(self) -> None:
        wrong = [
            (self.kv_blocks < 1, f"{self.kv_blocks} blocks of context: at least 1"),
            (self.token_budget < 1, f"a token budget of {self.token_budget}: at least 1"),
            (
                not 1 <= self.max_seqs <= SEQS_MOST or self.max_seqs * (1 + self.drafts) > self.token_budget,
                f"{self.max_seqs} sequences at once: 1 to {SEQS_MOST}, and with {self.drafts} drafts each at most the "
                f"token budget ({self.token_budget})",
            ),
            (self.drafts < 0, f"{self.drafts} drafts: at least 0"),
            (
                not 1 <= self.tokens_per_round <= 1 + max(self.drafts, 0),
                f"{self.tokens_per_round} tokens a round: from 1 to 1 + {self.drafts}",
            ),
            (not 0 <= self.watermark < 1, f"a watermark of {self.watermark:g}: from 0 to under 1"),
            (self.lag not in (0, 1), f"a lag of {self.lag}: 0 or 1"),
            (self.idle_s is not None and self.idle_s < 0, f"an idle lifetime of {self.idle_s} s: at least 0"),
        ]
        wrong += _wrong_tiers(self)
        found = [words for is_wrong, words in wrong if is_wrong]
        if found:
            raise ValueError("; ".join(found))

    @property
    def context_most(self) -> int:
        """Tokens that a request can have in memory when its last one comes out; what more is guessed needs room too."""
        return self.kv_blocks * KV_BLOCK_TOKENS - (math.ceil(self.tokens_per_round) - 1)

    def rules(self) -> NDArray[np.int64]:
        """The rules as the kernels read them."""
        idle_ps = FOREVER_PS if self.idle_s is None else min(round(self.idle_s * PS_PER_S), FOREVER_PS)
        none = [0] * (KV_TIERS_MOST - len(self.tiers))
        return np.array(
            [
                self.token_budget,
                self.max_seqs,
                self.kv_blocks,
                int(self.watermark * self.kv_blocks),
                self.lag,
                self.mixed,
                self.prefix_cache,
                idle_ps,
                self.drafts,
                self.tokens_per_round.numerator,
                self.tokens_per_round.denominator,
                len(self.tiers),
                *(tier.blocks for tier in self.tiers),
                *none,
                *(tier.load_ps_per_block for tier in self.tiers),
                *none,
                self.least_output_first,
                *(self.reserve.rules() if self.reserve is not None else [0] * 7),
            ],
            np.int64,
        )


def _wrong_tiers(e: Engine) -> list[tuple[bool, str]]:
    """What may be wrong with an engine's tiers, and whether it is."""
    wrong = [
        (len(e.tiers) > KV_TIERS_MOST, f"{len(e.tiers)} KV tiers below HBM: at most {KV_TIERS_MOST}"),
        (bool(e.tiers) and not e.prefix_cache, "KV tiers below HBM without a prefix cache: nothing is looked up there"),
    ]
    for i, tier in enumerate(e.tiers, 1):
        load_ps = tier.load_ps_per_block
        wrong += [
            (tier.blocks < 1, f"KV tier {i} of {tier.blocks} blocks: at least 1"),
            (
                not 0 <= load_ps * max(e.kv_blocks, 1) <= LOAD_MOST_PS,
                f"KV tier {i} loads a block in {load_ps} ps: from 0 to a day for all blocks of the replica",
            ),
        ]
    return wrong


def vllm(
    kv_blocks: int, token_budget: int = 8192, max_seqs: int = SEQS_USUAL, tiers: tuple[KvTier, ...] = ()
) -> Engine:
    """vLLM v1 as served from 0.20 on, on chips of 70 GB and more.

    Scheduling runs an iteration ahead (`async_scheduling`), the whole input must fit on admission
    (`scheduler_reserve_full_isl`, pull request 37307), the watermark is off (`watermark`, pull request 44594), prompts
    are chunked into the decoding iterations, the prefix cache is on, and one block of the pool stays empty.
    """
    return Engine(max(kv_blocks - 1, 1), token_budget, max_seqs, tiers=tiers)


def sglang(
    kv_blocks: int, token_budget: int = 8192, max_seqs: int = SEQS_USUAL, tiers: tuple[KvTier, ...] = ()
) -> Engine:
    """SGLang 0.4 and 0.5 by default: prompts in iterations of their own, before decoding, in chunks; one ahead.

    Admission keeps a share of the output to come free (`managers/schedule_policy.py`, `PrefillAdder`) that falls with
    decoding and jumps up when somebody gives way (`managers/scheduler_components/new_token_ratio_tracker.py`), and
    tries nobody after a refusal until somebody has gone (`batch_is_full` in `managers/scheduler.py`). Whoever has least
    output gives way and waits behind all others (`retract_decode` in `managers/schedule_batch.py`). All under
    python/sglang/srt at github.com/sgl-project/sglang, commits 00550cd, 1a882c5 and 0003215. What clients say that they
    take at most is taken to be what they get; `Reserve(asked=...)` says otherwise.
    """
    return Engine(
        kv_blocks, token_budget, max_seqs, mixed=False, tiers=tiers, least_output_first=True, reserve=Reserve()
    )


def tokens_per_round(drafts: int, acceptance: float) -> Fraction:
    """Tokens that come out of a round with so many guesses, each right with a chance where those before it were.

    1 + acceptance + ... + acceptance^drafts, to the nearest fraction of 16ths or less.
    """
    return min(Fraction(sum(acceptance**i for i in range(drafts + 1))).limit_denominator(16), Fraction(1 + drafts))


def block_count(tokens: int) -> int:
    """Blocks that hold so many tokens of context."""
    return (tokens + KV_BLOCK_TOKENS - 1) // KV_BLOCK_TOKENS
