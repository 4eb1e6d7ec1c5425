"""Keep the samples that represent all samples: facility location, per topic or over a flat dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS
from loguru import logger

from mergeit_ops.constraints import OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.selection.budget import ALLOCATIONS
from mergeit_ops.core.selection.facility_location import METRICS, FacilityLocation
from mergeit_ops.core.selection.method import PARTITION_ROWS
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.target_texts import read_target
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops.parameters import declare, set_to
from mergeit_ops.ops.scored_selector import SCORE_CONSTRAINTS, ScoredSelector
from mergeit_ops.ops.topic_selector import PARTITION_ROWS_NUMBER, TOPIC_SELECTOR_CONSTRAINTS

OP_NAME = "facility_location_selector"

_ROUNDING = 1e-9


@OPERATORS.register_module(OP_NAME)
class FacilityLocationSelector(ScoredSelector):
    """Keep representatives: the samples that greedily maximise the facility-location objective.

    F(S) = sum over samples i of max over chosen j of sim(i, j) (MergeIT, stage 1). Given topics, the operator selects
    within each topic and returns topics. Given a flat dataset, it selects from all samples and keeps columns and order.
    submodlib runs the greedy algorithm where its wheels exist and rows are few; otherwise our own lazy greedy maximises
    the same objective. Above 8,000 samples the result is approximate: its objective stays within about 1 % of the exact
    greedy's, and memory grows in proportion to the samples.

    With `score_weight` a and `target_weight` b it prefers good samples, and samples that represent a target of yours.
    For n samples, a budget of k, scores q and m target texts t, with each term in [0, 1]: F(S) = (1-a-b)/n sum_i max_j
    sim(i, j) + a/k sum_j q_j + b/m sum_t max_j sim(t, j), where a similarity below 0 counts as 0. After QDIT (arXiv
    2311.14736); `recipes/methods/qdit.yaml`. The record and the log then compare the scores of the chosen samples with
    those of all, and say how near the chosen samples come to the target."""

    beside_static = "follows"
    _constraints = {
        **TOPIC_SELECTOR_CONSTRAINTS,
        "allocation": OneOf(ALLOCATIONS),
        "metric": OneOf(METRICS),
        **SCORE_CONSTRAINTS,
        "score_weight": Number(low=0, high=1),
        "target_path": OPTIONAL_TEXT,
        "target_weight": Number(low=0, high=1),
        "partition_rows": PARTITION_ROWS_NUMBER,
    }

    def __init__(
        self,
        allocation: str = "proportional",
        metric: str = "cosine",
        score_weight: float = 0.0,
        target_path: Optional[str] = None,
        target_weight: float = 0.0,
        partition_rows: Optional[int] = PARTITION_ROWS,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set. If none is set, the
        ratio is 0.2, as in the paper. With `select_tokens`, two greedy selections are made, by gain and by gain per
        token, and the better one is kept.

        :param allocation: how `select_num` or `select_tokens` is split: `proportional` to topic sizes (largest
            remainder), in `equal` parts, by marginal `gain`, which favours topics that are hard to represent, or by
            `taylor` (SMART, arXiv 2403.08370): in proportion to 1 + g + g^2 / 2, where g is the gain of the topic's
            mean embedding in a graph cut over all topics. `taylor` favours topics that have much in common with the
            others.
        :param metric: `cosine`, or `euclidean`: submodlib's kernel exp(-distance / d), as in the released code.
        :param score_weight: a, the weight of the quality that `score_key` names, in [0, 1]. With 0, scores do not
            affect the selection, but the record still reports them.
        :param target_path: samples that the selection should represent, such as the training part of a benchmark: a
            JSON Lines, JSON, CSV, TSV or parquet file in any sample format, a folder of these files, or a file with
            another extension and one text per line. The texts are embedded with `embedding_model`. If your samples
            bring embeddings, they must come from the same model.
        :param target_weight: b, the weight of the target, in [0, 1]; a + b is at most 1. With 0, the target does not
            affect the selection.
        :param partition_rows: on Ray, most samples of a flat dataset that one task chooses from. If there are more,
            they are divided into partitions; samples are chosen from each, and then among the chosen. The objective is
            within about 1 % of a choice from all samples at once if the budget is at most an eighth of
            `partition_rows`; see docs/ray.md for larger budgets. null: one task holds all embeddings. In the default
            executor, which holds them all anyway, it changes nothing.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if a weight is set without its `score_key` or `target_path`, the weights add up to more
            than 1, or the target cannot be read.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.metric = metric
        self.score_weight = float(score_weight)
        self.target_weight = float(target_weight)
        self._check_weights()
        self._target_texts = () if target_path is None else self._read_target(Path(target_path))

    @property
    def compares_vectors(self) -> bool:
        """See `EmbeddingOperator`."""
        return bool(self._target_texts)

    def _check_weights(self) -> None:
        for weight, source in (("score_weight", "score_key"), ("target_weight", "target_path")):
            if self.parameters[weight] and self.parameters[source] is None:
                raise RecipeError(
                    f"{self._name}: {weight} is {self.parameters[weight]}, but {source} is not set; set it, or "
                    f"{set_to(self, weight, 0.0)}."
                )
        if self.score_weight + self.target_weight > 1 + _ROUNDING:
            raise RecipeError(
                f"{self._name}: score_weight and target_weight must not exceed 1 together, got {self.score_weight} and "
                f"{self.target_weight}."
            )

    def _read_target(self, path: Path) -> tuple[str, ...]:
        """Return the texts of the target.

        :raises RecipeError: if there are none.
        """
        try:
            texts, blank = read_target(path, self.file_layout)
        except DatasetError as error:
            raise RecipeError(f"{self._name}: target_path cannot be used: {error}.") from error
        if blank:
            logger.warning(
                f"{self._name}: {many(blank, 'row')} of target_path "
                f"{agree(blank, 'has no readable text and is', 'have no readable text and are')} left out."
            )
        return tuple(texts)

    @property
    def method(self) -> FacilityLocation:
        """Return facility location with the recipe's metric and weights."""
        most = self.parameters["partition_rows"]
        return FacilityLocation(
            self.metric,  # type: ignore[arg-type]
            self.score_weight,
            self.target_weight,
            None if most is None else int(most),
        )

    @property
    def target_texts(self) -> tuple[str, ...]:
        """Return the texts of the target."""
        return self._target_texts
