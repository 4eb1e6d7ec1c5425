"""Group samples into topics by clustering the embeddings of their instructions."""

from __future__ import annotations

from collections import Counter
from typing import Any, Optional

import numpy as np
import pyarrow as pa
from data_juicer.config import config
from data_juicer.ops.base_op import OPERATORS, TAGGING_OPS, Grouper, Pipeline
from data_juicer.utils.ray_utils import is_ray_mode
from datasets import Dataset
from numpy.typing import NDArray

from mergeit_ops.constraints import Number
from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.topics.clustering import default_fit_sample_size, default_num_clusters, fit_sample, fit_topics
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import rows_with_text, vectors_column
from mergeit_ops.dataset.manifest import TOPIC_SIZES
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.recipe import is_analyzed
from mergeit_ops.dataset.tables import TEXT, iter_tables, write_dataset
from mergeit_ops.dataset.topics import group_rows, is_grouped, topic_features
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
    UNREADABLE_CONSTRAINTS,
)

OP_NAME = "topic_cluster_grouper"


@OPERATORS.register_module(OP_NAME)
class TopicClusterGrouper(EmbeddingOperator, Grouper, Pipeline):
    """Group samples into topics: one row per topic comes out, each column the list of its samples' values.

    Embeds each sample's instruction (and input), reduces the embeddings by PCA, and clusters them by K-means (MergeIT,
    stage 1). Topics are the unit of the selection and merging that follow. Adds `mergeit_row_id` and
    `mergeit_embedding` to the samples, where they do not bring them, and `__dj__batch_meta__` to the topics. The rows
    that centroids are fitted on are chosen by content, so topics do not depend on the order of the input."""

    # Data-Juicer's partitioned Ray executor would otherwise run it on each partition for itself.
    is_global_operation = True
    gives = "topics"
    gives_ids = True
    kind = "grouper"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        "num_clusters": Number(low=1, integer=True, optional=True),
        "pca_variance": Number(low=0, high=1, low_open=True, high_open=True, optional=True),
        "seed": Number(low=0, high=2**32 - 1, integer=True),
        "fit_sample_size": Number(low=1, integer=True, optional=True),
        **UNREADABLE_CONSTRAINTS,
    }

    def __init__(
        self,
        num_clusters: Optional[int] = None,
        pca_variance: Optional[float] = 0.95,
        seed: int = 42,
        fit_sample_size: Optional[int] = None,
        unreadable_rows: str = "keep",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param num_clusters: number of topics; null: floor(sqrt(n / 2)) for n samples, as in the released code.
        :param pca_variance: share of variance in (0, 1) that clustering keeps of the embeddings, or null to cluster the
            embeddings themselves. Selection and pairing always see the embeddings themselves.
        :param seed: seed of K-means.
        :param fit_sample_size: samples that centroids are fitted on; null: all up to 50,000, or 100 per topic where
            that is more.
        :param unreadable_rows: what to do with rows whose text cannot be read. `keep` puts them into a separate topic,
            the last one; `drop` drops them. If more than half of the rows cannot be read, the run stops.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.num_clusters = num_clusters
        self.pca_variance = pca_variance
        self.seed = int(seed)
        self.fit_sample_size = fit_sample_size
        self.drops_unreadable = unreadable_rows == "drop"
        _declare_metadata()

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Group a flat dataset into topics.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace groupers.
        :return: one row per topic, ascending by topic id.
        :raises DatasetError: if a column is missing, or the rows are topics already.
        """
        if is_ray_dataset(dataset):
            return self._run_on_ray(dataset)
        self.check_arrival(len(dataset))
        self._check(grouped=is_grouped(dataset.features))
        layout = self.layout_of(dataset.column_names)
        self.check_merges_ahead(LocalRows(dataset), layout)
        reader = self.reader(layout)
        with self.recorded() as manifest:
            rows_in = len(dataset)
            row_ids = self._row_ids(dataset)
            vectors: NDArray[np.float32] | None = None
            if EMBEDDING in dataset.column_names:
                texts, there = reader.dataset_texts(dataset), self._nonzero(dataset, reader)
                found = reader.check_readable(dataset, texts, self.drops_unreadable, there)
                readable = texts & there
            else:
                vectors, found = reader.dataset_vectors(dataset, self.drops_unreadable)
                readable = has_text(vectors)
            if found.unreadable and self.drops_unreadable:
                rows = np.flatnonzero(readable)
                dataset, row_ids = dataset.select(rows), row_ids.take(pa.array(rows))
                vectors = None if vectors is None else vectors[rows]
                readable = readable[rows]
            labels, num_clusters = self._cluster(dataset, reader, vectors, row_ids, readable)
            added = {ROW_ID: row_ids.take}
            if vectors is not None:
                added[EMBEDDING] = lambda rows: vectors_column(vectors[rows]).combine_chunks()
            samples = dataset.remove_columns([ROW_ID]) if ROW_ID in dataset.column_names else dataset
            features = topic_features({**samples.features, ROW_ID: TEXT, EMBEDDING: TEXT})
            topics = write_dataset(group_rows(samples, added, labels, readable), features)
            sizes = np.bincount(labels)
            manifest.figures |= _figures(rows_in, np.bincount(labels[readable]), num_clusters, len(topics), found)
            manifest.details[TOPIC_SIZES] = sizes.tolist()
        return topics

    def _check(self, grouped: bool) -> None:
        if grouped:
            raise DatasetError(
                f"{self._name}: the rows are topics already; remove the second grouper from the recipe, or flatten the "
                "topics with topic_reverse_grouper first."
            )

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import Resources
        from mergeit_ops.distributed.embedding import embedded, readable_only, with_zero_vectors
        from mergeit_ops.distributed.export_folder import warn_of_earlier_export
        from mergeit_ops.distributed.grouping import cutoff_for, fit_rows, grouped, identified
        from mergeit_ops.distributed.rows import RayRows

        warn_of_earlier_export()
        with self.recorded() as manifest:
            rows = RayRows.of(dataset, Resources.of(self), self._name)
            n = self.check_arrival(len(rows))
            if not n:
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            columns = rows.columns
            self._check(rows.grouped)
            reader = self.reader_of(columns)
            self.check_merges_ahead(rows, reader.layout)
            blocks, found = embedded(rows.dataset, rows.blocks, reader, Resources.of(self), self.drops_unreadable)
            blocks = with_zero_vectors(blocks, reader, found)
            if found.unreadable and self.drops_unreadable:
                blocks = readable_only(blocks)
            blocks, sketches = identified(blocks, reader, brought=ROW_ID in columns)
            num_clusters = int(self.num_clusters or default_num_clusters(n - found.unreadable))
            size = int(self.fit_sample_size or default_fit_sample_size(num_clusters))
            vectors = fit_rows(blocks, cutoff_for(sketches, size), size)
            model = fit_topics(vectors, num_clusters, self.pca_variance, self.seed)
            volume = sum(sketch.size for sketch in sketches)
            topics, sizes = grouped(blocks, volume, model, Resources.of(self).without_gpus())
            manifest.figures |= _figures(n, sizes[: model.num_clusters], num_clusters, sum(topics.rows), found)
            manifest.details[TOPIC_SIZES] = sizes.tolist()
        return topics.dataset()

    def _row_ids(self, dataset: Dataset) -> pa.Array:
        seen: Counter[str] = Counter()
        columns = [name for name in dataset.column_names if name == ROW_ID or is_content(name)]
        parts = [pa.array(row_ids(table, seen, self._name), pa.string()) for table in iter_tables(dataset, columns)]
        return pa.concat_arrays(parts) if parts else pa.array([], pa.string())

    def _nonzero(self, dataset: Dataset, reader: SampleReader) -> NDArray[np.bool_]:
        """Return which rows of a dataset bring a vector other than zero."""
        first_row = 0
        parts = []
        for table in iter_tables(dataset, [EMBEDDING]):
            with reader.reading_embeddings():
                parts.append(rows_with_text(table.column(EMBEDDING), first_row))
            first_row += len(table)
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

    def _cluster(
        self,
        dataset: Dataset,
        reader: SampleReader,
        vectors: NDArray[np.float32] | None,
        row_ids: pa.Array,
        readable: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], int]:
        """Fit centroids on a sample and assign all rows to them, block by block if the dataset holds the vectors.

        Rows that cannot be read get a separate topic, after those of the centroids.
        """
        if not len(dataset):
            return np.zeros(0, dtype=np.int64), 0
        num_clusters = int(self.num_clusters or default_num_clusters(int(readable.sum())))
        size = int(self.fit_sample_size or default_fit_sample_size(num_clusters))
        candidates = np.flatnonzero(readable)
        rows = candidates[fit_sample(row_ids.take(pa.array(candidates)).to_pylist(), size)]
        if vectors is not None:
            model = fit_topics(vectors[rows], num_clusters, self.pca_variance, self.seed)
            labels = model.assign(vectors)
        else:
            model = fit_topics(_sampled_vectors(dataset, reader, rows), num_clusters, self.pca_variance, self.seed)
            labels = np.empty(len(dataset), dtype=np.int64)
            for first_row, block in reader.iter_vectors(dataset):
                labels[first_row : first_row + len(block)] = model.assign(block)
        labels[~readable] = model.num_clusters
        return labels, num_clusters


def _sampled_vectors(dataset: Dataset, reader: SampleReader, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    order = np.argsort(rows)
    ascending = rows[order]
    parts = [
        block[ascending[slice(*np.searchsorted(ascending, [first, first + len(block)]))] - first]
        for first, block in reader.iter_vectors(dataset)
    ]
    # In the order of the sample, so that the fit does not depend on the order of the rows.
    return np.concatenate(parts)[np.argsort(order)]


def _declare_metadata() -> None:
    """Have Data-Juicer add the metadata column before this operator on Ray, and only there.

    Its Ray executors look at the columns once, at the start: a later operator that tags samples would be given a
    second, empty metadata column, and the lineage would be lost. In default mode, and under `dj-analyze`, a tagging
    operator is taken for one that works on raw rows.
    """
    executor = getattr(config.global_cfg, "executor_type", "default")
    if (is_ray_mode() or executor in ("ray", "ray_partitioned")) and not is_analyzed():
        TAGGING_OPS.modules[OP_NAME] = TopicClusterGrouper
    else:
        TAGGING_OPS.modules.pop(OP_NAME, None)


def _figures(rows: int, sizes: NDArray[np.int64], num_clusters: int, topics: int, found: Readability) -> dict[str, int]:
    """Return the figures of the record; the sizes are for topics of readable rows."""
    filled = sizes[sizes > 0]
    figures = {
        "rows_in": rows,
        "topics": topics,
        **found.figures(),
        "smallest_topic": int(filled.min(initial=rows)),
        "largest_topic": int(filled.max(initial=0)),
    }
    return figures | ({"empty_topics": num_clusters - len(filled)} if len(filled) < num_clusters else {})
