"""A naive replica that others drive, iteration by iteration."""

from __future__ import annotations

from collections.abc import Callable

from naive import BLOCK, Iteration, Replica, Request, Rules

NEVER = 1 << 62


class Stepper(Replica):
    """A naive replica that others drive: it begins an iteration, ends it, and says who ended with it."""

    def __init__(self, rules: Rules, ticks: Callable[[int, int, int, int], int], unit: int) -> None:
        super().__init__(rules, ticks, unit)
        self.now = 0  # in units: when the last iteration ended, or the one in flight ends
        self.flight: Iteration | None = None
        self.queued: Iteration | None = None
        self.left: dict[Request, int] = {}  # prompt tokens that are seen to be left, of who has not ended
        self.notes: dict[int, list[tuple[Request, int]]] = {}  # by iteration: what is left of prompts once it has run
        self.have_gone: list[tuple[Request, int]] = []
        self.hits: dict[Request, int] = {}

    def send(self, r: Request) -> None:
        r.prompt, r.promised, r.computed = r.inputs + r.out, r.out, 0
        self.waiting.append(r)
        self.left[r] = r.prompt - r.cacheable

    def kill(self, now_ps: int) -> list[Request]:
        """Stop and be as new; who has not ended is handed back with what came out."""
        lost = list(self.left)
        super().__init__(self.rules, self.ticks, self.unit)
        self.now, self.flight, self.queued = now_ps * self.unit, None, None
        self.left, self.notes, self.gave_way, self.hits = {}, {}, [], {}
        return lost

    def chunk(self, it: Iteration, r: Request, chunk: int) -> None:
        super().chunk(it, r, chunk)
        self.notes.setdefault(id(it), []).append((r, r.prompt - r.computed))

    def found(self, r: Request, now_ps: int) -> int:
        n = super().found(r, now_ps)
        self.hits[r] = self.hits.get(r, 0) + n
        return n

    def load(self, it: Iteration, r: Request, until_ps: int) -> None:
        super().load(it, r, until_ps)
        self.notes.setdefault(id(it), []).append((r, r.prompt - r.computed))

    def preempt(self, r: Request, now_ps: int) -> None:
        super().preempt(r, now_ps)
        self.have_gone.append((r, r.prompt - r.cacheable))

    def composed(self, known_ps: int) -> tuple[Iteration, list[tuple[Request, int]]]:
        self.have_gone = []
        return self.compose(known_ps), self.have_gone

    def begin(self, now_ps: int) -> None:
        """Begin what there is to do, if nothing is in flight; all that comes now has come."""
        if self.flight is not None:
            return
        if self.queued is None:
            if now_ps * self.unit > self.now:
                self.rest()
            self.now = max(self.now, now_ps * self.unit)
            it, gave_way = self.composed(now_ps)
            while it.empty() and self.gave_way:
                for r, left in gave_way:
                    self.left[r] = left
                it, gave_way = self.composed(now_ps)
            if it.empty():
                for r, left in self.notes.pop(id(it), []):
                    self.left[r] = left
        else:
            it, gave_way = self.queued
        if not it.empty():
            for r, left in gave_way:
                self.left[r] = left
            self.flight = it
            self.queued = self.composed(self.now // self.unit) if self.rules.lag else None
            self.now += self.ticks(*it.shape())

    def ends_ps(self) -> int:
        return self.now // self.unit if self.flight is not None else NEVER

    def next_ps(self) -> int:
        """When an iteration ends, or a request at which nothing runs has loaded."""
        return self.loading[0][0] if self.flight is None and self.loading else self.ends_ps()

    def end(self) -> list[Request]:
        """End the iteration in flight; who has ended, in order."""
        it, now_ps = self.flight, self.now // self.unit
        assert it is not None
        self.flight = None
        for r, left in self.notes.pop(id(it), []):
            self.left[r] = left
        ended = []
        for r, gain in it.tokens:
            r.out = min(r.out + gain, r.outputs)
            r.first_ps = r.first_ps or now_ps
            if r.out == r.outputs:
                r.finish_ps = now_ps
                self.running.remove(r)
                self.leave_own(r, r.inputs + r.outputs - 1, now_ps)
                self.gone = True
                ended.append(r)
                del self.left[r]
        for group in dict.fromkeys(r.group for r in ended if r.group):
            if not any(x.group == group for x in self.running):
                self.keep(-group, range(next(r.shared for r in ended if r.group == group)), now_ps)
        if self.queued is not None and self.queued[0].empty():
            self.queued = None
            self.now = self.now // self.unit * self.unit
        return ended

    def cached(self, session: int, group: int, shared: int, most: int, now_ps: int) -> int:
        """Tokens of a prompt that are in memory now."""

        def of(owner: int, first: int) -> int:
            mine = {i for lot in (self.cache, *self.tiers) for s, i in lot if s == owner}
            if not mine or now_ps - self.left_at[owner] > self.rules.idle_ps:
                return 0
            n = first
            while n in mine:
                n += 1
            return n - first

        common = shared
        if group and not self.holds(group):
            common = of(-group, 0)
        own = of(session, shared) if session and common == shared else 0
        return min(common + own, most // BLOCK) * BLOCK
