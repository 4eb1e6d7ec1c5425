"""Keep each merge or restore its parents. Also a plain quality filter."""

from __future__ import annotations

from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import FLAG, Number, OneOf
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.gate.rule import REFERENCES, GateRule
from mergeit_ops.core.rows import lineage
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.gating import REVERSE_IFD, GateJob
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS
from mergeit_ops.ops.score_filter import SCORE_FILTER_CONSTRAINTS, ScoreFilter
from mergeit_ops.scorers.scoring import measures_of

OP_NAME = "quality_gate_filter"


@OPERATORS.register_module(OP_NAME)
class QualityGateFilter(EmbeddingOperator, ScoreFilter):
    """Keep a merged sample only if its quality passes a gate; otherwise restore its parents.

    A merge passes when its score exceeds gamma times its parents' reference score (MergeIT, equation 9). A merge never
    passes if it or one of its parents has no score. With `min_score` or `max_score` the operator also filters every
    sample by its own score, so it serves as a plain quality filter before the grouper. It judges every merged row,
    including those of an earlier run. Scores and the figures of each decision go to `__dj__stats__`. Merges and their
    parents are always scored. Other samples are scored only if `min_score`, `max_score` or `score_all` is set."""

    drops_others_stats = True
    gives_ids = True
    kind = "gate"
    records_drops = True
    step = "Gated"
    stat = lineage.QUALITY_SCORE
    status = lineage.QUALITY_STATUS
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        **SCORE_FILTER_CONSTRAINTS,
        "gamma": Number(low=0, low_open=True),
        "strict": FLAG,
        "reference": OneOf(REFERENCES),
        "min_parent_coverage": Number(low=0, high=1, optional=True),
        "max_reverse_ifd": Number(low=0, low_open=True, optional=True),
    }

    def __init__(
        self,
        gamma: float = 0.75,
        strict: bool = True,
        reference: str = "mean",
        min_parent_coverage: Optional[float] = None,
        max_reverse_ifd: Optional[float] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param gamma: share of the parents' reference score, above 0, that a merge must reach (see `strict`). Paper:
            0.75; released code: 1.0. The scores must be positive, and higher scores must mean better samples.
        :param strict: whether a merge that reaches exactly this share fails.
        :param reference: how the parents' scores become the reference score: `mean`, `max` or `min`.
        :param min_parent_coverage: share of each parent's words, in [0, 1], that a merge must contain; instruction,
            input and answer each must reach it. null: no such condition. The stat `merge_parent_coverage` holds the
            share of every merge.
        :param max_reverse_ifd: highest reverse IFD of a merge, such as 1. The reverse IFD is the student's loss on the
            instruction with the answer before it, relative to its loss without the answer. It needs `scorer:
            response_loss` or `response_loss_api` with the measures `[ifd, reverse_ifd]`. A merge then passes if it is
            harder than its parents and its answer still determines its question (after Selective Reflection-Tuning,
            arXiv 2402.10110). null: no such condition. The stat `merge_reverse_ifd` holds the figure.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        if why := getattr(self._scorer, "no_ratio", ""):
            raise RecipeError(
                f"{self._name}: the scorer '{self.parameters['scorer']}' does not fit the gate, which compares scores "
                f"by their ratio: {why}. Use it in sample_score_filter."
            )
        measures = measures_of(self._scorer)
        if max_reverse_ifd is not None and REVERSE_IFD not in measures:
            raise RecipeError(
                f"{self._name}: max_reverse_ifd needs `scorer: response_loss` or `response_loss_api` with `measures: "
                f"[ifd, reverse_ifd]` in its scorer_params; the scorer '{self.parameters['scorer']}' measures "
                f"{', '.join(measures)}."
            )
        self.rule = GateRule(float(gamma), strict, reference, min_parent_coverage, max_reverse_ifd)  # type: ignore[arg-type]

    @property
    def compares_vectors(self) -> bool:
        """See `EmbeddingOperator`."""
        return True

    def job(self, layout: SampleFormat, only_look: bool = False) -> GateJob:
        """See `ScoreFilter`."""
        score_all = self.score_all or self.is_bounded
        return GateJob(self.reader(layout), self._scorer, self.rule, self.bounds, score_all, self.view)
