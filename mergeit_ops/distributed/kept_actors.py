"""Actors on the machine of the driver, which all tasks of a cluster can reach."""

from __future__ import annotations

import threading
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

__all__ = ["MANY_CALLS", "kept_actor", "on_this_machine"]

MANY_CALLS = 1_000_000
"""Calls of an actor that may wait at the same time. With fewer, none could end what the others wait for."""

_held: dict[str, Any] = {}  # an actor ends when its first handle is deleted, even if there are others
_starting = threading.Lock()  # Data-Juicer processes partitions in threads


def on_this_machine() -> NodeAffinitySchedulingStrategy:
    """Return the strategy that places an actor on this machine. If the driver is lost, the run ends anyway."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def kept_actor(name: str, actor: Any, *arguments: Any) -> Any:
    """Return the actor with a name. The first call starts it, and this process keeps it alive.

    :param name: its name on the cluster.
    :param actor: its class, made by `ray.remote`.
    :param arguments: arguments of the class, for the first call.
    """
    with _starting:
        try:
            return ray.get_actor(name)
        except ValueError:
            _held[name] = actor.options(name=name, scheduling_strategy=on_this_machine()).remote(*arguments)
            return _held[name]
