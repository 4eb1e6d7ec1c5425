"""Score each sample in comparison with the whole dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import MAPPING, TEXT, OneOf
from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.formats.exchanges import answers_only, whole_responses
from mergeit_ops.core.formats.views import READS
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.sample_files import read_samples
from mergeit_ops.distributed import in_ray_worker, is_ray_dataset
from mergeit_ops.errors import DatasetError, RecipeError, ScorerError, named
from mergeit_ops.jobs.pool_scoring import PoolScoreJob, score_pool
from mergeit_ops.jobs.rows import ModelUse
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.pool import POOL_SCORERS, ModelPoolScorer, needs_of
from mergeit_ops.scorers.scoring import view_of

OP_NAME = "pool_score_mapper"


@OPERATORS.register_module(OP_NAME)
class PoolScoreMapper(EmbeddingOperator, Mapper):
    """Score each sample in comparison with the whole dataset, for example by its distance to its neighbours.

    The score goes to `__dj__stats__` under its own name, with `<name>_status` (`ok`, or why there is no score) and
    `<name>_made_by`. `miwv` also writes the id of the nearest other sample, as `miwv_neighbour`. No sample is dropped.
    To keep the samples with the highest or lowest scores, put `budget_selector` after it; for a bound, use
    Data-Juicer's `general_field_filter`.

    On Ray, each task that runs a model (`miwv`, `nuggets`, `prompt_uncertainty`) takes a GPU if the cluster has one,
    and a whole node otherwise. `num_gpus` and `num_cpus` change this; `accelerator: cpu`, or `device: cpu` in
    `scorer_params`, keeps it off GPUs. Data-Juicer accepts `num_gpus` only with `accelerator: cuda` and a GPU on the
    driver's machine, or with `auto_op_parallelism: false`."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    gives_ids = True
    step = "Scored among all"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        "scorer": TEXT,
        "scorer_params": MAPPING,
        "read": OneOf(READS),
    }

    def __init__(
        self,
        scorer: str = "knn_distance",
        scorer_params: Optional[dict[str, Any]] = None,
        read: str = "answer",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param scorer: `knn_distance`: the Euclidean distance to the `k`-th nearest other sample (InstructMining's
            KNN-i; `k` is 6 by default; for up to 200,000 samples); `row_variance`: the spread over the principal axes
            of all samples (LIFT's variety; `statistic`, `components`); `miwv`: how much worse a causal language model
            predicts the response if the nearest other sample precedes it as a solved example (`hf_model`, `dtype`,
            `prompt`, `shot_separator`, `start_token`, `max_length`; for up to 200,000 samples); `nuggets`: the share of
            anchor samples whose response becomes more likely to a model if the sample precedes them as a solved example
            (`anchors`, a file of your own, or `num_anchors` from the dataset; `max_anchor_tokens`, `max_demo_tokens`,
            `exclude_self`, `min_score` and the parameters of `miwv`); `prompt_uncertainty`: how much the probabilities
            of the responses of a task depend on the wording of its instruction (`group_key`, `instances_per_group` and
            the parameters of the scorer of the same name in `sample_score_filter`); or the import path
            `package.module:Class` of your own scorer.
        :param scorer_params: keyword arguments of the scorer.
        :param read: what the scorer reads of a sample with a reasoning trace: `answer`, everything that the assistant
            writes except the trace; or `response`, the trace and the answer after it. It does not affect embeddings,
            which cover the question only.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        with named(self._name):
            # The scorer chooses its device if `accelerator` is not set, or if this machine has no GPU: it may be only
            # the driver of a cluster.
            device = {"cpu": "cpu", "cuda": "cuda" if self.use_cuda() else None}.get(kwargs.get("accelerator") or "")
            asked = {} if device is None else {"device": device}
            self._scorer = build_scorer(scorer, scorer_params, POOL_SCORERS, **asked)
            if not callable(getattr(self._scorer, "prepare", None)):
                raise ScorerError(f"the scorer '{scorer}' has no method prepare(pool)")
        # A worker of Ray may not have the file, so the job holds its content.
        reads = "target_samples" in needs_of(self._scorer) and not in_ray_worker()
        self.view = view_of(self._scorer, read)  # type: ignore[arg-type]
        self._targets = self._read_targets() if reads else ()

    def _read_targets(self) -> tuple[Sample, ...]:
        """Return the rows of the file that the scorer names.

        :raises RecipeError: if it cannot be read.
        """
        try:
            found = read_samples(Path(self._scorer.target_path), self.file_layout)
        except DatasetError as error:
            raise RecipeError(
                f"{self._name}: the file in scorer_params of '{self.parameters['scorer']}' cannot be used: {error}."
            ) from error
        view = whole_responses if self.view == "response" else answers_only
        return tuple(view(row.sample) for row in found)

    def _check_resources(self) -> None:
        """Check that the cluster has room for the tasks, before any row is embedded.

        :raises RecipeError: if it has none.
        """
        if isinstance(self._scorer, ModelPoolScorer):
            from mergeit_ops.distributed.blocks import Resources

            Resources.of(self).of_task(ModelUse(self._name, self._scorer.device))

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Score a flat dataset.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; no text changes.
        :return: the samples with their stats.
        :raises DatasetError: if a column is missing, or the rows are topics.
        :raises RecipeError: if a cluster has no room for the model.
        :raises ScorerError: if there are more samples than the scorer is meant for.
        """
        with self.recorded() as manifest:
            if is_ray_dataset(dataset):
                self._check_resources()
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self.check_flat(rows.grouped)
            job = PoolScoreJob(
                self.reader_of(rows.columns),
                self.parameters["scorer"],
                self._scorer,
                EMBEDDING in rows.columns,
                self._targets,
                self.view,
            )
            scored, figures = score_pool(rows, job)
            if is_ray_dataset(dataset):
                from mergeit_ops.distributed.new_columns import note_column

                note_column(STATS)
            manifest.figures |= figures
        if figures["unscored"]:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in figures["unscored"].items())
            logger.warning(f"{self._name}: samples without a score, by reason: {reasons}.")
        return scored.dataset
