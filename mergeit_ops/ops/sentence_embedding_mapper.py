"""Embed samples as a step of its own."""

from __future__ import annotations

from typing import Any

from data_juicer.ops.base_op import OPERATORS, UNFORKABLE
from datasets import Dataset, Features

from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import TEXT, arrow_array, iter_tables, set_column, write_dataset
from mergeit_ops.dataset.topics import is_grouped
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
)

OP_NAME = "sentence_embedding_mapper"


@UNFORKABLE.register_module(OP_NAME)
@OPERATORS.register_module(OP_NAME)
class SentenceEmbeddingMapper(EmbeddingOperator, Mapper):
    """Add `mergeit_embedding`, the unit vector of each sample's instruction (and input), as base64 of float32.

    The operators that need embeddings compute them when they are missing; this one is for recipes that want the
    embedding as a step of its own. Samples that bring the column are checked, not embedded again."""

    _batched_op = True
    gives_ids = True
    _constraints = {**SAMPLE_CONSTRAINTS, **EMBEDDING_CONSTRAINTS}

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Embed a flat dataset.

        One process does it, whatever `np`: torch already uses every core, and the whole dataset at once lets the
        encoder batch texts of like lengths.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; no text changes.
        :return: the dataset with the column added.
        :raises DatasetError: if a column is missing, or the rows are topics.
        """
        if is_ray_dataset(dataset):
            return self._run_on_ray(dataset)
        self.check_arrival(len(dataset))
        self._check(grouped=is_grouped(dataset.features))
        layout = self.layout_of(dataset.column_names)
        self.check_merges_ahead(dataset, layout)
        with self.recorded() as manifest:
            vectors, found = self.reader(layout).dataset_vectors(dataset)
            manifest.figures |= {
                "rows_in": len(dataset),
                "embedded": 0 if EMBEDDING in dataset.column_names else len(dataset),
                **found.figures(),
            }
            if EMBEDDING in dataset.column_names:
                return dataset
            texts = iter(encode_vectors(vectors))
            features = Features({**dataset.features, EMBEDDING: TEXT})
            return write_dataset(
                (
                    set_column(table, EMBEDDING, arrow_array([next(texts) for _ in range(len(table))], TEXT()))
                    for table in iter_tables(dataset)
                ),
                features,
            )

    def _check(self, grouped: bool) -> None:
        if grouped:
            raise DatasetError(f"{self._name}: the rows are topics; put this operator before the grouper.")

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import Blocks, Resources, materialized
        from mergeit_ops.distributed.embedding import check_embeddings, check_merges_ahead_on_ray, embedded

        with self.recorded() as manifest:
            dataset = materialized(dataset, self._name)
            rows = self.check_arrival(dataset.count())
            if not rows:
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            columns = dataset.columns()
            self._check(grouped=BATCH_META in columns)
            manifest.figures |= {"rows_in": rows, "embedded": 0 if EMBEDDING in columns else rows}
            layout = self.layout_of(columns)
            check_merges_ahead_on_ray(dataset, self, layout)
            reader = self.reader(layout)
            blocks, found = embedded(dataset, Blocks.of(dataset), reader, Resources.of(self))
            if EMBEDDING in columns:
                check_embeddings(blocks, reader)
            manifest.figures |= found.figures()
            return blocks.dataset()

    def process(self, samples: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Embed one batch, in Data-Juicer's form of a dict of lists."""
        layout = self.layout_of(samples)
        if EMBEDDING not in samples:
            rows = [dict(zip(samples, values, strict=True)) for values in zip(*samples.values(), strict=True)]
            samples[EMBEDDING] = encode_vectors(self.encoder.embed(layout.read(row).sample.query for row in rows))
        return samples
