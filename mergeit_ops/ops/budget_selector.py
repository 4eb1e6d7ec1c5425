"""Bring a dataset down to a number of samples, in the order of the input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

import numpy as np
import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS, Pipeline, Selector
from datasets import Dataset
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import BATCH_META, is_content
from mergeit_ops.core.identity import content_digests, number_duplicates
from mergeit_ops.core.row_budget import extreme_rows, random_rows
from mergeit_ops.dataset.tables import iter_tables, python_columns, python_rows, rows_of_dataset
from mergeit_ops.dataset.topics import is_grouped
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops.constraints import FLAG, OPTIONAL_TEXT, Number
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS, SampleOperator, recipe_parameters

OP_NAME = "budget_selector"


@OPERATORS.register_module(OP_NAME)
class BudgetSelector(SampleOperator, Selector, Pipeline):
    """Keep a given number of samples: random ones, or those with the highest or lowest values of a field.

    Columns and order stay, and the same samples are kept in every executor: random ones are drawn by what they hold,
    not by where they stand. Where there are fewer than asked for, all are kept and the log says so. (Data-Juicer's
    random_selector shuffles, and repeats samples where there are too few; its topk_specified_field_selector sorts.
    Neither runs on Ray.)"""

    # Data-Juicer's partitioned Ray executor would otherwise run it on each partition for itself.
    is_global_operation = True
    may_drop = True
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        "select_num": Number(low=1, integer=True, optional=True),
        "field_key": OPTIONAL_TEXT,
        "reverse": FLAG,
        "seed": Number(low=0, high=2**32 - 1, integer=True),
    }

    def __init__(
        self,
        select_num: Optional[int] = None,
        field_key: Optional[str] = None,
        reverse: bool = True,
        seed: int = 42,
        sample_format: str = "auto",
        instruction_key: Optional[str] = None,
        query_key: Optional[str] = None,
        response_key: Optional[str] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param select_num: samples to keep; null: all.
        :param field_key: the number that decides: a column, or a key inside one after a dot, such as
            `__dj__stats__.num_words`. Of equal values the first samples are kept; samples without a number are not, and
            are counted. null: samples are drawn at random.
        :param reverse: true: the highest values; false: the lowest.
        :param seed: seed of the random draw.
        :param sample_format: not used: no sample is read.
        :param instruction_key: not used.
        :param query_key: not used.
        :param response_key: not used.
        :param args: extra args
        :param kwargs: extra args
        """
        super().__init__(recipe_parameters(locals()), *args, **kwargs)
        self.select_num = select_num
        self.field_key = field_key
        self.reverse = reverse
        self.seed = int(seed)

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Select from a flat dataset.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace selectors.
        :return: the chosen samples, in the order of the input.
        :raises DatasetError: if the rows are topics, or there is no such column.
        """
        if is_ray_dataset(dataset):
            return self._run_on_ray(dataset)
        with self.recorded() as manifest:
            self.check_arrival(len(dataset))
            columns = self.columns_read(dataset.column_names, grouped=is_grouped(dataset.features))
            keys = [key for table in iter_tables(dataset, columns) for key in self.keys_of(table)]
            selected = rows_of_dataset(dataset, self.chosen(keys), dataset.column_names)
            manifest.figures |= self._figures(len(dataset), len(selected))
        return selected

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import Blocks, materialized
        from mergeit_ops.distributed.selection import take_chosen

        with self.recorded() as manifest:
            dataset = materialized(dataset, self._name)
            if not self.check_arrival(dataset.count()):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            names = dataset.columns()
            self.columns_read(names, grouped=BATCH_META in names)
            blocks = Blocks.of(dataset)
            keys = [key for told in blocks.tell(_keys_of_block, self) for key in told]
            selected = take_chosen(blocks, self.chosen(keys))
            manifest.figures |= self._figures(sum(blocks.rows), sum(selected.rows))
        return selected.dataset()

    def columns_read(self, columns: Iterable[str], grouped: bool) -> list[str]:
        """Return the columns that decide.

        :param columns: those of the dataset.
        :param grouped: whether its rows are topics.
        :raises DatasetError: if they are, or the column is not there.
        """
        columns = list(columns)
        self.check_flat(grouped)
        if self.field_key is None:
            return [name for name in columns if is_content(name)]
        column = self.field_key.split(".")[0]
        if column not in columns:
            raise DatasetError(
                f"{self._name}: there is no column '{column}' for the field_key '{self.field_key}'; there are "
                f"{', '.join(map(repr, columns))}."
            )
        return [column]

    def keys_of(self, table: pa.Table) -> list[Any]:
        """Return what decides about each row of a table: its value, or a hash of what it holds."""
        if self.field_key is None:
            content = table.select([name for name in table.column_names if is_content(name)])
            return content_digests(python_columns(content), table.num_rows)
        column, *path = self.field_key.split(".")
        values = [row[column] for row in python_rows(table.select([column]))]
        for key in path:
            values = [value.get(key) if isinstance(value, dict) else None for value in values]
        return values

    def chosen(self, keys: list[Any]) -> NDArray[np.int64]:
        """Return the positions of the rows to keep, ascending, from what `keys_of` said about all of them.

        :raises DatasetError: if none of them has a number.
        """
        if self.select_num is None:
            return np.arange(len(keys))
        if self.field_key is None:
            return random_rows(number_duplicates(keys), int(self.select_num), self.seed)
        rows = extreme_rows(keys, int(self.select_num), highest=self.reverse)
        if len(keys) and not len(rows):
            raise DatasetError(
                f"{self._name}: none of the {len(keys):,} samples has a number at the field_key '{self.field_key}'; "
                "check its name, and that an operator before this one writes it."
            )
        return rows

    def _figures(self, rows_in: int, rows_out: int) -> dict[str, int]:
        figures = {"rows_in": rows_in, "rows_out": rows_out}
        if self.select_num is not None and rows_out < self.select_num:
            figures["missing"] = int(self.select_num) - rows_out
            why = f"there are {rows_in:,} samples"
            if rows_out < rows_in:
                why = f"{rows_out:,} of {rows_in:,} samples have a number at {self.field_key}"
            logger.warning(f"{self._name}: {why}, fewer than the {self.select_num:,} of select_num; those are kept.")
        return figures


def _keys_of_block(table: pa.Table, operator: BudgetSelector) -> tuple[None, list[Any]]:
    return None, operator.keys_of(table)
