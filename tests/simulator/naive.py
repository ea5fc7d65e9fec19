"""The engine's rules once more, iteration by iteration, with objects and lists: slow, and nothing shared with it.

Of the code under test it uses the time of an iteration and nothing else. Blocks are counted sequence by sequence, the
prefix cache is a list of single blocks, each tier below it another, scheduling that runs ahead keeps two compositions
at a time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

BLOCK = 16


@dataclass
class Reserve:
    """As `engine.Reserve`, in plain numbers."""

    first: Fraction
    least: Fraction
    fall: Fraction
    ahead: int
    most: int
    asked: int


@dataclass
class Rules:
    """As `Engine`, in plain numbers."""

    kv_blocks: int
    token_budget: int
    max_seqs: int
    watermark_blocks: int
    lag: int
    mixed: bool
    prefix_cache: bool
    idle_ps: int
    drafts: int = 0
    over: int = 1  # tokens that come out of `under` decoding iterations
    under: int = 1
    tiers: tuple[tuple[int, int], ...] = ()  # below HBM: blocks, and what loading one takes [ps]
    least_output: bool = False  # who gives way; else the last admitted
    reserve: Reserve | None = None


@dataclass(eq=False)
class Request:
    """A request, what it met, and the one that follows its answer after a gap."""

    arrival_ps: int
    inputs: int
    cacheable: int
    outputs: int
    session: int = 0
    group: int = 0  # counted from 1
    shared: int = 0  # whole blocks that the group shares
    number: int = 0  # of several at one instant the least comes first
    priority: int = 0  # 0 goes first and gives way last
    brought: int = 0  # tokens of its prompt that come from another replica, until it is admitted
    abort_after_ps: int | None = None  # its arrival
    gap_ps: int = 0
    follower: Request | None = None
    first_ps: int = 0
    finish_ps: int = 0
    # of the sequence
    prompt: int = 0  # tokens to compute before it decodes
    computed: int = 0  # tokens in memory once all that is composed has run
    promised: int = 0  # output tokens once all that is composed has run
    out: int = 0  # output tokens
    preempted: int = 0


def blocks(tokens: int) -> int:
    return -(-tokens // BLOCK)


@dataclass
class Iteration:
    """Sequences that decode, with their contexts; chunks of prompts; who gets a token from it."""

    decode: list[tuple[Request, int]] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)  # (before, chunk)
    tokens: list[tuple[Request, int]] = field(default_factory=list)
    drafts: int = 0

    def empty(self) -> bool:
        return not self.decode and not self.chunks

    def shape(self) -> tuple[int, int, int, int]:
        chunks = self.chunks + [(context, self.drafts) for _, context in self.decode]
        a2 = sum(chunk * (2 * before + chunk) for before, chunk in chunks)
        return len(self.decode), sum(c for _, c in self.decode), sum(c for _, c in chunks), a2


class Replica:
    """One replica; `ticks` gives the time of an iteration from b, k, p, a2 in 1 / `unit` ps."""

    def __init__(self, rules: Rules, ticks: Callable[[int, int, int, int], int], unit: int) -> None:
        self.rules, self.ticks, self.unit = rules, ticks, unit
        self.running: list[Request] = []  # in the order of admission
        self.waiting: list[Request] = []
        self.cache: list[tuple[int, int]] = []  # (session, number of the block), next to be evicted first
        self.tiers: list[list[tuple[int, int]]] = [[] for _ in rules.tiers]  # as the cache
        self.loading: list[tuple[int, Request]] = []  # from when on it can compute
        self.link_ps = 0
        self.load_ps = 0  # of the request that is looked up
        self.filling: dict[int, Request] = {}  # of groups, who loads what they share
        self.left_at: dict[int, int] = {}
        self.going: list[Request] = []
        self.gave_way = False
        self.share = rules.reserve.first if rules.reserve else Fraction(0)
        self.full = False  # somebody was refused, and nobody who ran has gone since
        self.gone = False  # somebody has ended since decoding was last composed
        self.may_come: dict[Request, int] = {}  # to those who decode, when the iteration was begun to be composed
        self.completed: list[int] = []  # to those whose prompt is completed by the iteration that is composed
        self.rounds = 0
        self.iterations: list[tuple[int, int, int, int]] = []

    def here(self) -> list[Request]:
        """Who has blocks."""
        return self.running + [r for _, r in self.loading]

    def holds(self, group: int) -> bool:
        return any(r.group == group for r in self.here())

    def free(self) -> int:
        """Blocks that no sequence has; what a group shares is there once."""
        own = sum(max(blocks(r.computed) - r.shared, 0) for r in self.here())
        common: dict[int, int] = {}
        for r in self.here():
            if r.group:
                common[r.group] = max(common.get(r.group, 0), min(blocks(r.computed), r.shared))
        return self.rules.kv_blocks - own - sum(common.values())

    def evict(self) -> None:
        while len(self.cache) > self.free():
            block = self.cache.pop(0)
            for tier, (most, _) in zip(self.tiers, self.rules.tiers, strict=True):
                tier.append(block)
                if len(tier) <= most:
                    break
                block = tier.pop(0)

    def forget(self, owner: int) -> dict[int, int]:
        """Take out all blocks of an owner; where they were, HBM being 0."""
        found = {}
        for level, lot in enumerate([self.cache, *self.tiers]):
            found |= {i: level for s, i in lot if s == owner}
            lot[:] = [c for c in lot if c[0] != owner]
        return found

    def leave(self, r: Request, tokens: int, now_ps: int) -> None:
        """Keep what r, who runs no longer, had: its own blocks, then the group's if nobody has them any more."""
        if not self.rules.prefix_cache:
            return
        self.leave_own(r, tokens, now_ps)
        if r.group and not self.holds(r.group):
            self.keep(-r.group, range(min(r.shared, tokens // BLOCK)), now_ps)

    def leave_own(self, r: Request, tokens: int, now_ps: int) -> None:
        if r.session and self.rules.prefix_cache:
            self.keep(r.session, range(r.shared, tokens // BLOCK), now_ps)

    def keep(self, owner: int, numbers: range, now_ps: int) -> None:
        self.forget(owner)
        self.cache += [(owner, i) for i in reversed(numbers)]
        self.left_at[owner] = now_ps

    def preempt(self, r: Request, now_ps: int) -> None:
        self.running.remove(r)
        if self.rules.prefix_cache and r.session:
            r.cacheable = r.computed
        tokens, r.computed = r.computed, 0
        self.leave(r, tokens, now_ps)
        r.prompt = r.inputs + r.promised
        r.preempted += 1
        self.gave_way = True
        self.full = False
        self.waiting.insert(len(self.waiting) if self.rules.least_output else 0, r)

    def has_room(self, r: Request, chunk: int) -> bool:
        return blocks(r.computed + chunk) - blocks(r.computed) <= self.free()

    def needed(self, decoding: list[Request], gain: int) -> int:
        return sum(blocks(r.computed + gain) - blocks(r.computed) for r in decoding if r in self.running)

    def last_in_line(self) -> Request:
        """Of those who went on before this iteration and have the worst class, the one admitted last."""
        going = [r for r in self.running if r in self.going]
        worst = max(r.priority for r in going)
        going = [r for r in going if r.priority == worst]
        if not self.rules.least_output:
            return going[-1]
        return sorted(going, key=lambda r: (-r.promised, r.inputs))[-1]

    def to_come(self, r: Request) -> int:
        """Output that a request may still have, as far as it is counted."""
        reserve = self.rules.reserve
        assert reserve is not None
        return min(max(r.outputs, reserve.asked) - r.promised, reserve.most)

    def fits_beside(self, r: Request, there: int) -> bool:
        """Whether r's prompt and output fit beside what is kept for the output of the others."""
        if self.rules.reserve is None or not self.here():
            return True
        needed = r.prompt - there * BLOCK + self.to_come(r) + BLOCK
        kept = self.share * sum(n for one, n in self.may_come.items() if one in self.running)
        kept += sum(n + BLOCK for n in self.completed)
        return needed + kept < self.free() * BLOCK

    def decoding_composed(self, decoding: list[Request], gave_way: bool) -> None:
        """What follows for admission: who has ended is gone, and if somebody gave way the share is reckoned anew."""
        reserve = self.rules.reserve
        if reserve is None:
            return
        if self.gone or gave_way:
            self.full = self.gone = False
        stay = [r for r in decoding if r in self.running]
        if gave_way:
            unit = math.lcm(reserve.first.denominator, reserve.least.denominator, reserve.fall.denominator)
            came = sum(self.came[r] + reserve.ahead for r in stay)
            share = Fraction(came, sum(max(r.outputs, reserve.asked) for r in stay) + 1)
            self.share = min(Fraction(int(share * unit), unit), Fraction(1))
            self.share_stays = True

    def compose(self, now_ps: int) -> Iteration:
        """The next iteration from what is known at this instant."""
        it = Iteration(drafts=self.rules.drafts)
        self.gave_way = False
        preempted = False
        room = self.rules.token_budget
        self.going = [r for r in self.running if r.promised < r.outputs]
        decoding = [r for r in self.going if r.computed >= r.prompt]
        partial = [r for r in self.going if r.computed < r.prompt]
        if self.rules.reserve is not None:
            self.may_come = {r: self.to_come(r) for r in decoding}
        self.came = {r: r.promised for r in decoding}
        self.completed = []
        self.share_stays = False
        if not decoding:
            self.full = self.gone = False
        if self.rules.mixed:
            preempted = self.decode(it, decoding, now_ps)
            room -= len(it.decode) * (1 + self.rules.drafts)
        for r in partial:
            if r in self.running:
                chunk = min(room, r.prompt - r.computed)
                if self.has_room(r, chunk):
                    self.chunk(it, r, chunk)
                    room -= chunk
                else:
                    self.preempt(r, now_ps)
                    preempted = True
        if not preempted:
            self.admit(it, room, now_ps)
        if not self.rules.mixed and not it.chunks:
            self.decode(it, decoding, now_ps)
        if self.rules.reserve is not None and it.decode and not self.share_stays:
            self.share = max(self.share - self.rules.reserve.fall, self.rules.reserve.least)
        return it

    def decode(self, it: Iteration, decoding: list[Request], now_ps: int) -> bool:
        preempted = False
        n, over, under = self.rounds, self.rules.over, self.rules.under
        gain = (n + 1) * over // under - n * over // under
        taken: dict[Request, int] = {}  # who has a place in the iteration so far, with its context
        if self.rules.least_output:  # SGLang sees first that all who stay have room
            while self.needed(decoding, gain) > self.free():
                self.preempt(self.last_in_line(), now_ps)
                preempted = True
        for r in decoding:
            while r in self.running and not self.has_room(r, gain):
                last = self.last_in_line()
                if last in taken:  # it had its blocks already
                    del taken[last]
                    last.computed -= gain
                    last.promised -= gain
                self.preempt(last, now_ps)
                preempted = True
            if r in self.running:
                taken[r] = r.computed + 1
                r.computed += gain
                r.promised += gain
                self.evict()
        it.decode = list(taken.items())
        it.tokens += [(r, gain) for r in taken]
        self.rounds += bool(it.decode)
        self.decoding_composed(decoding, preempted)
        return preempted

    def chunk(self, it: Iteration, r: Request, chunk: int) -> None:
        it.chunks.append((r.computed, chunk))
        r.computed += chunk
        self.evict()
        if r.computed == r.prompt:
            if self.rules.reserve is not None:
                self.completed.append(self.to_come(r))
            r.promised += 1
            it.tokens.append((r, 1))

    def admit(self, it: Iteration, room: int, now_ps: int) -> None:
        while room > 0:
            if self.loading and self.loading[0][0] <= now_ps:
                r = self.loading.pop(0)[1]
                self.filling = {group: x for group, x in self.filling.items() if x is not r}
                self.running.append(r)
                chunk = min(room, r.prompt - r.computed)
                if not self.has_room(r, chunk):
                    self.preempt(r, now_ps)
                    return
                self.chunk(it, r, chunk)
                room -= chunk
                continue
            if not self.waiting or self.full:
                return
            r = min(self.waiting, key=lambda r: r.priority)  # the first of them
            spare = self.rules.watermark_blocks if self.here() else 0
            there = r.shared if r.group and self.holds(r.group) else 0
            if r.group in self.filling:
                return
            enough = len(self.here()) < self.rules.max_seqs and blocks(r.prompt) - there <= self.free() - spare
            if not enough or not self.fits_beside(r, there):
                self.full = self.rules.reserve is not None
                return
            self.waiting.remove(r)
            self.load_ps = 0
            r.computed = self.found(r, now_ps)
            if self.load_ps:
                self.link_ps = max(self.link_ps, now_ps) + self.load_ps
                self.load(it, r, self.link_ps)
                continue
            self.filling.pop(r.group, None)
            self.running.append(r)
            chunk = min(room, r.prompt - r.computed)
            self.chunk(it, r, chunk)
            room -= chunk

    def load(self, it: Iteration, r: Request, until_ps: int) -> None:
        self.loading.append((until_ps, r))
        self.evict()

    def found(self, r: Request, now_ps: int) -> int:
        """Tokens of r's prompt that are in memory; what is left of its segment is forgotten."""
        most = min(max(r.cacheable, r.brought), r.prompt - 1)
        brought, r.brought = r.brought, 0
        if brought or not self.rules.prefix_cache:
            return most
        shared = r.shared
        if r.group and not self.holds(r.group):
            shared = self.take(-r.group, 0, r.shared, now_ps)
            if shared < r.shared or self.load_ps:
                self.filling[r.group] = r
        own = self.take(r.session, r.shared, most // BLOCK, now_ps)
        return (own if own > r.shared and shared == r.shared else shared) * BLOCK

    def take(self, owner: int, first: int, end: int, now_ps: int) -> int:
        """The number of the first block from `first` on that is not there, at most `end`; all of them are taken out."""
        mine = self.forget(owner)
        n = first
        if owner and mine and now_ps - self.left_at[owner] <= self.rules.idle_ps:
            while n in mine and n < end:
                self.load_ps += self.rules.tiers[mine[n] - 1][1] if mine[n] else 0
                n += 1
        return n

    def rest(self) -> None:
        if self.rules.reserve is not None:
            self.share = self.rules.reserve.first

    def abort(self, r: Request, now_ps: int, queued: Iteration | None) -> None:
        """Let r go, if it is here; an iteration that is already composed stays as it is, but for its token."""
        if r in self.waiting:
            self.waiting.remove(r)
        elif r in self.here():
            self.running = [x for x in self.running if x is not r]
            self.loading = [x for x in self.loading if x[1] is not r]
            self.filling = {group: x for group, x in self.filling.items() if x is not r}
            self.gone = True
            self.leave(r, min(r.computed, r.inputs + r.outputs - 1), now_ps)
            if queued is not None:
                queued.tokens = [(x, gain) for x, gain in queued.tokens if x is not r]

    def abort_all(self, now_ps: int, queued: Iteration | None) -> None:
        """Let all go that were taken back by now: who waits, who loads, then the others in the order of admission."""
        for r in [*self.waiting, *(r for _, r in self.loading), *self.running]:
            if r.abort_after_ps is not None and r.arrival_ps + r.abort_after_ps <= now_ps:
                self.abort(r, now_ps, queued)

    def run(self, requests: list[Request], until_ps: int | None = None) -> None:
        """Run all requests and those that follow them; the results are written into them.

        until_ps: what is in flight then never ends.
        """
        coming = [(r.arrival_ps, r.number, r) for r in requests]
        heapq.heapify(coming)
        now = 0  # in units
        queued: Iteration | None = None

        def arrive() -> None:
            while coming and coming[0][0] <= now // self.unit:
                r = heapq.heappop(coming)[2]
                r.prompt, r.promised, r.computed = r.inputs + r.out, r.out, 0
                self.waiting.append(r)

        while True:
            arrive()
            if queued is None:
                self.abort_all(now // self.unit, None)
            if until_ps is not None and now // self.unit >= until_ps:
                return
            it = queued if queued is not None else self.compose(now // self.unit)
            if queued is None and it.empty():
                if self.gave_way:  # who has loaded and found no room comes in again
                    now = now // self.unit * self.unit
                    continue
                then = [at for at, _, _ in coming[:1]] + [at for at, _ in self.loading[:1]]
                if self.loading:
                    here = (r for r in self.waiting + self.here() if r.abort_after_ps is not None)
                    then += [r.arrival_ps + r.abort_after_ps for r in here]
                if not then:
                    return
                self.rest()
                now = min(then) * self.unit
                continue
            shape = it.shape()
            self.iterations.append(shape)
            began = now
            queued = self.compose(began // self.unit) if self.rules.lag else None
            now += self.ticks(*shape)
            if until_ps is not None and now // self.unit > until_ps:
                return
            ended = []
            for r, gain in it.tokens:
                r.out = min(r.out + gain, r.outputs)
                r.first_ps = r.first_ps or now // self.unit
                if r.out == r.outputs:
                    r.finish_ps = now // self.unit
                    self.running.remove(r)
                    self.leave_own(r, r.inputs + r.outputs - 1, r.finish_ps)
                    self.gone = True
                    ended.append(r)
                    if r.follower is not None:
                        r.follower.arrival_ps = r.finish_ps + r.gap_ps
                        heapq.heappush(coming, (r.follower.arrival_ps, r.follower.number, r.follower))
            for group in dict.fromkeys(r.group for r in ended if r.group):
                if not self.holds(group):
                    shared = next(r.shared for r in ended if r.group == group)
                    self.keep(-group, range(shared), now // self.unit)
            arrive()
            self.abort_all(now // self.unit, queued)
            if queued is not None and queued.empty():
                queued = None
                now = now // self.unit * self.unit
