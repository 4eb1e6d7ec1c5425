"""Operators on Ray: stages over the blocks of a Ray dataset, and the data that driver and workers exchange.

The other modules of this package import ray. In default mode, import only this file.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["in_ray_worker", "is_ray_dataset"]


def is_ray_dataset(dataset: Any) -> bool:
    """Return whether a dataset is Ray's. Does not import ray.

    :param dataset: the dataset that an operator gets from an executor of Data-Juicer.
    """
    return type(dataset).__module__.startswith("ray.data")


def in_ray_worker() -> bool:
    """Return whether this process is a worker of Ray. Does not import ray, because a worker has loaded it already."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return False
    # On the driver, asking for the id of a task would log a warning.
    return bool(ray.get_runtime_context().worker.mode == ray.WORKER_MODE)
