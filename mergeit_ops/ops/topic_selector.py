"""What selectors share that keep samples of each topic, or of a flat dataset, by their embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from data_juicer.ops.base_op import Pipeline, Selector
from datasets import Dataset

from mergeit_ops.constraints import FLAG, Constraint, Number, OneOf
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.method import Need, SelectionMethod
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.row_facts import TOKENS_OF
from mergeit_ops.jobs.scores import ScoreSettings
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.jobs.selection_run import select_from_all, select_from_topics
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS, UNREADABLE_CONSTRAINTS

DEFAULT_SELECT_RATIO = 0.2

_BUDGETS = ("select_ratio", "num_per_topic", "select_num", "select_tokens")

TOPIC_SELECTOR_CONSTRAINTS: Mapping[str, Constraint] = {
    **SAMPLE_CONSTRAINTS,
    **EMBEDDING_CONSTRAINTS,
    "select_ratio": Number(low=0, high=1, low_open=True, optional=True),
    "num_per_topic": Number(low=1, integer=True, optional=True),
    "select_num": Number(low=1, integer=True, optional=True),
    "select_tokens": Number(low=1, integer=True, optional=True),
    "budget_of": OneOf(TOKENS_OF),
    "keep_embeddings": FLAG,
    **UNREADABLE_CONSTRAINTS,
}


class TopicSelector(EmbeddingOperator, Selector, Pipeline):
    """Base of selectors. It says how many samples are kept; its `method` says which."""

    # Data-Juicer's partitioned Ray executor would otherwise run it on each partition for itself.
    is_global_operation = True
    takes = "either"
    gives = "either"
    may_drop = True
    gives_ids = True
    kind = "selector"
    step = "Selected"

    def __init__(
        self,
        *args: Any,
        select_ratio: Optional[float] = None,
        num_per_topic: Optional[int] = None,
        select_num: Optional[int] = None,
        select_tokens: Optional[int] = None,
        budget_of: str = "response",
        keep_embeddings: bool = False,
        unreadable_rows: str = "keep",
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set; none of them means
        a ratio of 0.2.

        :param select_ratio: share in (0, 1] to keep: max(1, round(ratio * size)) of each topic, or of a flat dataset.
        :param num_per_topic: samples to keep of each topic; smaller topics are kept whole. The released code has 75.
        :param select_num: samples to keep over all topics, split by `allocation`, or of a flat dataset.
        :param select_tokens: tokens that the chosen samples may have over all topics, split by `allocation`, or in a
            flat dataset: what training on them costs. A token is estimated as four bytes of UTF-8, which suits English;
            other languages come out within a factor of two. Samples are taken in the order of the method, and one that
            no longer fits is left out.
        :param budget_of: what `select_tokens` counts: the `response`, on which a model is trained, or the whole `row`.
        :param keep_embeddings: whether a flat selection keeps the column `mergeit_embedding`; topics always keep it.
        :param unreadable_rows: what to do with rows whose text cannot be read. Such rows take no part in the selection.
            `keep` keeps all of them, and they do not count toward the budget; `drop` drops them. If more than half of
            the rows cannot be read, the run stops.
        :param args: see `EmbeddingOperator`.
        :param kwargs: see `EmbeddingOperator`.
        :raises RecipeError: if more than one parameter says how many samples are kept.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        parameters = self.parameters
        given = [name for name in _BUDGETS if parameters[name] is not None]
        if len(given) > 1:
            raise RecipeError(
                f"{self._name}: at most one of {', '.join(_BUDGETS)} may be set, got {' and '.join(given)}."
            )
        if select_tokens is not None and parameters["allocation"] == "gain":
            raise RecipeError(
                f"{self._name}: select_tokens cannot be split by the allocation 'gain', which counts samples; take "
                "another allocation, or select_num."
            )
        self.tokens_of = None if select_tokens is None else budget_of
        self.budget = Budget(
            ratio=select_ratio if given else DEFAULT_SELECT_RATIO,
            per_topic=_whole(num_per_topic),
            total=_whole(select_num if select_tokens is None else select_tokens),
            allocation=parameters["allocation"],
        )
        self.keep_embeddings = keep_embeddings
        self.keeps_unreadable = unreadable_rows == "keep"

    @property
    def method(self) -> SelectionMethod:
        """Return what chooses the rows."""
        raise NotImplementedError

    @property
    def scoring(self) -> ScoreSettings | None:
        """Return the scores that the recipe asks for, of a stat or a column; None: none."""
        return None

    @property
    def target_texts(self) -> tuple[str, ...]:
        """Return the texts of the target that the recipe names; empty: none."""
        return ()

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return how the recipe names the fields that the method needs: the parameter and its value, by need."""
        return {}

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Select from topics or from a flat dataset.

        :param dataset: topics, or flat samples.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace selectors.
        :return: topics with fewer samples each; or the chosen samples, in the order of the input.
        :raises DatasetError: if a column, or the stat or column of the scores, is missing.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            reader = self.reader_of(rows.columns)
            job = SelectionJob(
                reader,
                self.method,
                self.budget,
                self.keeps_unreadable,
                self.scoring,
                self.target_texts,
                self.field_keys,
                self.tokens_of,  # type: ignore[arg-type]
            )
            if rows.grouped:
                selected, figures = select_from_topics(rows, job)
            else:
                self._check_flat()
                selected, figures = select_from_all(rows, job, self.keep_embeddings)
            manifest.figures |= figures
            manifest.details["selected"] = job.method.selected
        return selected.dataset

    def _check_flat(self) -> None:
        if self.budget.per_topic is not None:
            raise RecipeError(
                f"{self._name}: num_per_topic needs topics; put topic_cluster_grouper before this operator, or use "
                "select_num, select_tokens or select_ratio."
            )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
