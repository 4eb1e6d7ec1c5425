"""Shared base of the selectors that keep samples of each topic, or of a flat dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from data_juicer.ops.base_op import Pipeline, Selector
from datasets import Dataset

from mergeit_ops.constraints import FLAG, Constraint
from mergeit_ops.core.columns import STATS
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.method import Need, SelectionMethod
from mergeit_ops.dataset.manifest import log_summary
from mergeit_ops.dataset.recipe_rows import RowKind
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scores import ScoreSettings
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.jobs.selection_run import select_from_all, select_from_topics
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS, UNREADABLE_CONSTRAINTS

ROW_SELECTOR_CONSTRAINTS: Mapping[str, Constraint] = {
    **SAMPLE_CONSTRAINTS,
    **EMBEDDING_CONSTRAINTS,
    "keep_embeddings": FLAG,
    **UNREADABLE_CONSTRAINTS,
}


class RowSelector(EmbeddingOperator, Selector, Pipeline):
    """Base of the selectors. The `method` of a subclass says which samples stay."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    takes: ClassVar[RowKind] = "either"
    gives: ClassVar[RowKind] = "either"
    may_drop = True
    gives_ids = True
    kind = "selector"
    step = "Selected"

    budget = Budget(ratio=1.0)
    """The most samples that may stay."""

    def __init__(self, *args: Any, keep_embeddings: bool = False, unreadable_rows: str = "keep", **kwargs: Any) -> None:
        """
        Initialization method.

        :param keep_embeddings: whether a flat selection keeps the column `mergeit_embedding`; topics always keep it.
        :param unreadable_rows: what to do with rows whose text cannot be read. Such rows take no part in the selection.
            `keep` keeps all of them, and they do not count toward the budget; `drop` drops them. If more than half of
            the rows cannot be read, the run stops.
        :param args: see `EmbeddingOperator`.
        :param kwargs: see `EmbeddingOperator`.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.keep_embeddings = keep_embeddings
        self.keeps_unreadable = unreadable_rows == "keep"

    @property
    def method(self) -> SelectionMethod:
        """Return the method that chooses the rows."""
        raise NotImplementedError

    @property
    def scoring(self) -> ScoreSettings | None:
        """Return the stat or column of scores that the recipe asks for; None if it asks for none."""
        return None

    @property
    def target_texts(self) -> tuple[str, ...]:
        """Return the texts of the target that the recipe names; empty if it names none."""
        return ()

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return, for each need of the method, the parameter that names the field, and its value."""
        return {}

    def job(self, reader: SampleReader) -> SelectionJob:
        """Return the job that selects.

        :param reader: reader of the samples.
        """
        return SelectionJob(
            reader, self.method, self.budget, self.keeps_unreadable, self.scoring, self.target_texts, self.field_keys
        )

    def check_budget_of_flat(self) -> None:
        """Check that the budget works for flat samples.

        :raises RecipeError: if it does not.
        """

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
            job = self.job(self.reader_of(rows.columns))
            if rows.grouped:
                self.check_flat(
                    job.method.whole_only, "this choice must see all samples; put topic_reverse_grouper before it"
                )
                selected, figures, details = select_from_topics(rows, job)
            else:
                self.check_budget_of_flat()
                selected, figures, details = select_from_all(rows, job, self.keep_embeddings)
            if job.method.stats and is_ray_dataset(dataset):
                from mergeit_ops.distributed.new_columns import note_column

                note_column(STATS)
            manifest.figures |= figures
            manifest.details |= details
            manifest.details["selected"] = job.method.selected
        log_summary(self.work_dir, merging_only=True)
        return selected.dataset
