"""Ticks as people state them: what changes in a cell, and when; checked and laid out for `cell_ticks.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ampacity.simulator.cell_rows import CLOSE, DRAIN, KILL, MISROUTE, OPEN, SLOW, TICK_FIELDS, UP
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.rows import Ints
from ampacity.simulator.step_table import StepTable

DOOR = -1
SPEED = 1 << 10
SLOWEST = 16 * SPEED
EVERY_REQUEST = 1 << 10
NAMES = {
    DRAIN: "DRAIN", KILL: "KILL", UP: "UP", SLOW: "SLOW", CLOSE: "CLOSE", OPEN: "OPEN", MISROUTE: "MISROUTE"
}  # fmt: skip


class Tick(NamedTuple):
    """What changes at an instant.

    replica: its position in the cell, or DOOR. what: DRAIN (it gets no new request; what it has goes on), KILL (it
    stops at once and is empty; what it had is handed back), UP (it gets requests), SLOW (from its next iteration on
    each takes value / 1,024 times as long; 1,024 to 16 times that), CLOSE and OPEN (of the door: while it is closed
    every arrival is refused), MISROUTE (of the door: value / 1,024 of the requests go to the wrong place; 0: none).
    """

    at_ps: int
    replica: int
    what: int
    value: int = 0


def tick_rows(ticks: Sequence[Tick], pool_of: Sequence[int]) -> tuple[Ints, list[tuple[int, int]]]:
    """Rows of TICK_FIELDS; and the tables that they need beside those of the pools: (pool, value) each.

    pool_of: of every replica. The value of a SLOW in the rows is its table: a pool's own, or behind those of all pools.
    Raises ValueError with every mistake.
    """
    wrong = []
    pools = max(pool_of, default=-1) + 1
    slowed: list[tuple[int, int]] = []
    rows = np.zeros((len(ticks), TICK_FIELDS), np.int64)
    last_ps = 0
    for i, tick in enumerate(ticks):
        at_ps, where, what, value = tick
        of_door = what in (CLOSE, OPEN, MISROUTE)
        if what not in NAMES:
            wrong.append(f"tick {i} does {what}: one of {', '.join(f'{n} ({k})' for k, n in NAMES.items())}")
        elif of_door != (where == DOOR) or not (of_door or 0 <= where < len(pool_of)):
            expected = f"the door ({DOOR})" if of_door else f"a replica from 0 to {len(pool_of) - 1}"
            wrong.append(f"tick {i}, {NAMES[what]}, is of {where}: {expected}")
        elif what == SLOW and not SPEED <= value <= SLOWEST:
            wrong.append(f"tick {i} slows to {value} / {SPEED}: from {SPEED} to {SLOWEST}")
        elif what == MISROUTE and not 0 <= value <= EVERY_REQUEST:
            wrong.append(f"tick {i} misroutes {value} / {EVERY_REQUEST}: from 0 to {EVERY_REQUEST}")
        elif what not in (SLOW, MISROUTE) and value != 0:
            wrong.append(f"tick {i}, {NAMES[what]}, has the value {value}: only SLOW and MISROUTE have one")
        elif what == SLOW:
            key = (pool_of[where], value)
            if value == SPEED:
                value = pool_of[where]
            else:
                if key not in slowed:
                    slowed.append(key)
                value = pools + slowed.index(key)
        if not 0 <= at_ps < FOREVER_PS:
            wrong.append(f"tick {i} is at {at_ps} ps: from 0 to before {FOREVER_PS}")
        elif at_ps < last_ps:
            wrong.append(f"tick {i} is at {at_ps} ps, before the one before it ({last_ps}): rising instants")
        last_ps = max(last_ps, at_ps)
        rows[i] = at_ps, where, what, value
    if wrong:
        raise ValueError("; ".join(wrong))
    return rows.reshape(-1), slowed


def slower(table: StepTable, value: int) -> StepTable:
    """The table of a replica whose iterations take value / 1,024 times as long; each number rounded to a tick."""

    def scaled(ticks: int) -> int:
        return (ticks * value + SPEED // 2) // SPEED

    return replace(
        table,
        dense_read=scaled(table.dense_read),
        dense_token=scaled(table.dense_token),
        dense_sequence=scaled(table.dense_sequence),
        expert_token=scaled(table.expert_token),
        per_token=scaled(table.per_token),
        per_sequence=scaled(table.per_sequence),
        per_iteration=scaled(table.per_iteration),
        prefill_a2=scaled(table.prefill_a2),
        expert_read=tuple(scaled(t) for t in table.expert_read),
        pieces=tuple((since, scaled(context), scaled(sequence)) for since, context, sequence in table.pieces),
        prompt=tuple(scaled(t) for t in table.prompt),
        measured=tuple(
            tuple((since, scaled(context), scaled(sequence)) for since, context, sequence in own)
            for own in table.measured
        ),
    )
