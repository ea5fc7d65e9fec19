"""What fails in a fleet reaches its cells: every word of the timeline is a tick that a cell takes."""

from __future__ import annotations

from fleets import ALL

import ampacity as amp
from ampacity.simulator.failures import failures
from ampacity.simulator.fleet import Setting, _ticks, fleet
from ampacity.simulator.strata import every_look
from ampacity.simulator.ticks import DOOR, NAMES, tick_rows
from ampacity.simulator.timeline import MISROUTE, timeline

HOUR_PS = 3600 * 10**12


def test_every_word_of_a_timeline_is_a_tick_of_the_cell_misrouting_too() -> None:
    f = fleet(Setting(amp.load("laptop").replace({"worlds": 1}), {}, causes=ALL))
    said: set[int] = set()
    for look in every_look(f.replicas, list(range(1, 640, 5))):
        ticks = _ticks(f, look, 1, 900)
        tick_rows(ticks, [0])  # which raises for what a cell would not take
        said |= {tick.what for tick in ticks}
        start, end = look.hour * HOUR_PS - 900 * 10**12, (look.hour + 1) * HOUR_PS
        line = timeline(failures(ALL, f.layout, 1, start, end, range(1), f.start_s), f.layout, start, end, range(1))
        astray = [v for v, what in zip(line.value.tolist(), line.what.tolist(), strict=True) if what == MISROUTE]
        assert [t.value for t in ticks if NAMES[t.what] == "MISROUTE"] == astray
        assert all((t.replica == DOOR) == (NAMES[t.what] in ("CLOSE", "OPEN", "MISROUTE")) for t in ticks)
    assert said == set(NAMES)
