"""Embed samples in a separate step."""

from __future__ import annotations

from typing import Any

from data_juicer.ops.base_op import OPERATORS, UNFORKABLE
from datasets import Dataset

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.static_model import model_figures, with_fitted_model
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

    The operators that need embeddings compute them if they are missing; this operator is for recipes with a separate
    embedding step. If samples bring the column, it is checked, and they are not embedded again."""

    _batched_op = True
    gives_ids = True
    makes_vectors = True
    _constraints = {**SAMPLE_CONSTRAINTS, **EMBEDDING_CONSTRAINTS}

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Embed a flat dataset.

        One process does the work, whatever `np` is: torch already uses every core, and with the whole dataset the
        encoder can batch texts of similar length.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; no text changes.
        :return: the dataset with the column added.
        :raises DatasetError: if a column is missing, or the rows are topics.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            if rows.grouped:
                raise DatasetError(f"{self._name}: the rows are topics; put this operator before the grouper.")
            reader = with_fitted_model(rows, self.reader_of(rows.columns))
            self.check_merges_ahead(rows, reader.layout)
            embedded, found = rows.embedded(reader)
            count = 0 if EMBEDDING in rows.columns else len(rows)
            manifest.figures |= {"rows_in": len(rows), "embedded": count, **found.figures(), **model_figures(reader)}
        return embedded.dataset

    def process(self, samples: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Embed one batch, in Data-Juicer's form of a dict of lists."""
        layout = self.layout_of(samples)
        if EMBEDDING not in samples:
            rows = [dict(zip(samples, values, strict=True)) for values in zip(*samples.values(), strict=True)]
            samples[EMBEDDING] = encode_vectors(self.reader(layout).embed(layout.read(row).sample for row in rows))
        return samples
