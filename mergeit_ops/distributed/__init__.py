"""The operators on Ray: stages over the blocks of a Ray dataset, and what travels between driver and workers.

Only `is_ray_dataset` may be imported in default mode: the modules of this package import ray.
"""

from __future__ import annotations

from typing import Any

__all__ = ["is_ray_dataset"]


def is_ray_dataset(dataset: Any) -> bool:
    """Tell whether an executor of Data-Juicer handed over a Ray dataset, without importing ray."""
    return type(dataset).__module__.startswith("ray.data")
