"""Reduce a dataset to a number of samples, in the order of the input."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from data_juicer.ops.base_op import OPERATORS, Pipeline, Selector
from datasets import Dataset
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.constraints import FLAG, OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.columns import is_content
from mergeit_ops.core.rows.identity import number_duplicates
from mergeit_ops.core.selection.row_budget import extreme_order, random_order
from mergeit_ops.core.selection.token_budget import fitting
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.manifest import log_summary
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.row_facts import TOKENS_OF, FactReader, RowFacts
from mergeit_ops.jobs.row_keys import content_keys
from mergeit_ops.jobs.rows import Rows, TableFunction
from mergeit_ops.ops.parameters import check_at_most_one, declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS, SampleOperator

OP_NAME = "budget_selector"


@OPERATORS.register_module(OP_NAME)
class BudgetSelector(SampleOperator, Selector, Pipeline):
    """Keep a given number of samples or tokens: random samples, or those with the highest or lowest values of a field.

    Columns and order stay, and the same samples are kept in every executor: a random draw depends on the content of the
    samples, not on their positions. If there are fewer samples than asked for, all are kept and the log says so.
    (Data-Juicer's random_selector shuffles, and repeats samples if there are too few; its topk_specified_field_selector
    sorts. Neither runs on Ray.)"""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    may_drop = True
    step = "Brought down to the budget"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        "select_num": Number(low=1, integer=True, optional=True),
        "select_tokens": Number(low=1, integer=True, optional=True),
        "budget_of": OneOf(TOKENS_OF),
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
        select_tokens: Optional[int] = None,
        budget_of: str = "response",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param select_num: samples to keep; null: all.
        :param field_key: the number that decides: a column, or a key inside one after a dot, such as
            `__dj__stats__.num_words`. Among equal values, the first samples are kept. Samples without a number are
            dropped and counted. null: samples are drawn at random.
        :param reverse: true keeps the highest values; false keeps the lowest.
        :param seed: seed of the random draw.
        :param select_tokens: most tokens that the kept samples may have together; null: any number. A token is
            estimated as four bytes of UTF-8, which suits English; other languages come out within a factor of two. A
            sample that exceeds the rest of the budget is skipped. At most one of `select_num` and `select_tokens` may
            be set.
        :param budget_of: what `select_tokens` counts: the `response`, on which a model is trained, or the whole `row`.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if both budgets are set.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        check_at_most_one(self, ("select_num", "select_tokens"))
        self.select_num = None if select_num is None else int(select_num)
        self.field_key = field_key
        self.reverse = reverse
        self.seed = int(seed)
        self.select_tokens = None if select_tokens is None else int(select_tokens)

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Select from a flat dataset.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace selectors.
        :return: the chosen samples, in the order of the input.
        :raises DatasetError: if the rows are topics, or the column of `field_key` is missing.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset)
            self.check_flat(rows.grouped)
            if not len(rows):
                manifest.figures |= self._figures(0, 0)
                return rows.dataset
            deciding, columns = self._keys(rows.columns)
            keys = [key for told in rows.tell(deciding, columns=columns) for key in told]
            tokens = self._tokens(rows)
            chosen = np.sort(self._chosen(keys, tokens))
            selected = rows.take(chosen)
            manifest.figures |= self._figures(len(rows), len(selected))
            if tokens is not None:
                manifest.figures["tokens"] = {"chosen": int(tokens[chosen].sum()), "all": int(tokens.sum())}
        log_summary(self.work_dir, merging_only=True)
        return selected.dataset

    def _keys(self, columns: list[str]) -> tuple[TableFunction, list[str]]:
        """Return the function that gives the keys of a table's rows, and the columns that it reads.

        :param columns: columns of the dataset.
        :raises DatasetError: if the column of `field_key` is missing.
        """
        if self.field_key is None:
            return content_keys, [name for name in columns if is_content(name)]
        field = Field.of(self.field_key, columns)
        if field is None:
            raise DatasetError(
                f"{self._name}: there is no column '{self.field_key.split('.')[0]}' for the field_key "
                f"'{self.field_key}'; there are {', '.join(map(repr, columns))}."
            )
        return field.tell_values, [field.column]

    def _tokens(self, rows: Rows) -> NDArray[np.int64] | None:
        """Return the estimated tokens of each row; None if the budget does not count them."""
        if self.select_tokens is None:
            return None
        counted = self.parameters["budget_of"]
        reader = FactReader(self.reader_of(rows.columns), frozenset(), {}, {}, counted)
        facts = RowFacts.joined(list(rows.tell(reader.tell, columns=reader.columns(rows.columns))))
        return facts.tokens

    def _chosen(self, keys: list[Any], tokens: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the positions of the rows to keep.

        :param keys: key of each row, by which it is chosen.
        :param tokens: tokens of each row, (n,); None if the budget does not count them.
        :raises DatasetError: if no row has a number.
        """
        if self.select_num is None and tokens is None:
            return np.arange(len(keys))
        order = self._order(keys)
        if tokens is None or self.select_tokens is None:
            return order[: self.select_num]
        return order[fitting(tokens[order], self.select_tokens)]

    def _order(self, keys: list[Any]) -> NDArray[np.int64]:
        if self.field_key is None:
            return random_order(number_duplicates(keys), self.seed)
        order = extreme_order(keys, highest=self.reverse)
        if len(keys) and not len(order):
            raise DatasetError(
                f"{self._name}: no sample has a number at the field_key '{self.field_key}'. Check the name, and that "
                "an operator before this one writes it."
            )
        return order

    def _figures(self, rows_in: int, rows_out: int) -> dict[str, int]:
        figures = {"rows_in": rows_in, "rows_out": rows_out}
        if self.select_num is not None and rows_out < self.select_num:
            figures["missing"] = self.select_num - rows_out
            why = f"there {agree(rows_in, 'is', 'are')} {many(rows_in, 'sample')}"
            if rows_out < rows_in:
                why = f"{rows_out:,} of {rows_in:,} samples have a number at {self.field_key}"
            logger.warning(f"{self._name}: {why}, fewer than the {self.select_num:,} of select_num; those are kept.")
        return figures
