"""What selectors share that keep samples of each topic, or of a flat dataset, by their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from data_juicer.ops.base_op import Pipeline, Selector
from datasets import Dataset
from numpy.typing import NDArray

from mergeit_ops.core.budget import FIXED_BUDGETS, gain_budgets, ratio_budget
from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.facility_location import Selection
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import rows_with_text
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tables import iter_tables, rows_of_dataset, write_dataset
from mergeit_ops.dataset.topics import Topic, flat_features, is_grouped, iter_topics, topic_features, topic_table
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops.constraints import FLAG, Constraint, Number
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
    UNREADABLE_CONSTRAINTS,
    SampleOperator,
)

DEFAULT_SELECT_RATIO = 0.2

TOPIC_SELECTOR_CONSTRAINTS: Mapping[str, Constraint] = {
    **SAMPLE_CONSTRAINTS,
    **EMBEDDING_CONSTRAINTS,
    "select_ratio": Number(low=0, high=1, low_open=True, optional=True),
    "num_per_topic": Number(low=1, integer=True, optional=True),
    "select_num": Number(low=1, integer=True, optional=True),
    "keep_embeddings": FLAG,
    **UNREADABLE_CONSTRAINTS,
}


class TopicSelector(SampleOperator, Selector, Pipeline):
    """Base of selectors: says how many samples a topic keeps; which ones, `choose` says.

    :param parameters: the operator's own parameters, among them those of `TOPIC_SELECTOR_CONSTRAINTS` and `allocation`.
    :param args: passed on to Data-Juicer's operator class.
    :param kwargs: passed on to Data-Juicer's operator class.
    :raises RecipeError: if more than one parameter says how many samples are kept.
    """

    # Data-Juicer's partitioned Ray executor would otherwise run it on each partition for itself.
    is_global_operation = True
    takes = "either"
    gives = "either"
    may_drop = True

    def __init__(self, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(parameters, *args, **kwargs)
        given = [name for name in ("select_ratio", "num_per_topic", "select_num") if parameters[name] is not None]
        if len(given) > 1:
            raise RecipeError(
                f"{self._name}: at most one of select_ratio, num_per_topic, select_num may be set, got "
                f"{' and '.join(given)}."
            )
        self.select_ratio = parameters["select_ratio"] if given else DEFAULT_SELECT_RATIO
        self.num_per_topic = parameters["num_per_topic"]
        self.select_num = parameters["select_num"]
        self.allocation: str = parameters["allocation"]
        self.keep_embeddings: bool = parameters["keep_embeddings"]
        self.keeps_unreadable: bool = parameters["unreadable_rows"] == "keep"

    def choose(self, vectors: NDArray[np.float32], budget: int) -> Selection:
        """Choose rows by their embeddings.

        :param vectors: (n, d) float32 of unit norm.
        :param budget: rows to choose, 1 <= budget <= n.
        :return: the rows, best first.
        """
        raise NotImplementedError

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Select from topics or from a flat dataset.

        :param dataset: topics, or flat samples.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace selectors.
        :return: topics with fewer samples each; or the chosen samples, in the order of the input.
        :raises DatasetError: if a column is missing.
        """
        if is_ray_dataset(dataset):
            return self._run_on_ray(dataset)
        self.check_arrival(len(dataset))
        grouped = is_grouped(dataset.features)
        features = flat_features(dataset.features) if grouped else dataset.features
        layout = self.layout_of(features)
        with self.recorded() as manifest:
            if grouped:
                sizes = _topic_sizes(dataset)
                found = self._check_topics(dataset, layout)
                selected = write_dataset(
                    (topic_table([topic]) for topic in self._select_topics(dataset, layout)), topic_features(features)
                )
                figures = {"rows_in": sum(sizes), "rows_out": sum(_topic_sizes(selected)), "topics": len(selected)}
                figures |= found.figures()
            else:
                self._check_flat()
                vectors, found = self.dataset_vectors(dataset, layout, drops_unreadable=not self.keeps_unreadable)
                kept = [name for name in dataset.column_names if name != EMBEDDING or self.keep_embeddings]
                selected = rows_of_dataset(dataset, self.choose_from_all(vectors), kept)
                figures = {"rows_in": len(dataset), "rows_out": len(selected), **found.figures()}
            manifest.figures |= figures
        return selected

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import Blocks, materialized
        from mergeit_ops.distributed.embedding import embedded, with_zero_vectors
        from mergeit_ops.distributed.selection import select_from_all, select_from_topics

        with self.recorded() as manifest:
            dataset = materialized(dataset, self._name)
            if not self.check_arrival(dataset.count()):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            columns = dataset.columns()
            layout = self.layout_of(columns)
            if BATCH_META in columns:
                selected, figures = select_from_topics(Blocks.of(dataset), self, layout)
            else:
                self._check_flat()
                blocks, found = embedded(dataset, self, layout, drops_unreadable=not self.keeps_unreadable)
                keep = self.keep_embeddings and EMBEDDING in columns
                marked = with_zero_vectors(blocks, self, layout, found)
                selected, figures = select_from_all(blocks, marked, self, layout, keep)
                figures |= found.figures()
            manifest.figures |= figures
        return selected.dataset()

    def _check_flat(self) -> None:
        if self.num_per_topic is not None:
            raise RecipeError(
                f"{self._name}: num_per_topic needs topics; put topic_cluster_grouper before this operator, or use "
                "select_num or select_ratio."
            )

    def _check_topics(self, topics: Dataset, layout: SampleFormat) -> Readability:
        """Check the texts of topics without embeddings, which come from Data-Juicer's groupers."""
        if EMBEDDING in topics.features:
            return Readability()
        parts = []
        first_row = 0
        for topic in iter_topics(topics):
            table = topic.table
            readable = self.readable_in(table, layout)
            parts.append(Readability.of(readable, partial(table.slice, length=1), layout, first_row))
            first_row += table.num_rows
        found = Readability.of_parts(parts)
        found.check(self._name, dropped=not self.keeps_unreadable)
        return found

    def choose_from_all(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the rows of a flat dataset that are kept.

        :param vectors: (n, d) float32; zero vectors of rows that cannot be read.
        :return: positions, ascending.
        """
        readable = has_text(vectors)
        budget = self.fixed_budget(int(readable.sum()))
        return self._with_unreadable(self._chosen(vectors, readable, budget).indices, readable)

    def offer(self, table: pa.Table, layout: SampleFormat, budget: int, with_gains: bool = False) -> Selection:
        """Select rows of a topic.

        :param table: the topic's rows.
        :param layout: layout of the samples.
        :param budget: maximum number of rows.
        :param with_gains: whether to compute gains also if the whole topic is selected.
        :return: positions of readable rows, best first.
        """
        readable = self.readable_in(table, layout)
        if not with_gains and budget >= readable.sum():
            whole = np.flatnonzero(readable)
            return Selection(whole, np.zeros(len(whole)))
        return self._chosen(self.vectors_of(table, layout), readable, budget)

    def kept(self, topic: Topic, layout: SampleFormat, chosen: NDArray[np.int64]) -> Topic | None:
        """Return a topic with its kept rows in their order; None if it keeps none.

        :param topic: the topic.
        :param layout: layout of the samples.
        :param chosen: positions of the selected rows.
        """
        positions = self._with_unreadable(chosen, self.readable_in(topic.table, layout))
        if not len(positions):
            return None
        batch_meta = topic.batch_meta | {"batch_size": len(positions)}
        return Topic(topic.topic_id, topic.table.take(pa.array(positions)), batch_meta)

    def readable_in(self, table: pa.Table, layout: SampleFormat) -> NDArray[np.bool_]:
        """Return which rows of a topic have a text that can be read; only these can be selected."""
        if EMBEDDING in table.column_names:
            with self.reading_embeddings():
                return rows_with_text(table.column(EMBEDDING))
        return self.texts_in(table, layout)

    def _chosen(self, vectors: NDArray[np.float32], readable: NDArray[np.bool_], budget: int) -> Selection:
        rows = np.flatnonzero(readable)
        budget = min(budget, len(rows))
        if not budget:
            return Selection(np.zeros(0, np.int64), np.zeros(0))
        # Usually all rows are readable, and selecting all of them would copy them.
        chosen = self.choose(vectors if len(rows) == len(vectors) else vectors[rows], budget)
        return Selection(rows[chosen.indices], chosen.gains)

    def _with_unreadable(self, chosen: NDArray[np.int64], readable: NDArray[np.bool_]) -> NDArray[np.int64]:
        others = np.flatnonzero(~readable) if self.keeps_unreadable else np.zeros(0, np.int64)
        return np.sort(np.concatenate([chosen, others]))

    def _select_topics(self, dataset: Dataset, layout: SampleFormat) -> Iterator[Topic]:
        if self.select_num is not None and self.allocation == "gain":
            total = int(self.select_num)
            offers = [self.offer(topic.table, layout, total, with_gains=True) for topic in iter_topics(dataset)]
            budgets = gain_budgets([offer.gains for offer in offers], total)
            chosen = [offer.indices[:budget] for offer, budget in zip(offers, budgets, strict=True)]
            del offers
            topics: Iterable[tuple[Topic, NDArray[np.int64]]] = zip(iter_topics(dataset), chosen, strict=True)
        else:
            sizes = [int(self.readable_in(topic.table, layout).sum()) for topic in iter_topics(dataset)]
            if self.select_num is not None:
                fixed = FIXED_BUDGETS[self.allocation](sizes, int(self.select_num)).tolist()
            else:
                fixed = [self.fixed_budget(size) for size in sizes]
            topics = (
                (topic, self.offer(topic.table, layout, budget).indices)
                for topic, budget in zip(iter_topics(dataset), fixed, strict=True)
            )
        for topic, indices in topics:
            kept = self.kept(topic, layout, indices)
            if kept is not None:
                yield kept

    def fixed_budget(self, size: int) -> int:
        """Return how many of a number of samples are kept, where this does not depend on other topics."""
        if self.num_per_topic is not None:
            return min(size, int(self.num_per_topic))
        if self.select_num is not None:
            return min(size, int(self.select_num))
        return ratio_budget(size, float(self.select_ratio or DEFAULT_SELECT_RATIO))


def _topic_sizes(dataset: Dataset) -> list[int]:
    any_list_column = next(name for name in dataset.column_names if name != BATCH_META)
    return [
        size
        for table in iter_tables(dataset, [any_list_column])
        for size in pc.list_value_length(table.column(any_list_column)).to_pylist()
    ]
