"""The looks of a fleet on a cluster of Ray: RAY_ADDRESS names one, else one is started on this machine.

Needs the extra `ray`. What comes back is what processes of one machine give, byte for byte.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, TypeVar

from ampacity.simulator.fleet import Fleet, Setting, fleet

Item = TypeVar("Item")
Out = TypeVar("Out")


class _Worker:
    """A process of the cluster that has laid out the fleet."""

    def __init__(self, setting: Setting) -> None:
        self.fleet = fleet(setting)

    def does(self, work: Callable[[Fleet, Any], Any], item: Any) -> Any:
        return work(self.fleet, item)


def on_ray(setting: Setting, work: Callable[[Fleet, Item], Out], items: Sequence[Item]) -> Iterator[Out]:
    """`work(fleet, item)` of every item in their order, by one actor for each CPU of a cluster.

    One that runs already is used and left running. Raises ModuleNotFoundError without the extra `ray`.
    """
    ray: Any = import_module("ray")
    actors: Any = import_module("ray.util")
    begun = not ray.is_initialized()
    if begun:
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    try:
        many = max(min(int(ray.cluster_resources().get("CPU", 1)), len(items)), 1)
        remote = ray.remote(num_cpus=1)(_Worker)
        pool = actors.ActorPool([remote.remote(setting) for _ in range(many)])
        yield from pool.map(lambda worker, item: worker.does.remote(work, item), items)
    finally:
        if begun:
            ray.shutdown()
