"""Read the samples of a table: their texts and embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from loguru import logger

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.embedded_text import embedded_text
from mergeit_ops.core.formats import Reading, SampleFormat
from mergeit_ops.core.formats.views import VIEWS, View
from mergeit_ops.core.rows.sources import source_of
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.counts import agree
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import column_vectors, rows_with_text
from mergeit_ops.dataset.metadata import metas_of
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tables import RowReader, iter_tables, python_rows
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_WINDOW, MOST_WINDOWS, STATIC, is_default
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import EmbeddingError

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from numpy.typing import NDArray

    from mergeit_ops.embedding.encoder import Encoder
    from mergeit_ops.embedding.static.model import StaticModel

__all__ = ["EncoderSettings", "SampleReader"]


@dataclass(frozen=True)
class EncoderSettings:
    """The sentence encoder of an operator.

    :param model: name or folder of the model.
    :param batch_size: most texts that are embedded at the same time; None: one batch per core.
    :param dtype: see `precision` of `embedding`.
    :param accelerator: `cpu`, or `cuda` for a GPU if the machine that embeds has one.
    :param window: how to embed a text that is longer than the model's window; see `embed_texts`.
    :param fitted: the model itself, if it consists of static token vectors, which workers of a cluster may not have.
    """

    model: str
    batch_size: int | None = None
    dtype: str = "auto"
    accelerator: str = "cpu"
    window: str = DEFAULT_EMBEDDING_WINDOW
    fitted: StaticModel | None = field(default=None, repr=False, compare=False)

    def embed(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Embed texts; a blank text gets a zero vector.

        :return: (n, d) float32 of unit norm.
        """
        return self.embed_counted(texts)[0]

    def embed_counted(self, texts: Iterable[str]) -> tuple[NDArray[np.float32], int]:
        """Embed texts; see `embed`.

        :return: the vectors, and the number of texts that are longer than the model's window.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, 0), dtype=np.float32), 0
        from mergeit_ops.embedding.windows import embed_texts

        vectors, longer = embed_texts(self.load(), texts, self.batch_size, self.window)
        vectors[[not text.strip() for text in texts]] = 0
        return vectors, longer

    def load(self) -> Encoder:
        """Return the model of this process.

        :raises EmbeddingError: if it cannot be loaded.
        """
        from mergeit_ops.embedding import load_encoder

        return load_encoder(self.model, self._device(), self.dtype, self.fitted)

    def _device(self) -> str:
        if self.accelerator != "cuda":
            return "cpu"
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class SampleReader:
    """Reads samples in one layout. It is small, because it is sent to the workers of a cluster.

    :param operator: registry name of the operator, for errors.
    :param layout: layout of the samples.
    :param encoder: encoder for samples that bring no embeddings.
    :param reads_source: whether samples get the text that they were made from, if their metadata hold it.
    :param embedding_text: which text of a sample is embedded; see `embedded_text`.
    """

    operator: str
    layout: SampleFormat
    encoder: EncoderSettings
    reads_source: bool = False
    embedding_text: str = "user"

    def embedded_text(self, sample: Sample) -> str:
        """Return the text of a sample to embed."""
        return embedded_text(sample, self.embedding_text)

    def embed(self, samples: Iterable[Sample]) -> NDArray[np.float32]:
        """Embed samples, even if they bring embeddings.

        :return: (n, d) float32 of unit norm, or zero for a blank text.
        """
        return self.encoder.embed(map(self.embedded_text, samples))

    def new_vectors(self, table: pa.Table) -> tuple[NDArray[np.float32], int]:
        """Embed a table's rows, even if they bring embeddings.

        :return: their vectors, and the number of rows that are longer than the model's window.
        """
        return self.encoder.embed_counted(self.embedded_text(reading.sample) for reading in self.readings(table))

    def say_longer(self, longer: int, rows: int) -> None:
        """Log the number of rows that are longer than the model's window, if there are any.

        :param longer: their number.
        :param rows: number of all embedded rows.
        """
        if longer:
            done = "the first window of each is embedded"
            if self.encoder.window == "mean":
                done = f"the mean of up to {MOST_WINDOWS} windows of each is its embedding"
            verb = agree(longer, "is", "are")
            logger.info(
                f"{self.operator}: {longer:,} of {rows:,} rows {verb} longer than the window of the embedding model; "
                f"{done} (embedding_window: {self.encoder.window})."
            )

    def readings(self, table: pa.Table) -> list[Reading]:
        """Read a table's rows as samples."""
        there = [name for name in self.layout.columns if name in table.column_names]
        return [self.layout.read(row) for row in python_rows(table.select(there))]

    def samples(self, table: pa.Table, view: View = "answer") -> list[Sample]:
        """Read a table's rows in the view of a scorer.

        :param view: which part of a row with a reasoning trace is read; see `VIEWS`.
        """
        there = [name for name in self.layout.columns if name in table.column_names]
        read = VIEWS[view]
        samples = [read(self.layout, row) for row in python_rows(table.select(there))]
        if not self.reads_source:
            return samples
        return [replace(one, source=source_of(meta)) for one, meta in zip(samples, metas_of(table), strict=True)]

    def texts(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of a table have a readable text, even if they bring embeddings."""
        return np.array([reading.is_readable for reading in self.readings(table)], dtype=bool)

    def readable(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of a topic can be selected: those with a vector other than zero or with a text."""
        if EMBEDDING in table.column_names:
            with self.reading_embeddings():
                return rows_with_text(table.column(EMBEDDING))
        return self.texts(table)

    def vectors(self, table: pa.Table, first_row: int = 0) -> NDArray[np.float32]:
        """Return the unit vectors of a table's rows: those that it brings, or new ones.

        :param table: flat rows.
        :param first_row: number of the table's first row in its dataset, for the message.
        :return: (n, d) float32.
        :raises EmbeddingError: if the given embeddings are unusable, or the model cannot be loaded.
        """
        if EMBEDDING not in table.column_names:
            return self.new_vectors(table)[0]
        with self.reading_embeddings():
            return column_vectors(table.column(EMBEDDING), first_row)

    def check_width(self, table: pa.Table, remedy: str) -> None:
        """Refuse rows whose embeddings have another width than those that this reader makes, before work is paid for.

        :param table: flat rows with embeddings, at least one.
        :param remedy: what to do other than to change the model, for the message.
        :raises EmbeddingError: if their width differs, or an embedding is unusable.
        """
        with self.reading_embeddings():
            brought = column_vectors(table.column(EMBEDDING).slice(0, 1)).shape[1]
        width = self.encoder.load().width
        if brought != width:
            raise EmbeddingError(
                f"{self.operator}: the column '{EMBEDDING}' holds embeddings of another width ({brought}) than those "
                f"of embedding_model ({width}), so new rows cannot have one; set embedding_model to the model of the "
                f"column, or {remedy}."
            )

    def model_of_vectors(self, brought: bool) -> str | None:
        """Return the model of the rows' vectors; None if it is unknown.

        :param brought: whether the rows brought the vectors. Then only a recipe that names the model says it; the
            default does not.
        """
        unnamed = is_default(self.encoder.model) or self.encoder.model == STATIC
        return None if brought and unnamed else self.encoder.model

    @contextmanager
    def reading_embeddings(self) -> Iterator[None]:
        """If the rows' embeddings are unusable, raise an error that names the operator, the column and the cure.

        :raises EmbeddingError: if they are.
        """
        try:
            yield
        except ValueError as error:
            raise EmbeddingError(
                f"{self.operator}: the column '{EMBEDDING}' cannot be used: {error}. Every row needs a vector of unit "
                "norm, as a list of floats or as base64 of little-endian float32; or remove the column, and the "
                "rows are embedded again."
            ) from error

    def dataset_vectors(
        self, dataset: Dataset, drops_unreadable: bool = False
    ) -> tuple[NDArray[np.float32], Readability]:
        """Return the unit vectors of a flat dataset, and the counts of readable rows.

        :param dataset: flat samples.
        :param drops_unreadable: whether unreadable rows are dropped, for the warning.
        :return: (n, d) float32, see `vectors`; and the counts of readable rows.
        :raises DatasetError: if most rows cannot be read; before any is embedded.
        """
        if EMBEDDING in dataset.column_names:
            vectors = np.zeros((len(dataset), 0), dtype=np.float32)
            for first_row, block in self.iter_vectors(dataset):
                if not first_row:
                    vectors = np.empty((len(dataset), block.shape[1]), dtype=np.float32)
                vectors[first_row : first_row + len(block)] = block
            texts_readable = self.dataset_texts(dataset)
            found = self.check_readable(dataset, texts_readable, drops_unreadable, has_text(vectors))
            vectors[~texts_readable] = 0
            return vectors, found
        columns = [name for name in self.layout.columns if name in dataset.column_names]
        if is_fitted(self.encoder.model):
            return self._streamed_vectors(dataset, columns, drops_unreadable)
        texts = [
            self.embedded_text(reading.sample)
            for table in iter_tables(dataset, columns)
            for reading in self.readings(table)
        ]
        readable = np.array([bool(text.strip()) for text in texts], dtype=bool)
        found = self.check_readable(dataset, readable, drops_unreadable)
        # All texts at once, because the encoder batches texts of similar length, which works best on the whole dataset.
        embedded, longer = self.encoder.embed_counted(texts)
        self.say_longer(longer, len(texts))
        return embedded, found

    def _streamed_vectors(
        self, dataset: Dataset, columns: Sequence[str], drops_unreadable: bool
    ) -> tuple[NDArray[np.float32], Readability]:
        """Do the same as `dataset_vectors` with only one table of texts in memory, for a model that does not need
        more."""
        vectors = np.zeros((len(dataset), 0), dtype=np.float32)
        start = longer = 0
        for table in iter_tables(dataset, columns):
            found, many = self.new_vectors(table)
            if not start:
                vectors = np.empty((len(dataset), found.shape[1]), dtype=np.float32)
            vectors[start : start + len(found)] = found
            start, longer = start + len(found), longer + many
        readability = self.check_readable(dataset, has_text(vectors), drops_unreadable)
        self.say_longer(longer, len(dataset))
        return vectors, readability

    def dataset_texts(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Return which rows of a flat dataset have a readable text."""
        columns = [name for name in self.layout.columns if name in dataset.column_names]
        parts = [self.texts(table) for table in iter_tables(dataset, columns)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

    def iter_vectors(self, dataset: Dataset) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the unit vectors of a flat dataset in blocks, as the number of the first row and (m, d) float32.

        :raises EmbeddingError: if they are unusable, or of different widths.
        """
        first_row = width = 0
        for table in iter_tables(dataset, [EMBEDDING]):
            block = self.vectors(table, first_row)
            if first_row and block.shape[1] != width:
                raise EmbeddingError(
                    f"{self.operator}: the column '{EMBEDDING}' mixes embeddings of widths {width} and "
                    f"{block.shape[1]} (row {first_row})."
                )
            width = block.shape[1]
            yield first_row, block
            first_row += len(block)

    def check_widths(self, widths: Iterable[int]) -> None:
        """Check that all embeddings have the same width.

        :param widths: dimensions of the embeddings of each part of a dataset.
        :raises EmbeddingError: if they differ.
        """
        found = sorted(set(widths))
        if len(found) > 1:
            raise EmbeddingError(f"{self.operator}: the column '{EMBEDDING}' mixes embeddings of widths {found}.")

    def check_readable(
        self,
        dataset: Dataset,
        texts: NDArray[np.bool_],
        dropped: bool,
        vectors: NDArray[np.bool_] | None = None,
    ) -> Readability:
        """Warn about unreadable rows, or refuse a dataset if most rows are unreadable.

        :param dataset: flat samples.
        :param texts: (n,) whether each row has a readable text.
        :param dropped: whether unreadable rows are dropped.
        :param vectors: (n,) whether each row brings a vector other than zero; None if rows bring none.
        :return: the counts of readable rows.
        :raises DatasetError: if most rows cannot be read.
        """

        def row(position: int) -> pa.Table:
            return RowReader(dataset).slice(position, 1)

        found = Readability.of(texts, row, self.layout, vectors=vectors)
        found.check(self.operator, dropped)
        return found
