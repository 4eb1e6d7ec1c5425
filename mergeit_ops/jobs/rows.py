"""The rows of an operator, in any executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from datasets import Features
from numpy.typing import NDArray

from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.topics.clustering import TopicModel
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.dataset.merge_table import Merge
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.jobs.asking import AskingJob
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.parts import Parts
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["IdentifiedRows", "ModelUse", "Rows", "TableFunction"]

T = TypeVar("T")


TableFunction = Callable[..., tuple[pa.Table | None, Any]]
"""Takes a table and further arguments. Returns a table or None, and a report for the operator."""


@dataclass(frozen=True)
class ModelUse:
    """Marks a function that runs a local model. On a cluster its tasks get GPUs, or a whole node each.

    :param owner: operator that runs the model, for messages.
    :param device: torch device that it asks for; None: a GPU if there is one.
    """

    owner: str
    device: str | None = None


class Rows(Protocol):
    """Rows in order. They are processed table by table, in this process or in the tasks of a cluster."""

    def __len__(self) -> int: ...

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns."""
        ...

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Return the types of the columns."""
        ...

    @property
    def grouped(self) -> bool:
        """Return whether the rows are topics."""
        ...

    @property
    def dataset(self) -> Any:
        """Return the rows as the executor's own dataset."""
        ...

    def map(
        self,
        function: TableFunction,
        *shared: Any,
        each: Iterable[Any] | None = None,
        features: Callable[[Features], Features] = lambda features: features,
        stats: Mapping[str, pa.DataType] | None = None,
        model: ModelUse | None = None,
    ) -> tuple[Rows, list[Any]]:
        """Run a function over every table.

        :param function: function of a table, the shared arguments, and this table's own argument. On a cluster it is
            pickled.
        :param shared: arguments of all calls.
        :param each: one further argument for each table.
        :param features: maps the columns and types of these rows to those of the result. On a cluster they come from
            the tables.
        :param stats: types of the stats that the function writes; None if it writes none, or those of the gate.
        :param model: the model that the function runs; None if it runs none.
        :return: the new rows, and the function's report about each input table, in order.
        """
        ...

    def tell(self, function: TableFunction, *shared: Any, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Run a function over every table for its report only; see `map`.

        In one process, a table is read when its report is asked for.

        :param function: function of a table and the shared arguments.
        :param shared: arguments of all calls.
        :param columns: columns of flat rows that the function reads; None for all.
        """
        ...

    def embedded(self, reader: SampleReader) -> tuple[Rows, Readability]:
        """Return flat rows with the column of embeddings, and the counts of readable rows; see `with_vectors`."""
        ...

    def with_vectors(self, reader: SampleReader, drops_unreadable: bool) -> tuple[Rows, Readability]:
        """Read or compute the embeddings of flat rows, for `choose`.

        :param reader: reader that also embeds them. Unreadable rows get zero vectors.
        :param drops_unreadable: whether unreadable rows are dropped, for the warning.
        :return: the rows with embeddings, and the counts of readable rows.
        :raises DatasetError: if most rows cannot be read; before any is embedded.
        """
        ...

    def choose(
        self, choose: Callable[[NDArray[np.float32]], T], reader: SampleReader, model: ModelUse | None = None
    ) -> T:
        """Return the result of a function of the embeddings of all rows, which `with_vectors` has added.

        :param choose: function from (n, d) vectors to positions or values. On a cluster one task runs it and holds all
            vectors.
        :param reader: reads the embeddings.
        :param model: the model that the function runs; None if it runs none.
        """
        ...

    def parts(self, reader: SampleReader, count: int) -> Parts | None:
        """Return the embeddings of all rows, which `with_vectors` has added, divided among the tasks of a cluster.

        :param reader: reads the embeddings.
        :param count: number of parts.
        :return: the parts; None without a cluster, where this process holds all embeddings.
        """
        ...

    def once(self, function: Callable[[], T], model: ModelUse | None = None) -> T:
        """Return the result of a function that needs no rows. On a cluster one task runs it; see `choose`."""
        ...

    def take(self, positions: NDArray[np.int64], dropped: Sequence[str] = ()) -> Rows:
        """Return some of the rows.

        :param positions: ascending.
        :param dropped: columns to remove.
        """
        ...

    def identified(self, reader: SampleReader, drops_unreadable: bool) -> tuple[IdentifiedRows, Readability]:
        """Return flat rows with ids and embeddings, and the counts of readable rows; see `with_vectors`.

        :raises DatasetError: see `with_vectors`; also if the ids that rows bring are not unique texts.
        """
        ...

    def asked(
        self,
        job: AskingJob,
        manifest: Manifest,
        *,
        features: Callable[[Features], Features] = lambda features: features,
        stats: Mapping[str, pa.DataType] | None = None,
    ) -> tuple[Rows, list[Any]]:
        """Ask language models about every table.

        :param job: job that asks about a table. On a cluster it is pickled.
        :param manifest: gets the figures and details, even if the work had to stop.
        :param features: see `map`.
        :param stats: see `map`.
        :return: the new rows, and the job's report about each input table, in order.
        :raises LLMError: if a model cannot answer, or too many requests fail.
        """
        ...

    def merged(
        self, job: MergeJob, manifest: Manifest, groups: Sequence[Sequence[Sequence[Group]]] | None = None
    ) -> Rows:
        """Merge within topics and flatten them.

        In one process a topic is written when its merges are complete. On a cluster each table is merged by a task.

        :param job: the merge.
        :param manifest: gets the figures and details, even if the merge had to stop.
        :param groups: the groups of each topic, table by table; None if they are not known yet.
        :return: flat rows.
        :raises LLMError: if the model cannot answer, or too many merges fail.
        """
        ...

    def tried(
        self, job: MergeJob, groups: Sequence[Sequence[Sequence[Group]]], manifest: Manifest
    ) -> list[list[list[tuple[Merge, bool | None]]]]:
        """Merge some groups to learn from them; see `MergeJob.try_out`. `merged` reports the cost too.

        :param job: the merge.
        :param groups: the groups to try of each topic, table by table.
        :param manifest: gets the figures and details, even if the work had to stop.
        :return: the merge of each group, and whether it was accepted.
        :raises LLMError: if the model cannot answer.
        """
        ...


class IdentifiedRows(Protocol):
    """Flat rows with ids and embeddings, to be grouped into topics. Unreadable rows have zero vectors."""

    def with_lowest_ids(self, size: int) -> NDArray[np.float32]:
        """Return the embeddings of the readable rows with the lowest ids.

        :param size: number of rows.
        :return: (min(n, size), d), by ascending id.
        """
        ...

    def topics(self, model: TopicModel | None) -> tuple[Any, NDArray[np.int64]]:
        """Put the rows of each topic together.

        :param model: the fitted centroids; None if there are no rows.
        :return: the topics as the executor's own dataset, with their samples in the order of the input; and the rows
            per topic, (num_clusters,) or one more if unreadable rows have a separate topic.
        """
        ...
