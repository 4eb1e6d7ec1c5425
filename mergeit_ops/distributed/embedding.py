"""Embedding the rows of a Ray dataset, as a stage of Ray Data that can use actors with GPUs."""

from __future__ import annotations

import math

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import encode_vectors, has_text
from mergeit_ops.dataset.embeddings import embeddings_as_text, rows_with_text, zeroed
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tables import set_column
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.environment import DriverEnvironment
from mergeit_ops.jobs.sample_reader import SampleReader

_LONGER = "mergeit_rows_longer_than_window"
_LEAST_ROWS = 512  # per task; embedding them takes about as long as a worker needs to load torch and the model
_MOST_ROWS = 4_096  # a few MB, and enough for the encoder to find texts of similar lengths


def embedded(
    dataset: Dataset, blocks: Blocks, reader: SampleReader, resources: Resources, drops_unreadable: bool = False
) -> tuple[Blocks, Readability]:
    """Return the rows with their embeddings, in the order of the input, and the counts of readable rows.

    :param dataset: flat rows, computed.
    :param blocks: the same rows.
    :param reader: reads and embeds the rows.
    :param resources: what the recipe says about tasks and actors.
    :param drops_unreadable: whether the operator drops rows that cannot be read, for the warning.
    :raises DatasetError: if most rows cannot be read. This is known before any row is embedded.
    """
    brought = EMBEDDING in dataset.columns()
    found = Readability.of_parts(blocks.tell(_readability, reader, brought, each=blocks.firsts))
    found.check(reader.operator, dropped=drops_unreadable)
    return (blocks if brought else _embedded(dataset, reader, resources)), found


def _readability(table: pa.Table, reader: SampleReader, brought: bool, first: int) -> tuple[None, Readability]:
    vectors = has_text(reader.vectors(table.select([EMBEDDING]), first)) if brought else None
    return None, Readability.of(
        reader.texts(table), lambda position: table.slice(position, 1), reader.layout, first, vectors
    )


def with_zero_vectors(blocks: Blocks, reader: SampleReader, found: Readability) -> Blocks:
    """Return the rows, with a zero vector for each text that cannot be read.

    :param blocks: flat rows with embeddings.
    :param reader: reads the texts.
    :param found: the counts of readable rows.
    """
    return blocks.map(_with_zero_vectors, reader)[0] if found.misleading else blocks


def _with_zero_vectors(table: pa.Table, reader: SampleReader) -> tuple[pa.Table, None]:
    return zeroed(embeddings_as_text(table), ~reader.texts(table)), None


def _embedded(dataset: Dataset, reader: SampleReader, resources: Resources) -> Blocks:
    rows = dataset.count()
    tasks = _tasks(rows, dataset.num_blocks(), _processors())
    if tasks > dataset.num_blocks():
        dataset = dataset.repartition(tasks)
    if resources.actors is None:
        embedded, longer = Blocks.of(dataset).map(_embed, reader, resources=resources)
        reader.say_longer(sum(longer), rows)
        return embedded
    least, most = resources.actors
    actors = dataset.map_batches(
        Embedder,
        fn_constructor_args=(reader, DriverEnvironment()),
        compute=ActorPoolStrategy(min_size=least, max_size=most),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=resources.num_cpus,
        num_gpus=(resources.num_gpus or 1) if resources.on_gpu else resources.num_gpus,
        runtime_env=resources.runtime_env,
    )
    embedded, longer = Blocks.of(actors).map(_without_longer)
    reader.say_longer(sum(longer), rows)
    return embedded


def _tasks(rows: int, blocks: int, processors: int) -> int:
    # A small file is one block, and one block keeps only one processor busy.
    return max(blocks, min(2 * processors, math.ceil(rows / _LEAST_ROWS)), math.ceil(rows / _MOST_ROWS))


def _embed(table: pa.Table, reader: SampleReader) -> tuple[pa.Table, int]:
    vectors, longer = reader.new_vectors(table)
    return set_column(table, EMBEDDING, pa.array(encode_vectors(vectors), type=pa.string())), longer


def _without_longer(table: pa.Table) -> tuple[pa.Table, int]:
    return table.drop_columns([_LONGER]), sum(table.column(_LONGER).to_numpy().tolist())


def readable_only(blocks: Blocks) -> Blocks:
    """Return the rows with a readable text.

    :param blocks: flat rows with embeddings.
    """
    return blocks.map(_readable_only)[0]


def _readable_only(table: pa.Table) -> tuple[pa.Table, None]:
    return table.filter(pa.array(rows_with_text(table.column(EMBEDDING)))), None


def check_embeddings(blocks: Blocks, reader: SampleReader) -> None:
    """Check the embeddings that rows bring.

    :param blocks: flat rows with embeddings.
    :param reader: reads the embeddings.
    :raises EmbeddingError: if embeddings are unusable or have different widths.
    """
    reader.check_widths(blocks.tell(_width, reader, each=blocks.firsts))


def _width(table: pa.Table, reader: SampleReader, first: int) -> tuple[None, int]:
    return None, reader.vectors(table.select([EMBEDDING]), first).shape[1]


class Embedder:
    """Adds embeddings to batches. As an actor, it keeps its model loaded.

    :param reader: reads and embeds samples.
    :param environment: variables of the driver that apply when models are loaded.
    """

    def __init__(self, reader: SampleReader, environment: DriverEnvironment) -> None:
        self._reader = reader
        environment.apply()

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return a batch with its embeddings, and a column whose sum is the number of rows that were too long.

        :param table: the batch.
        """
        embedded, longer = _embed(table, self._reader)
        # An actor can report the number only in a column. The first row of the batch holds it.
        counts = pa.array([longer if not row else 0 for row in range(len(table))], type=pa.int64())
        return embedded.append_column(_LONGER, counts)


def _processors() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))
