"""A replica that stops at once, at any instant, and what becomes of its requests."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Replica
from workloads import One, by_naive, drawn, naive_requests, rules_of

from ampacity.simulator.rows import ARRIVAL_PS, DONE, FINISH_PS, FIRST_PS, NOW_PS, REQUEST_FIELDS, fresh_replicas
from ampacity.simulator.step_table import TICKS, iteration_ticks


@settings(max_examples=120)
@given(st.integers(0, 2**32), st.floats(0, 1), st.booleans())
def test_what_ran_is_handed_back_with_its_tokens_and_goes_on_elsewhere(seed: int, share: float, plain: bool) -> None:
    w = drawn(seed, aborts=False, reserves=seed % 2 == 1)
    whole = by_naive(w)
    end = max(finish for _, finish in whole)
    at = int(share * end)
    if share > 0.5:  # at an instant at which something ends
        at = min((finish for _, finish in whole), key=lambda finish: abs(finish - at))
    one = One(w, plain)
    one.run(at)
    one.now = at
    one.collect()
    came = {place for _, place, _ in one.outstanding}
    rows = np.array(one.requests).reshape(-1, REQUEST_FIELDS)
    unfinished = {place for place in came if rows[place, FINISH_PS] == 0}
    one.kernel.kill(one.row, one.rules, one.requests, one.sessions, at)
    lost = one.collect()
    assert set(lost) == unfinished
    one.hold_that_nothing_is_left()
    fresh = fresh_replicas(w.engine, 1)[0]
    fresh[NOW_PS] = at
    assert one.kernel.next_visible_ps(one.row, one.requests) == one.kernel.next_visible_ps(fresh, one.requests)

    naive = naive_requests(w, at)
    for place in lost:
        request = naive[place - 1]
        assert one.requests[place * REQUEST_FIELDS + DONE] == request.out
        one.requests[place * REQUEST_FIELDS + ARRIVAL_PS] = at
        one.coming.append((at, place, place))
        request.arrival_ps = at
    one.coming.sort()
    follow = [naive[place - 1] for _, _, place in one.coming]
    for arrival, _, place in one.coming:
        naive[place - 1].arrival_ps = arrival
    one.run()
    flat = [int(n) for n in w.table.flat()]
    Replica(rules_of(w), lambda b, k, p, a2: iteration_ticks(flat, b, k, p, a2), TICKS).run(follow)
    found = [(int(r[FIRST_PS]), int(r[FINISH_PS])) for r in np.array(one.requests).reshape(-1, REQUEST_FIELDS)[1:]]
    assert found == [(r.first_ps, r.finish_ps) for r in naive]
