"""Shared base of the selectors that keep a given number of samples of each topic, or of a flat dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from mergeit_ops.constraints import Constraint, Number, OneOf
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.row_facts import TOKENS_OF
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.ops.parameters import check_at_most_one, declare
from mergeit_ops.ops.row_selector import ROW_SELECTOR_CONSTRAINTS, RowSelector

DEFAULT_SELECT_RATIO = 0.2

PARTITION_ROWS_NUMBER = Number(low=100, integer=True, optional=True)
"""Values of the parameter `partition_rows` of operators with a method that can choose from partitions."""

_BUDGETS = ("select_ratio", "num_per_topic", "select_num", "select_tokens")

TOPIC_SELECTOR_CONSTRAINTS: Mapping[str, Constraint] = {
    **ROW_SELECTOR_CONSTRAINTS,
    "select_ratio": Number(low=0, high=1, low_open=True, optional=True),
    "num_per_topic": Number(low=1, integer=True, optional=True),
    "select_num": Number(low=1, integer=True, optional=True),
    "select_tokens": Number(low=1, integer=True, optional=True),
    "budget_of": OneOf(TOKENS_OF),
}


class TopicSelector(RowSelector):
    """Base of the selectors. It says how many samples are kept; the `method` of a subclass says which."""

    def __init__(
        self,
        *args: Any,
        select_ratio: Optional[float] = None,
        num_per_topic: Optional[int] = None,
        select_num: Optional[int] = None,
        select_tokens: Optional[int] = None,
        budget_of: str = "response",
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set. If none is set, the
        ratio is 0.2.

        :param select_ratio: share in (0, 1] to keep: max(1, round(ratio * size)) of each topic, or of a flat dataset.
        :param num_per_topic: samples to keep of each topic; smaller topics are kept whole. The released code uses 75.
        :param select_num: samples to keep over all topics, split by `allocation`, or of a flat dataset.
        :param select_tokens: most tokens of the chosen samples over all topics, split by `allocation`, or of a flat
            dataset. This limits the cost of training. A token is estimated as four bytes of UTF-8, which suits English;
            other languages come out within a factor of two. Samples are taken in the order of the method, and a sample
            that exceeds the rest of the budget is skipped.
        :param budget_of: what `select_tokens` counts: the `response`, on which a model is trained, or the whole `row`.
        :param args: see `RowSelector`.
        :param kwargs: see `RowSelector`.
        :raises RecipeError: if more than one parameter says how many samples are kept.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        parameters = self.parameters
        check_at_most_one(self, _BUDGETS)
        # A selector that never splits its budget among topics has no `allocation`.
        allocation = parameters.get("allocation", "proportional")
        if select_tokens is not None and allocation == "gain":
            raise RecipeError(
                f"{self._name}: select_tokens cannot be split by the allocation 'gain', which counts samples; use "
                "another allocation, or select_num."
            )
        self.tokens_of = None if select_tokens is None else budget_of
        self.budget = Budget(
            ratio=DEFAULT_SELECT_RATIO if all(parameters[name] is None for name in _BUDGETS) else select_ratio,
            per_topic=_whole(num_per_topic),
            total=_whole(select_num if select_tokens is None else select_tokens),
            allocation=allocation,
        )

    def job(self, reader: SampleReader) -> SelectionJob:
        """See `RowSelector`."""
        return replace(super().job(reader), tokens_of=self.tokens_of)  # type: ignore[arg-type]

    def check_budget_of_flat(self) -> None:
        """See `RowSelector`."""
        if self.budget.per_topic is not None:
            raise RecipeError(
                f"{self._name}: num_per_topic needs topics; put topic_cluster_grouper before this operator, or use "
                "select_num, select_tokens or select_ratio."
            )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
