"""Replicas of a naive cell that come and go: a word and an instant each; the policy called as plain Python."""

from __future__ import annotations

from ampacity.policy.autoscaling import scale_by, scaling_rules, taken_back

NEVER = 1 << 62
MS = 10**9


class Scaler:
    """The stages of one pool's replicas by number: absent, starting, in service, leaving."""

    def __init__(self, terms: dict[str, int], pool_of: tuple[int, ...]) -> None:
        self.terms = terms
        mine = [i for i, pool in enumerate(pool_of) if pool == terms["pool"]]
        self.stage = {i: "in service" if n < terms["first"] else "absent" for n, i in enumerate(mine)}
        self.up_at: dict[int, int] = {}
        self.rules = scaling_rules(*(terms[name] for name in ("target", "least", "most", "start_ms", "calm_ms")))
        self.watch = [0, 0]
        self.look_ps = terms["every_ms"] * MS
        self.starts = self.taken_back = self.drains = self.here_ps = self.looked_ps = 0

    def next_ps(self) -> int:
        return min([self.look_ps, *self.up_at.values()])

    def empty_ones(self, now: int, idle: set[int]) -> list[int]:
        """Those that are gone with this look, if it is one."""
        for i in [i for i, at in self.up_at.items() if at == now]:
            del self.up_at[i]
            self.stage[i] = "in service"
        if now != self.look_ps:
            return []
        self.here_ps += sum(stage != "absent" for stage in self.stage.values()) * (now - self.looked_ps)
        self.looked_ps = now
        gone = [i for i, stage in self.stage.items() if stage == "leaving" and i in idle]
        self.stage |= dict.fromkeys(gone, "absent")
        return gone

    def go_on(self, now: int, now_ms: int, load: dict[int, int], waiting: int, out: set[int], work_left: bool) -> None:
        if now != self.look_ps:
            return
        self.look_ps = now + self.terms["every_ms"] * MS if work_left else NEVER
        whole = waiting + sum(load[i] for i in self.stage)
        n = scale_by(
            self.rules, 0, self.watch, 0, whole, len(self.those("in service", out)),
            len(self.those("starting", out)), now_ms,
        )  # fmt: skip
        for _ in range(taken_back(n, len(self.those("leaving", out)))):
            self.stage[self.those("leaving", out)[0]] = "in service"
            self.taken_back += 1
            n -= 1
        for i in self.those("absent", out)[: max(n, 0)]:
            self.stage[i] = "starting"
            self.up_at[i] = now + self.terms["start_ms"] * MS
            self.starts += 1
        for _ in range(-n):
            self.drains += 1
            if starting := self.those("starting", out):
                last = max(starting, key=lambda i: (self.up_at[i], i))
                del self.up_at[last]
                self.stage[last] = "absent"
            else:
                self.stage[min(self.those("in service", out), key=lambda i: (load[i], -i))] = "leaving"

    def those(self, stage: str, out: set[int]) -> list[int]:
        return [i for i, s in self.stage.items() if s == stage and i not in out]
