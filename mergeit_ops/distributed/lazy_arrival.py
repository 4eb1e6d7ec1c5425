"""Checks before one of our filters on Ray, where Data-Juicer maps filters lazily and does not show them the dataset."""

from __future__ import annotations

import sys

from mergeit_ops.dataset.lost_rows import check_arrival, follows_others
from mergeit_ops.dataset.recipe import RecipeOperator
from mergeit_ops.distributed.blocks import materialized


def check_lazy_arrival(operator: RecipeOperator) -> None:
    """Compute the dataset that operators of Data-Juicer left for a filter, and stop if it is empty.

    If one of our operators is directly before the filter, the dataset stays lazy.

    :param operator: the filter, on the driver, before Data-Juicer maps it.
    :raises DatasetError: if Data-Juicer's operators have dropped all rows.
    """
    from data_juicer.core.data.ray_dataset import RayDataset

    if not follows_others(operator):
        return
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is RayDataset._run_single_op.__code__:
            mapped = frame.f_locals["self"]
            # The computed dataset is kept, so that earlier operators do not run twice.
            mapped.data = materialized(mapped.data)
            check_arrival(operator, mapped.data.count())
            return
        frame = frame.f_back  # type: ignore[assignment]
