"""Checks of a dataset around the work of an operator: column types, changes by the loader, room for the export."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from data_juicer.ops.base_op import Grouper, Mapper
from loguru import logger

from mergeit_ops.core.columns import BATCH_META, META
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.dataset.export_types import ExportFormat, complaint
from mergeit_ops.dataset.full_disks import explain_full_disks, no_room_for_export
from mergeit_ops.dataset.loading import changed_types, dates_of_texts, dropped_rows, rows_in_files
from mergeit_ops.dataset.manifest import also_noted
from mergeit_ops.dataset.recipe import Recipe, Step, current_recipe
from mergeit_ops.dataset.recipe_columns import check_text_columns
from mergeit_ops.dataset.topics import flat_types
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError, DiskError

if TYPE_CHECKING:
    from mergeit_ops.ops.sample_operator import SampleOperator


def looks_first(run: Callable[..., Any]) -> Callable[..., Any]:
    """Make an operator's `run` check the dataset first.

    :param run: the method.
    :return: the method with checks: it stops if the export cannot hold a column or does not fit on the disk, and
        reports what the loader did to the rows.
    """

    @wraps(run)
    def run_after_a_look(operator: SampleOperator, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        recipe = recipe_of(operator)
        if recipe is None:
            return run(operator, dataset, *args, **kwargs)
        explain_full_disks(recipe)
        if is_ray_dataset(dataset):
            from mergeit_ops.distributed.blocks import materialized

            # The schema of a lazy dataset is known only after a part of it is computed.
            dataset = materialized(dataset)
            found = dataset.schema()
            schema = found and found.base_schema
        else:
            schema = dataset.features.arrow_schema
        if not isinstance(schema, pa.Schema):
            return run(operator, dataset, *args, **kwargs)
        place = recipe.place_of(operator)
        if place is not None:
            check_text_columns(recipe, place, _flat_types(operator, schema))
        ExportCheck.of(operator, recipe)(schema)
        with also_noted(_figures_of_loading(operator, dataset, schema, recipe)):
            rows = run(operator, dataset, *args, **kwargs)
        _check_room(operator, rows, recipe, place)
        return rows

    return run_after_a_look


def _check_room(operator: SampleOperator, rows: Any, recipe: Recipe, place: int | None) -> None:
    """Check that the disk has room for the export, if this operator is the last of the recipe.

    If the disk becomes full, Data-Juicer with `export_shard_size` reports success and leaves incomplete files.

    :raises DiskError: if there is no room.
    """
    if is_ray_dataset(rows) or place is None or place + 1 < len(recipe.steps) or rows._indices is not None:
        return
    found = no_room_for_export(rows.data.nbytes, recipe)
    if found is not None:
        raise DiskError(f"{operator._name}: {found}.")


def _flat_types(operator: SampleOperator, schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return the columns of the samples that an operator gets, flat or in topics, and their types."""
    types = {field.name: field.type for field in schema}
    in_lists = all(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in types.values())
    if operator.takes == "samples" or not (BATCH_META in types or in_lists):
        return types
    return flat_types(types)


def recipe_of(operator: SampleOperator) -> Recipe | None:
    """Return the recipe that an operator runs in; None if it is used without one, or under `dj-analyze`."""
    # Data-Juicer's analyzer sets this to get only stats. The analyzer for Ray can be recognised only by its command.
    analyzing = getattr(operator, "process", True) is None or "data_juicer.tools.analyze_data" in sys.modules
    if analyzing or operator.work_dir is None:
        return None
    recipe = current_recipe(operator.work_dir)
    return None if recipe is None or recipe.place_of(operator) is None else recipe


@dataclass(frozen=True)
class ExportCheck:
    """Stops an operator if the export cannot hold one of its columns.

    :param operator: registry name.
    :param export: what the run exports to; None: nothing.
    :param columns_may_go: whether a later step can remove columns. If so, the check only warns.
    :param adds_lineage: whether rows get metadata when their topics are flattened.
    """

    operator: str
    export: ExportFormat | None
    columns_may_go: bool
    adds_lineage: bool

    @classmethod
    def of(cls, operator: SampleOperator, recipe: Recipe) -> ExportCheck:
        """Return the check for an operator in a recipe; called on the driver."""
        groups = any(step.operator is not None and issubclass(step.operator, Grouper) for step in recipe.steps)
        return cls(operator._name, ExportFormat.of(recipe), _columns_may_go(operator, recipe), groups)

    def __call__(self, schema: pa.Schema) -> None:
        """Check the schema of rows.

        :raises DatasetError: if the export cannot hold a column; the error names it.
        """
        if self.adds_lineage and META not in schema.names:
            schema = schema.append(pa.field(META, pa.struct([(TOPIC_ID, pa.int64())])))
        found = None if self.export is None else complaint(schema, self.export)
        if found is None:
            return
        if not self.columns_may_go:
            raise DatasetError(f"{self.operator}: {found}.")
        logger.warning(f"{self.operator}: {found}, unless a later step of the recipe does.")


def _columns_may_go(operator: SampleOperator, recipe: Recipe) -> bool:
    """Return whether a later step can remove columns; on Ray, any other mapper may."""
    if recipe.executor == "default":
        return False
    place = recipe.place_of(operator)
    later = recipe.steps if place is None else recipe.steps[place + 1 :]
    return any(step.operator is not None and issubclass(step.operator, Mapper) for step in later)


def _figures_of_loading(operator: SampleOperator, dataset: Any, schema: pa.Schema, recipe: Recipe) -> dict[str, Any]:
    """Log what the loader did to the rows, if this operator is the first of ours, and return it for the record."""
    before = recipe.steps[: recipe.place_of(operator)]
    if any(step.is_ours for step in before):
        return {}
    figures: dict[str, Any] = {}
    found = None if is_ray_dataset(dataset) else rows_in_files(dataset, recipe)
    if found is not None and all(map(_keeps_rows, before)):
        warning = dropped_rows(len(dataset), found, recipe)
        if warning is not None:
            figures["dropped_by_loader"] = found - len(dataset)
            logger.warning(f"{operator._name}: {warning}")
    dates = dates_of_texts(schema, recipe)
    if dates:
        figures["read_as_timestamps"] = ", ".join(dates)
        logger.warning(
            f"{operator._name}: Data-Juicer's loader has turned texts that look like dates into timestamps in the "
            f"column{'s' if len(dates) > 1 else ''} {', '.join(dates)}; the export writes them in another form than "
            "the file. To keep the texts, convert the file to parquet."
        )
    # A mapper may change types on purpose.
    changed = changed_types(schema, recipe) if not is_ray_dataset(dataset) and not any(map(_is_mapper, before)) else {}
    if changed:
        figures["changed_types"] = ", ".join(changed)
        told = "; ".join(
            f"all values of {name} became {became} ({file.name} holds others)"
            for name, (became, file) in changed.items()
        )
        logger.warning(
            f"{operator._name}: your files hold different types in one column. Data-Juicer's loader changed values: "
            f"{told}. The export holds the changed values. To keep the originals, use one type in all files."
        )
    return figures


def _is_mapper(step: Step) -> bool:
    return step.operator is None or issubclass(step.operator, Mapper)


def _keeps_rows(step: Step) -> bool:
    # A mapper of single samples returns one row for each; a mapper of batches may return more or fewer.
    if step.operator is None or not issubclass(step.operator, Mapper):
        return False
    return not (
        getattr(step.operator, "_batched_op", False)
        or step.parameters.get("batched")
        or step.parameters.get("batch_mode")
    )
