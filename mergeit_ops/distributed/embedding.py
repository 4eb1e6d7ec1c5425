"""Embedding the rows of a Ray dataset, as a stage of Ray Data that can take GPU actors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset, TaskPoolStrategy

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import set_column
from mergeit_ops.distributed.blocks import materialized
from mergeit_ops.distributed.environment import apply_environment, driver_environment

BATCH_ROWS = 4_096
"""Rows embedded at a time: enough for the encoder to find texts of like lengths, a few MB."""

_LEAST_ROWS = 256  # per task; below it, starting a task costs more than it saves


def embedded(dataset: Dataset, operator: Any, layout: Any) -> Dataset:
    """Return the rows with their embeddings, computed, in the order of the input.

    :param dataset: flat rows, computed.
    :param operator: whose model, device and resources are used; rows that bring embeddings are checked only later.
    :param layout: layout of the samples.
    """
    if EMBEDDING in dataset.columns():
        return dataset
    # One small file is one block, and one block keeps one processor busy.
    tasks = max(dataset.num_blocks(), min(2 * _processors(), math.ceil(dataset.count() / _LEAST_ROWS)))
    if tasks > dataset.num_blocks():
        dataset = dataset.repartition(tasks)
    arguments = (operator, layout, driver_environment())
    actors = operator.use_ray_actor()
    return materialized(
        dataset.map_batches(
            Embedder if actors else _embedder(*arguments),
            fn_constructor_args=arguments if actors else None,
            compute=_actors(operator.num_proc) if actors else TaskPoolStrategy(size=_fixed(operator.num_proc)),
            batch_size=BATCH_ROWS,
            batch_format="pyarrow",
            num_cpus=operator.num_cpus,
            num_gpus=(operator.num_gpus or 1) if actors and operator.use_cuda() else operator.num_gpus,
            runtime_env=operator.runtime_env,
        )
    )


class Embedder:
    """Adds embeddings to batches; as an actor it keeps its model loaded.

    :param operator: whose model is used.
    :param layout: layout of the samples.
    :param environment: variables of the driver that the loading of models reads.
    """

    def __init__(self, operator: Any, layout: Any, environment: dict[str, str]) -> None:
        self._operator, self._layout = operator, layout
        apply_environment(environment)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return a batch with its embeddings."""
        texts = encode_vectors(self._operator.vectors_of(table, self._layout))
        return set_column(table, EMBEDDING, pa.array(texts, type=pa.string()))


def _embedder(operator: Any, layout: Any, environment: dict[str, str]) -> Callable[[pa.Table], pa.Table]:
    # Ray takes functions and classes, no callable objects. The model is loaded once per worker process.
    return lambda table: Embedder(operator, layout, environment)(table)


def _actors(num_proc: Any) -> ActorPoolStrategy:
    if isinstance(num_proc, (tuple, list)):
        return ActorPoolStrategy(min_size=num_proc[0], max_size=num_proc[1])
    return ActorPoolStrategy(size=_fixed(num_proc) or 1)


def _fixed(num_proc: Any) -> int | None:
    return int(num_proc) if isinstance(num_proc, int) and num_proc > 0 else None


def _processors() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))
