"""Shared base of all operators: strict parameters, the sample layout, and the place in the recipe."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Optional

from loguru import logger

from mergeit_ops.constraints import OPTIONAL_TEXT, TEXT, Constraint, Number, OneOf, check, refuse_secrets
from mergeit_ops.core.embedded_text import EMBEDDED_TEXTS
from mergeit_ops.core.formats import FORMAT_NAMES, FormatName, SampleFormat, resolve_format
from mergeit_ops.core.secrets import loggable
from mergeit_ops.dataset.lost_rows import check_arrival, warn_of_the_rest
from mergeit_ops.dataset.manifest import Manifest, recorded
from mergeit_ops.dataset.merges_ahead import check_merges_ahead
from mergeit_ops.dataset.overrides import check_overrides, warn_of_inherited
from mergeit_ops.dataset.probing import check_probing
from mergeit_ops.dataset.recipe import Recipe, current_recipe, is_analyzed
from mergeit_ops.dataset.recipe_rows import RowKind, check_rows
from mergeit_ops.dataset.run_log import listen
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_WINDOW, DTYPES, EMBEDDING_WINDOWS
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.row_keys import values_and_samples
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.ops.first_look import looks_first
from mergeit_ops.ops.parameters import declare

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
    "embedding_window": OneOf(EMBEDDING_WINDOWS),
    "embedding_text": OneOf(EMBEDDED_TEXTS),
}

UNREADABLE_CONSTRAINTS: Mapping[str, Constraint] = {"unreadable_rows": OneOf(("keep", "drop"))}
"""Parameters of operators that select rows or mark unreadable ones."""


class SampleOperator:
    """Mixin before Data-Juicer's operator class: parameters that all operators share, and their checks.

    The `__init__` of each class takes the parameters of that class, declares their values (see `declare`) and passes
    the others on.
    """

    _name: str
    _supported_exec_modes = ("default", "ray", "ray_partitioned")
    _constraints: ClassVar[Mapping[str, Constraint]] = {}

    makes_vectors: ClassVar[bool] = False
    """Whether it gives rows the column `mergeit_embedding`."""

    takes: ClassVar[RowKind] = "samples"
    """The rows that the operator works on."""

    gives: ClassVar[RowKind] = "samples"
    """The rows that it returns."""

    may_drop: ClassVar[bool] = False
    """Whether it may drop rows."""

    records_drops: ClassVar[bool] = False
    """Whether its record names the rows that it drops."""

    gives_ids: ClassVar[bool] = False
    """Whether verification can follow rows through it by their ids."""

    changes_rows: ClassVar[bool] = False
    """Whether it changes columns of the user, or adds some."""

    kind: ClassVar[str] = ""
    """Its role in the conservation law of rows: `grouper`, `selector`, `merger`, `gate`, `flattener` or `rewriter`; or
    none."""

    step: ClassVar[str] = ""
    """The report's label for the rows after this operator; empty: the report does not list them."""

    parameters: dict[str, Any]
    """Its parameters and their values."""

    work_dir: str | None
    """The run's work dir; None if it is used without Data-Juicer's executor."""

    # Attributes in which Data-Juicer's operators describe their tasks.
    num_proc: int | list[int] | tuple[int, ...] | None
    num_cpus: float | None
    num_gpus: float | None
    memory: float | None
    runtime_env: Mapping[str, Any] | None
    use_ray_actor: Callable[[], bool]
    use_cuda: Callable[[], bool]

    place: int | None = None
    """Its position in the recipe, from 0; None if it is used without one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "run" in cls.__dict__:
            cls.run = looks_first(cls.run)  # type: ignore[attr-defined]

    def __init__(
        self,
        *args: Any,
        sample_format: str = "auto",
        instruction_key: Optional[str] = None,
        query_key: Optional[str] = None,
        response_key: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param sample_format: layout of the samples: `auto`, `alpaca`, `query_response`, `messages`, `sharegpt` or
            `prompt_completion`.
        :param instruction_key: column of the instruction; null: `instruction`, or `prompt` in `prompt_completion`.
        :param query_key: column of the optional input; null: `input` (Alpaca) or `query` (Data-Juicer's layout).
        :param response_key: column of the response; null: `output` (Alpaca), `response` (Data-Juicer's layout) or
            `completion` (`prompt_completion`).
        :param args: passed on to Data-Juicer's operator class.
        :param kwargs: passed on to Data-Juicer's operator class.
        :raises RecipeError: if a parameter has a value that cannot work, or holds a secret.
        """
        declare(self, locals())
        parameters = self.parameters
        check(self._constraints, parameters, self._name)
        refuse_secrets(parameters, self._name)
        # By default, if one row raises an error, Data-Juicer silently drops its whole batch.
        kwargs["skip_op_error"] = False
        super().__init__(*args, **kwargs)
        # Data-Juicer's base class sets the key names of its own layout; ours follow the layout of the dataset.
        self.sample_format: FormatName = sample_format  # type: ignore[assignment]
        self.instruction_key: str | None = instruction_key
        self.query_key: str | None = query_key
        self.response_key: str | None = response_key
        # These two are Data-Juicer's parameters. They name the same columns in every layout.
        self.system_key: str | None
        self.history_key: str | None
        self.embedding_model: str = parameters.get("embedding_model", "")
        batch_size = parameters.get("embedding_batch_size")
        self.embedding_batch_size: int | None = None if batch_size is None else int(batch_size)
        self.embedding_dtype: str = parameters.get("embedding_dtype", "auto")
        self.embedding_window: str = parameters.get("embedding_window", DEFAULT_EMBEDDING_WINDOW)
        self.embedding_text: str = parameters.get("embedding_text", "user")
        self._check_recipe()

    def _check_recipe(self) -> None:
        """Refuse a recipe that cannot work before Data-Juicer runs any of it, and record Data-Juicer's log messages."""
        recipe = current_recipe(self.work_dir) if self.work_dir is not None else None
        if recipe is None:
            return
        check_overrides(recipe)
        if is_analyzed():
            return
        warnings = [*check_rows(recipe), *check_probing(recipe), *warn_of_inherited(recipe)]
        if listen(recipe.config):
            # When an operator after our last one runs, none of our operators can check it any more.
            atexit.register(warn_of_the_rest, recipe)
            for warning in warnings:
                logger.warning(warning)

    def check_arrival(self, rows: int) -> int:
        """Check the rows before work begins.

        :param rows: number of rows.
        :return: the same number.
        :raises DatasetError: if there are none, although there were some before operators of Data-Juicer.
        """
        check_arrival(self, rows)
        return rows

    def check_merges_ahead(self, rows: Rows, layout: SampleFormat) -> None:
        """Refuse a recipe whose merger would have to stop, before flat rows are embedded for it.

        :param rows: flat rows.
        :param layout: their layout.
        :raises RecipeError: if the merger would have to stop.
        """

        def pairs_of(column: str) -> Iterator[list[tuple[str, str]]]:
            read = [column, *(name for name in layout.columns if name in rows.columns)]
            return rows.tell(values_and_samples, column, layout, columns=list(dict.fromkeys(read)))

        check_merges_ahead(self, rows.types, layout, pairs_of)

    @property
    def _op_cfg(self) -> Any:
        return self._recipe_entry

    @_op_cfg.setter
    def _op_cfg(self, entry: Any) -> None:
        # Data-Juicer calls this on the driver, after all operators are built, with the operator's entry in the recipe.
        # Copies of the operator, including those on workers, keep its place.
        self._recipe_entry = entry
        recipe = current_recipe(self.work_dir)
        self.place = None if recipe is None else recipe.place_of(self)
        if recipe is not None and self.place is not None and not is_analyzed():
            self.check_place(recipe, self.place)

    def check_place(self, recipe: Recipe, place: int) -> None:
        """Refuse a recipe in which the operator cannot work, before Data-Juicer runs any of it.

        :param recipe: the recipe.
        :param place: position of the operator in it, from 0.
        """

    @classmethod
    def role_in(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the role of the operator, for records.

        :param parameters: its parameters in the recipe.
        """
        names = ("kind", "step", "takes", "gives", "may_drop", "records_drops", "gives_ids", "changes_rows")
        return {name: getattr(cls, name) for name in names}

    @property
    def role(self) -> dict[str, Any]:
        """Return its role for its record."""
        return self.role_in(self.parameters)

    def recorded(self) -> AbstractContextManager[Manifest]:
        """Yield the record of this operator, to be filled; see `recorded` of `dataset.manifest`."""
        return recorded(self._name, self._recorded_parameters, self.work_dir, place=self.place, role=self.role)

    def new_manifest(self) -> Manifest:
        """Return the record of this operator, not yet begun."""
        return Manifest(self._name, self._recorded_parameters, place=self.place, role=self.role)

    @property
    def _recorded_parameters(self) -> dict[str, Any]:
        # The record includes Data-Juicer's two parameters that say how rows are read, so that the rows can be read
        # again after the run.
        return {**loggable(self.parameters), "system_key": self.system_key, "history_key": self.history_key}

    def check_flat(
        self, grouped: bool, todo: str = "put llm_pair_merger_mapper or topic_reverse_grouper before it"
    ) -> None:
        """Check that the rows are flat samples.

        :param grouped: whether the rows are topics.
        :param todo: what to do about it, as part of a sentence.
        :raises DatasetError: if they are topics.
        """
        if grouped:
            raise DatasetError(f"{self._name}: the rows are topics; {todo}.")

    @property
    def file_layout(self) -> dict[str, Any]:
        """Return the layout that is tried first for files beside the dataset; see `read_samples`."""
        keys = ("instruction_key", "query_key", "response_key", "system_key", "history_key")
        return {"name": self.sample_format, **{key: getattr(self, key) for key in keys}}

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

    def reader_of(self, columns: Iterable[str]) -> SampleReader:
        """Return what reads the samples of a dataset.

        :param columns: its column names.
        :raises DatasetError: if a column is missing, or the layout cannot be told.
        """
        return self.reader(self.layout_of(columns))

    def reader(self, layout: SampleFormat) -> SampleReader:
        """Return what reads samples in a layout."""
        return SampleReader(self._name, layout, self.encoder, embedding_text=self.embedding_text)

    @property
    def encoder(self) -> EncoderSettings:
        """Return the sentence encoder that the recipe asks for."""
        return EncoderSettings(
            self.embedding_model,
            self.embedding_batch_size,
            self.embedding_dtype,
            self.accelerator,  # type: ignore[attr-defined]
            self.embedding_window,
        )

    def rows_of(self, dataset: Any, same_types: bool = True) -> Rows:
        """Return the rows that come to the operator.

        :param dataset: of any executor.
        :param same_types: whether the columns of a Ray dataset must have one type in all blocks.
        :raises DatasetError: if there are none although there were some before operators of Data-Juicer, or a column
            has incompatible types in different blocks.
        """
        rows: Rows
        if is_ray_dataset(dataset):
            from mergeit_ops.distributed.blocks import Resources
            from mergeit_ops.distributed.rows import RayRows

            rows = RayRows.of(dataset, Resources.of(self), self._name if same_types else None)
        else:
            rows = LocalRows(dataset)
        self.check_arrival(len(rows))
        return rows

    @property
    def device(self) -> str:
        """Return the torch device that `accelerator` asks for and the machine has."""
        return "cuda" if self.use_cuda() else "cpu"
