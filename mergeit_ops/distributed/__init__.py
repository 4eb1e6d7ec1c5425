"""The operators on Ray: stages over the blocks of a Ray dataset, and the data between driver and workers.

In default mode import only this file: the modules of this package import ray.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["in_ray_worker", "is_ray_dataset"]


def is_ray_dataset(dataset: Any) -> bool:
    """Return whether an executor of Data-Juicer handed over a Ray dataset, without importing ray."""
    return type(dataset).__module__.startswith("ray.data")


def in_ray_worker() -> bool:
    """Return whether this process is a worker of Ray, without importing ray: a worker has it loaded."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return False
    # To ask for the id of a task would do, but warns on the driver.
    return bool(ray.get_runtime_context().worker.mode == ray.WORKER_MODE)
