"""The operators on Ray: stages over the blocks of a Ray dataset, and what travels between driver and workers.

Only what stands here may be imported in default mode: the modules of this package import ray.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["in_ray_worker", "is_ray_dataset"]


def is_ray_dataset(dataset: Any) -> bool:
    """Tell whether an executor of Data-Juicer handed over a Ray dataset, without importing ray."""
    return type(dataset).__module__.startswith("ray.data")


def in_ray_worker() -> bool:
    """Tell whether this process works for a driver of Ray, without importing ray: a worker has it loaded."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return False
    context = ray.get_runtime_context()
    return context.get_task_id() is not None or context.get_actor_id() is not None
