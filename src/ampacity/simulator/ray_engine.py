"""The looks of a fleet on a cluster of Ray: RAY_ADDRESS names one, else one is started on this machine.

Needs the extra `ray`. What comes back is what processes of one machine give, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.fleet import Setting, fleet, one_look
from ampacity.simulator.strata import Look


class _Worker:
    """A process of the cluster that has laid out the fleet."""

    def __init__(self, setting: Setting) -> None:
        self.fleet = fleet(setting)

    def look(self, one: Look) -> CellResult | None:
        return one_look(self.fleet, one)


def on_ray(setting: Setting, wanted: Sequence[Look]) -> Iterator[CellResult | None]:
    """The results of looks in their order, worked out by one actor for each CPU of a cluster.

    One that runs already is used and left running. Raises ImportError without the extra `ray`.
    """
    import ray
    from ray.util import ActorPool

    begun = not ray.is_initialized()
    if begun:
        ray.init(log_to_driver=False, logging_level="ERROR")
    try:
        many = min(int(ray.cluster_resources().get("CPU", 1)), len(wanted))
        remote: Any = ray.remote(num_cpus=1)(_Worker)
        pool = ActorPool([remote.remote(setting) for _ in range(many)])
        yield from pool.map(lambda worker, one: worker.look.remote(one), wanted)
    finally:
        if begun:
            ray.shutdown()
