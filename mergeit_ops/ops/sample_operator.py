"""What all operators share: strict parameters, the sample layout, row ids and embeddings."""

from __future__ import annotations

import atexit
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from loguru import logger

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.formats import FORMAT_NAMES, FormatName, Reading, SampleFormat, resolve_format
from mergeit_ops.core.identity import content_digests, number_duplicates
from mergeit_ops.core.secrets import loggable, secret_in
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.columns_at_risk import value_and_sample
from mergeit_ops.dataset.embeddings import column_vectors
from mergeit_ops.dataset.lost_rows import check_arrival, warn_of_the_rest
from mergeit_ops.dataset.manifest import Manifest, recorded
from mergeit_ops.dataset.merges_ahead import check_merges_ahead
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.recipe import current_recipe, is_analyzed
from mergeit_ops.dataset.recipe_rows import RowKind, check_rows
from mergeit_ops.dataset.run_log import listen
from mergeit_ops.dataset.tables import RowReader, iter_tables, python_columns, python_rows
from mergeit_ops.embedding.defaults import DTYPES
from mergeit_ops.errors import DatasetError, EmbeddingError, RecipeError
from mergeit_ops.ops.constraints import OPTIONAL_TEXT, TEXT, Constraint, Number, OneOf, check
from mergeit_ops.ops.first_look import looks_first

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from numpy.typing import NDArray

SAMPLE_CONSTRAINTS: Mapping[str, Constraint] = {
    "sample_format": OneOf(FORMAT_NAMES),
    "instruction_key": OPTIONAL_TEXT,
    "query_key": OPTIONAL_TEXT,
    "response_key": OPTIONAL_TEXT,
}
EMBEDDING_CONSTRAINTS: Mapping[str, Constraint] = {
    "embedding_model": TEXT,
    "embedding_batch_size": Number(low=1, integer=True, optional=True),
    "embedding_dtype": OneOf(DTYPES),
}

UNREADABLE_CONSTRAINTS: Mapping[str, Constraint] = {"unreadable_rows": OneOf(("keep", "drop"))}
"""Parameters of operators that select rows or mark unreadable ones."""

_NOT_PARAMETERS = ("self", "args", "kwargs", "__class__")


def recipe_parameters(local_variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operator's own parameters from the `locals()` of its `__init__`."""
    return {name: value for name, value in local_variables.items() if name not in _NOT_PARAMETERS}


class SampleOperator:
    """Mixin before Data-Juicer's operator class.

    :param parameters: the operator's own parameters, as `recipe_parameters` returns them; checked before anything is
        loaded or paid for.
    :param args: passed on to Data-Juicer's operator class.
    :param kwargs: passed on to Data-Juicer's operator class.
    :raises RecipeError: if a parameter has a value that cannot work, or holds a secret.
    """

    _name: str
    _supported_exec_modes = ("default", "ray", "ray_partitioned")
    _constraints: ClassVar[Mapping[str, Constraint]] = {}

    takes: ClassVar[RowKind] = "samples"
    """The rows that the operator works on."""

    gives: ClassVar[RowKind] = "samples"
    """The rows that it returns."""

    may_drop: ClassVar[bool] = False
    """Whether it may drop rows."""

    place: int | None = None
    """Its position in the recipe, from 0; None if it is used without one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "run" in cls.__dict__:
            cls.run = looks_first(cls.run)  # type: ignore[attr-defined]

    def __init__(self, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        check(self._name, self._constraints, parameters)
        where = secret_in(parameters)
        if where is not None:
            raise RecipeError(
                f"{self._name}: {where} looks like a secret, which a recipe must not hold: Data-Juicer copies recipes "
                "into logs and work dirs. Put it into the environment instead (OPENAI_API_KEY, or HF_TOKEN for the "
                "Hugging Face Hub)."
            )
        # Data-Juicer's default drops the whole batch of a row that raises, silently.
        kwargs["skip_op_error"] = False
        super().__init__(*args, **kwargs)
        self.parameters = dict(parameters)
        self.work_dir: str | None
        # Data-Juicer's base class sets the key names of its own layout; ours follow the layout of the dataset.
        self.sample_format: FormatName = parameters["sample_format"]
        self.instruction_key: str | None = parameters["instruction_key"]
        self.query_key: str | None = parameters["query_key"]
        self.response_key: str | None = parameters["response_key"]
        # These two are Data-Juicer's parameters, with the same columns in every layout.
        self.system_key: str | None
        self.history_key: str | None
        self.embedding_model: str = parameters.get("embedding_model", "")
        batch_size = parameters.get("embedding_batch_size")
        self.embedding_batch_size: int | None = None if batch_size is None else int(batch_size)
        self.embedding_dtype: str = parameters.get("embedding_dtype", "auto")
        self._check_recipe()

    def _check_recipe(self) -> None:
        """Refuse a recipe that cannot work before Data-Juicer runs any of it, and listen to what it logs."""
        recipe = current_recipe(self.work_dir) if self.work_dir is not None else None
        if recipe is None or is_analyzed():
            return
        warnings = check_rows(recipe)
        if listen(recipe.config):
            # Operators after the last of ours run when none of ours can check them.
            atexit.register(warn_of_the_rest, recipe)
            for warning in warnings:
                logger.warning(warning)

    def check_arrival(self, rows: int) -> int:
        """Check the rows before work begins.

        :param rows: number of rows.
        :return: the same number.
        :raises DatasetError: if there are none although there were some before operators of Data-Juicer.
        """
        check_arrival(self, rows)
        return rows

    def check_merges_ahead(self, dataset: Dataset, layout: SampleFormat) -> None:
        """Refuse a recipe whose merger will have to stop, before flat rows are embedded for it.

        :param dataset: flat rows.
        :param layout: their layout.
        :raises RecipeError: if it will.
        """
        read = [name for name in layout.columns if name in dataset.column_names]
        check_merges_ahead(
            self,
            {field.name: field.type for field in dataset.features.arrow_schema},
            layout,
            lambda column: (
                value_and_sample(table, column, layout)
                for table in iter_tables(dataset, list(dict.fromkeys([column, *read])))
            ),
        )

    @property
    def _op_cfg(self) -> Any:
        return self._recipe_entry

    @_op_cfg.setter
    def _op_cfg(self, entry: Any) -> None:
        # Data-Juicer calls this on the driver, after all operators are built, with the operator's entry in the recipe.
        # Its copies, also on workers, keep its place.
        self._recipe_entry = entry
        recipe = current_recipe(self.work_dir)
        self.place = None if recipe is None else recipe.place_of(self)

    @property
    def role(self) -> dict[str, Any]:
        """Return its role for the record: its input and output, and whether it may drop rows."""
        return {"takes": self.takes, "gives": self.gives, "may_drop": self.may_drop}

    def recorded(self) -> AbstractContextManager[Manifest]:
        """Yield the record of this operator, to be filled; see `recorded` of `dataset.manifest`."""
        return recorded(self._name, self._recorded_parameters, self.work_dir, place=self.place, role=self.role)

    def new_manifest(self) -> Manifest:
        """Return the record of this operator, not yet begun."""
        return Manifest(self._name, self._recorded_parameters, place=self.place, role=self.role)

    @property
    def _recorded_parameters(self) -> dict[str, Any]:
        # Without Data-Juicer's two that say how rows are read, nobody could read them again after the run.
        return {**loggable(self.parameters), "system_key": self.system_key, "history_key": self.history_key}

    def check_flat(
        self, grouped: bool, todo: str = "put llm_pair_merger_mapper or topic_reverse_grouper before it"
    ) -> None:
        """Refuse topics where flat samples are wanted.

        :param grouped: whether the rows are topics.
        :param todo: what to do about it, as part of a sentence.
        :raises DatasetError: if they are.
        """
        if grouped:
            raise DatasetError(f"{self._name}: the rows are topics; {todo}.")

    def layout_of(self, columns: Iterable[str]) -> SampleFormat:
        """Return the sample layout of a dataset.

        :param columns: its column names.
        :raises DatasetError: if a column is missing, or the layout cannot be told.
        """
        try:
            return resolve_format(
                self.sample_format,
                [name for name in columns if not name.startswith(("__dj__", "mergeit_"))],
                instruction_key=self.instruction_key,
                query_key=self.query_key,
                response_key=self.response_key,
                system_key=self.system_key,
                history_key=self.history_key,
            )
        except ValueError as error:
            raise DatasetError(f"{self._name}: {error}.") from error

    def readings_of(self, table: pa.Table, layout: SampleFormat) -> list[Reading]:
        """Read a table's rows as samples."""
        there = [name for name in layout.columns if name in table.column_names]
        return [layout.read(row) for row in python_rows(table.select(there))]

    def row_ids_of(self, table: pa.Table, seen: Counter[str]) -> list[str]:
        """Return the row ids of a table: those it brings, else new ones.

        :param table: flat rows.
        :param seen: how often each digest, or id, came in earlier tables of the dataset; updated.
        :raises DatasetError: if the ids it brings are not unique texts.
        """
        if ROW_ID in table.column_names:
            row_ids = table.column(ROW_ID).to_pylist()
            seen.update(row_ids)
            if any(not isinstance(row_id, str) or seen[row_id] > 1 for row_id in row_ids):
                raise self.ids_not_unique()
            return row_ids
        content = [name for name in table.column_names if is_content(name)]
        # What does not count is not even read: embeddings are most of a row.
        return number_duplicates(content_digests(python_columns(table.select(content)), len(table)), seen)

    def ids_not_unique(self) -> DatasetError:
        """Return the error for a dataset whose own ids cannot tell its rows apart."""
        return DatasetError(
            f"{self._name}: the column '{ROW_ID}' must hold a text of its own for every row; remove the column to have "
            "the rows identified anew."
        )

    def vectors_of(self, table: pa.Table, layout: SampleFormat, first_row: int = 0) -> NDArray[np.float32]:
        """Return the unit vectors of a table's rows: those it brings, else new ones.

        :param table: flat rows.
        :param layout: their sample layout.
        :param first_row: number of the table's first row in its dataset, for the message.
        :return: (n, d) float32.
        :raises EmbeddingError: if the embeddings brought along are unusable, or the model cannot be loaded.
        """
        if EMBEDDING not in table.column_names:
            return self.embed(reading.sample.query for reading in self.readings_of(table, layout))
        with self.reading_embeddings():
            return column_vectors(table.column(EMBEDDING), first_row)

    @contextmanager
    def reading_embeddings(self) -> Iterator[None]:
        """Name the operator, the column and the cure if embeddings that rows bring are unusable.

        :raises EmbeddingError: if they are.
        """
        try:
            yield
        except ValueError as error:
            raise EmbeddingError(
                f"{self._name}: the column '{EMBEDDING}' cannot be used: {error}. Every row needs a vector of unit "
                "norm, as a list of floats or as base64 of little-endian float32; or remove the column, and the "
                "rows are embedded again."
            ) from error

    def dataset_vectors(
        self, dataset: Dataset, layout: SampleFormat, drops_unreadable: bool = False
    ) -> tuple[NDArray[np.float32], Readability]:
        """Return the unit vectors of a flat dataset, and the counts of readable rows.

        :param dataset: flat samples.
        :param layout: their layout.
        :param drops_unreadable: whether rows that cannot be read are dropped, for the warning.
        :return: (n, d) float32, see `vectors_of`; and the counts of readable rows.
        :raises DatasetError: if most rows cannot be read; before any is embedded.
        """
        if EMBEDDING in dataset.column_names:
            vectors = np.zeros((len(dataset), 0), dtype=np.float32)
            for first_row, block in self.iter_vectors(dataset, layout):
                if not first_row:
                    vectors = np.empty((len(dataset), block.shape[1]), dtype=np.float32)
                vectors[first_row : first_row + len(block)] = block
            texts_readable = self.have_texts(dataset, layout)
            found = self.check_readable(dataset, texts_readable, layout, drops_unreadable, has_text(vectors))
            vectors[~texts_readable] = 0
            return vectors, found
        columns = [name for name in layout.columns if name in dataset.column_names]
        texts = [
            reading.sample.query
            for table in iter_tables(dataset, columns)
            for reading in self.readings_of(table, layout)
        ]
        readable = np.array([bool(text.strip()) for text in texts], dtype=bool)
        found = self.check_readable(dataset, readable, layout, drops_unreadable)
        # All texts at once: the encoder batches texts of similar lengths, which is most effective on the whole dataset.
        return self.embed(texts), found

    def have_texts(self, dataset: Dataset, layout: SampleFormat) -> NDArray[np.bool_]:
        """Return which rows of a flat dataset have a text that can be read."""
        columns = [name for name in layout.columns if name in dataset.column_names]
        parts = [self.texts_in(table, layout) for table in iter_tables(dataset, columns)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

    def texts_in(self, table: pa.Table, layout: SampleFormat) -> NDArray[np.bool_]:
        """Return which rows of a table have a text that can be read, whatever embeddings they bring."""
        return np.array([reading.is_readable for reading in self.readings_of(table, layout)], dtype=bool)

    def iter_vectors(self, dataset: Dataset, layout: SampleFormat) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the unit vectors that a flat dataset brings, in blocks: number of the first row, (m, d) float32.

        :raises EmbeddingError: if they are unusable, or of different widths.
        """
        first_row = width = 0
        for table in iter_tables(dataset, [EMBEDDING]):
            block = self.vectors_of(table, layout, first_row)
            if first_row and block.shape[1] != width:
                raise EmbeddingError(
                    f"{self._name}: the column '{EMBEDDING}' mixes embeddings of widths {width} and {block.shape[1]} "
                    f"(row {first_row})."
                )
            width = block.shape[1]
            yield first_row, block
            first_row += len(block)

    def check_widths(self, widths: Iterable[int]) -> None:
        """Refuse embeddings of different widths.

        :param widths: dimensions of the embeddings of each part of a dataset.
        :raises EmbeddingError: if they differ.
        """
        found = sorted(set(widths))
        if len(found) > 1:
            raise EmbeddingError(f"{self._name}: the column '{EMBEDDING}' mixes embeddings of widths {found}.")

    def embed(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Embed texts with the operator's model, on its device; a blank text gets a zero vector.

        :return: (n, d) float32.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        from mergeit_ops.embedding import load_encoder

        encoder = load_encoder(self.embedding_model, self.device, self.embedding_dtype)
        vectors = encoder.encode(texts, self.embedding_batch_size)
        vectors[[not text.strip() for text in texts]] = 0
        return vectors

    def check_readable(
        self,
        dataset: Dataset,
        texts: NDArray[np.bool_],
        layout: SampleFormat,
        dropped: bool,
        vectors: NDArray[np.bool_] | None = None,
    ) -> Readability:
        """Warn about rows that cannot be read, or refuse a dataset if most cannot be read.

        :param dataset: flat samples.
        :param texts: (n,) whether each has a text that can be read.
        :param layout: their layout.
        :param dropped: whether the others are dropped.
        :param vectors: (n,) whether each brings a vector other than zero; None if rows bring none.
        :return: the counts of readable rows.
        :raises DatasetError: if most rows cannot be read.
        """

        def row(position: int) -> pa.Table:
            return RowReader(dataset).slice(position, 1)

        found = Readability.of(texts, row, layout, vectors=vectors)
        found.check(self._name, dropped)
        return found

    @property
    def device(self) -> str:
        """Return the torch device that `accelerator` asks for and the machine has."""
        return "cuda" if self.use_cuda() else "cpu"  # type: ignore[attr-defined]
