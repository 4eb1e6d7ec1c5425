"""Embedding the rows of a Ray dataset, as a stage of Ray Data that can take GPU actors."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import encode_vectors, has_text
from mergeit_ops.dataset.columns_at_risk import value_and_sample
from mergeit_ops.dataset.embeddings import embeddings_as_text, rows_with_text, zeroed
from mergeit_ops.dataset.merges_ahead import check_merges_ahead
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tables import set_column
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.environment import DriverEnvironment

_LEAST_ROWS = 256  # per task; below it, starting a task costs more than it saves
_MOST_ROWS = 4_096  # enough for the encoder to find texts of like lengths, a few MB


def check_merges_ahead_on_ray(dataset: Dataset, operator: Any, layout: Any) -> None:
    """Refuse a recipe whose merger will have to stop, before flat rows are embedded for it.

    :param dataset: flat rows, computed.
    :param operator: an operator that is about to embed them.
    :param layout: their layout.
    :raises RecipeError: if the merger will have to stop.
    """
    schema = dataset.schema()
    types = dict(zip(schema.names, schema.types, strict=True))
    blocks = Blocks.of(dataset)
    check_merges_ahead(operator, types, layout, lambda column: blocks.tell(_value_and_sample, column, layout))


def _value_and_sample(table: pa.Table, column: str, layout: Any) -> tuple[None, list[tuple[str, str]]]:
    return None, value_and_sample(table, column, layout)


def embedded(
    dataset: Dataset, operator: Any, layout: Any, drops_unreadable: bool = False
) -> tuple[Blocks, Readability]:
    """Return the rows with their embeddings, in the order of the input, and the counts of readable rows.

    :param dataset: flat rows, computed.
    :param operator: whose model, device and resources are used.
    :param layout: layout of the samples.
    :param drops_unreadable: whether rows that cannot be read are dropped, for the warning.
    :raises DatasetError: if most rows cannot be read; before any is embedded.
    """
    blocks = Blocks.of(dataset)
    brought = EMBEDDING in dataset.columns()
    found = Readability.of_parts(blocks.tell(_readability, operator, layout, brought, each=blocks.firsts))
    found.check(operator._name, dropped=drops_unreadable)
    return (blocks if brought else _embedded(dataset, operator, layout)), found


def _readability(table: pa.Table, operator: Any, layout: Any, brought: bool, first: int) -> tuple[None, Readability]:
    vectors = has_text(operator.vectors_of(table.select([EMBEDDING]), layout, first)) if brought else None
    texts = operator.texts_in(table, layout)
    return None, Readability.of(texts, lambda position: table.slice(position, 1), layout, first, vectors)


def with_zero_vectors(blocks: Blocks, operator: Any, layout: Any, found: Readability) -> Blocks:
    """Return rows with zero vectors where the text cannot be read; the same ones if they have them.

    :param blocks: flat rows with embeddings.
    :param operator: reads the texts.
    :param layout: layout of the samples.
    :param found: the counts of readable rows.
    """
    return blocks.map(_with_zero_vectors, operator, layout)[0] if found.misleading else blocks


def _with_zero_vectors(table: pa.Table, operator: Any, layout: Any) -> tuple[pa.Table, None]:
    return zeroed(embeddings_as_text(table), ~operator.texts_in(table, layout)), None


def _embedded(dataset: Dataset, operator: Any, layout: Any) -> Blocks:
    rows = dataset.count()
    # One small file is one block, and one block keeps one processor busy.
    tasks = max(
        dataset.num_blocks(), min(2 * _processors(), math.ceil(rows / _LEAST_ROWS)), math.ceil(rows / _MOST_ROWS)
    )
    if tasks > dataset.num_blocks():
        dataset = dataset.repartition(tasks)
    if not operator.use_ray_actor():
        resources = Resources.of(operator)
        return Blocks.of(dataset).map(_embed, operator, layout, resources=resources)[0]
    actors = dataset.map_batches(
        Embedder,
        fn_constructor_args=(operator, layout, DriverEnvironment()),
        compute=_actors(operator.num_proc),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=operator.num_cpus,
        num_gpus=(operator.num_gpus or 1) if operator.use_cuda() else operator.num_gpus,
        runtime_env=operator.runtime_env,
    )
    return Blocks.of(actors)


def _embed(table: pa.Table, operator: Any, layout: Any) -> tuple[pa.Table, None]:
    texts = encode_vectors(operator.vectors_of(table, layout))
    return set_column(table, EMBEDDING, pa.array(texts, type=pa.string())), None


def readable_only(blocks: Blocks) -> Blocks:
    """Return the rows that have a text that can be read.

    :param blocks: flat rows with embeddings.
    """
    return blocks.map(_readable_only)[0]


def _readable_only(table: pa.Table) -> tuple[pa.Table, None]:
    return table.filter(pa.array(rows_with_text(table.column(EMBEDDING)))), None


def check_embeddings(blocks: Blocks, operator: Any, layout: Any) -> None:
    """Look at the embeddings that rows bring.

    :param blocks: flat rows with embeddings.
    :param operator: in whose name errors are raised.
    :param layout: layout of the samples.
    :raises EmbeddingError: if they are unusable, or of different widths.
    """
    operator.check_widths(blocks.tell(_width, operator, layout, each=blocks.firsts))


def _width(table: pa.Table, operator: Any, layout: Any, first: int) -> tuple[None, int]:
    return None, operator.vectors_of(table.select([EMBEDDING]), layout, first).shape[1]


class Embedder:
    """Adds embeddings to batches; as an actor it keeps its model loaded.

    :param operator: whose model is used.
    :param layout: layout of the samples.
    :param environment: variables of the driver that the loading of models reads.
    """

    def __init__(self, operator: Any, layout: Any, environment: DriverEnvironment) -> None:
        self._operator, self._layout = operator, layout
        environment.apply()

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return a batch with its embeddings."""
        return _embed(table, self._operator, self._layout)[0]


def _actors(num_proc: Any) -> ActorPoolStrategy:
    if isinstance(num_proc, (tuple, list)):
        return ActorPoolStrategy(min_size=num_proc[0], max_size=num_proc[1])
    return ActorPoolStrategy(size=num_proc if isinstance(num_proc, int) and num_proc > 0 else 1)


def _processors() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))
