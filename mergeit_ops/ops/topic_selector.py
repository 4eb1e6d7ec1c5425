"""What selectors share that keep samples of each topic, or of a flat dataset, by their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc
from data_juicer.ops.base_op import Pipeline, Selector
from datasets import Dataset
from numpy.typing import NDArray

from mergeit_ops.core.budget import FIXED_BUDGETS, gain_budgets, ratio_budget
from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.facility_location import Selection
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.dataset.tables import iter_tables, rows_of_dataset, write_dataset
from mergeit_ops.dataset.topics import Topic, flat_features, is_grouped, iter_topics, topic_features, topic_table
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops.constraints import FLAG, Constraint, Number
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS, SampleOperator

DEFAULT_SELECT_RATIO = 0.2

TOPIC_SELECTOR_CONSTRAINTS: Mapping[str, Constraint] = {
    **SAMPLE_CONSTRAINTS,
    **EMBEDDING_CONSTRAINTS,
    "select_ratio": Number(low=0, high=1, low_open=True, optional=True),
    "num_per_topic": Number(low=1, integer=True, optional=True),
    "select_num": Number(low=1, integer=True, optional=True),
    "keep_embeddings": FLAG,
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
    _takes = ("rows", "topics")
    _gives = "same"
    _may_drop = True

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
        grouped = is_grouped(dataset.features)
        features = flat_features(dataset.features) if grouped else dataset.features
        layout = self.layout_of(features)
        with self.recorded() as manifest:
            if grouped:
                sizes = _topic_sizes(dataset)
                selected = write_dataset(
                    (topic_table([topic]) for topic in self._select_topics(dataset, layout, sizes)),
                    topic_features(features),
                )
                figures = {"rows_in": sum(sizes), "rows_out": sum(_topic_sizes(selected)), "topics": len(selected)}
            else:
                selected = self._select_flat(dataset, layout)
                figures = {"rows_in": len(dataset), "rows_out": len(selected)}
            manifest.figures |= figures
        return selected

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import Blocks, materialized
        from mergeit_ops.distributed.embedding import embedded
        from mergeit_ops.distributed.selection import select_from_all, select_from_topics

        with self.recorded() as manifest:
            dataset = materialized(dataset, self._name)
            if not dataset.count():
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            layout = self.layout_of(dataset.columns())
            if BATCH_META in dataset.columns():
                selected, figures = select_from_topics(Blocks.of(dataset), self, layout)
            else:
                self._check_flat()
                keep = self.keep_embeddings and EMBEDDING in dataset.columns()
                selected, figures = select_from_all(embedded(dataset, self, layout), self, layout, keep)
            manifest.figures |= figures
        return selected.dataset()

    def _check_flat(self) -> None:
        if self.num_per_topic is not None:
            raise RecipeError(
                f"{self._name}: num_per_topic needs topics; put topic_cluster_grouper before this operator, or use "
                "select_num or select_ratio."
            )

    def _select_flat(self, dataset: Dataset, layout: SampleFormat) -> Dataset:
        self._check_flat()
        chosen = self.choose(self.dataset_vectors(dataset, layout), self.fixed_budget(len(dataset))).indices
        kept = [name for name in dataset.column_names if name != EMBEDDING or self.keep_embeddings]
        return rows_of_dataset(dataset, np.sort(chosen), kept)

    def _select_topics(self, dataset: Dataset, layout: SampleFormat, sizes: list[int]) -> Iterator[Topic]:
        if self.select_num is not None and self.allocation == "gain":
            most = [min(size, int(self.select_num)) for size in sizes]
            selections = list(self._greedy(iter_topics(dataset), layout, most))
            budgets = gain_budgets([selection.gains for _, selection in selections], int(self.select_num))
            chosen = [selection.indices[:budget] for (_, selection), budget in zip(selections, budgets, strict=True)]
            del selections
            topics: Iterable[tuple[Topic, np.ndarray]] = zip(iter_topics(dataset), chosen, strict=True)
        else:
            if self.select_num is not None:
                fixed = FIXED_BUDGETS[self.allocation](sizes, int(self.select_num)).tolist()
            else:
                fixed = [self.fixed_budget(size) for size in sizes]
            topics = (
                (topic, selection.indices) for topic, selection in self._greedy(iter_topics(dataset), layout, fixed)
            )
        for topic, indices in topics:
            if len(indices):
                table = topic.table.take(np.sort(indices))
                yield Topic(topic.topic_id, table, topic.batch_meta | {"batch_size": table.num_rows})

    def _greedy(
        self, topics: Iterable[Topic], layout: SampleFormat, budgets: list[int]
    ) -> Iterator[tuple[Topic, Selection]]:
        whole_is_enough = not (self.select_num is not None and self.allocation == "gain")
        for topic, budget in zip(topics, budgets, strict=True):
            size = topic.table.num_rows
            if whole_is_enough and budget >= size:
                yield topic, Selection(np.arange(size), np.zeros(size))
            else:
                yield topic, self.choose(self.vectors_of(topic.table, layout), budget)

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
