"""The Protocol of every scorer of rows, and the Protocols of its optional parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mergeit_ops.core.gate.comparison import Comparison
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = [
    "ComparingScorer",
    "MeasuringScorer",
    "NamedScorer",
    "PayingScorer",
    "PlanningScorer",
    "ReportingScorer",
    "RowScorer",
]


class RowScorer(Protocol):
    """Scores rows; built once per operator from `scorer_params`, asked in batches."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows.

        :param samples: n rows.
        :return: n scores, in the order of the rows. A row that cannot be scored gets `Score.missing`, never an invented
            number. Raise an exception only if no row of any batch can be scored.
        """
        ...


@runtime_checkable
class NamedScorer(RowScorer, Protocol):
    """A scorer that names its measures and says what makes them."""

    measures: Mapping[str, str]
    """Maps the name of each measure to the key of its stat. `score` returns the first measure."""

    def identity(self) -> Mapping[str, Any]:
        """Return everything except the row that affects a score (models, prompts, parameters) as plain data."""
        ...


# A recipe says whether scorers read answers alone or with their reasoning traces. A scorer may have these attributes.
# `reads`: it needs another view of a row, either `parts` (traces and answers, separated) or `tool_use` (tools and
# calls). `no_ratio`: the reason why its scores cannot be compared by their ratio; the gate refuses such a scorer.
# `scale`: its lowest and highest score; infinity means no limit. `reads_source`: if true, `sample_score_filter` also
# passes the text from which each row was made.


@runtime_checkable
class MeasuringScorer(NamedScorer, Protocol):
    """A scorer with several measures."""

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows by every measure.

        :param samples: n rows.
        :return: n tuples with a score for each of `measures`.
        """
        ...


@runtime_checkable
class ComparingScorer(RowScorer, Protocol):
    """A scorer that needs to know which decisions its scores are for."""

    def score_comparisons(self, comparisons: Sequence[Comparison]) -> list[list[Score]]:
        """Score the rows of some decisions.

        :param comparisons: n of them.
        :return: for each comparison, the scores of its samples, in order and on one scale. The same row may have
            different scores in different comparisons.
        """
        ...


@runtime_checkable
class ReportingScorer(RowScorer, Protocol):
    """A scorer whose work costs something, or may have to stop."""

    def finish(self) -> None:
        """Finish the work after the last row.

        :raises MergeItError: if the work as a whole has failed.
        """
        ...

    def figures(self) -> Mapping[str, Any]:
        """Return what the work has cost so far, for the log and the manifest: plain data, without secrets."""
        ...


@runtime_checkable
class PayingScorer(Protocol):
    """A scorer that asks language models, whose token budget several processes may share."""

    def engines(self) -> Sequence[LLMEngine]:
        """Return the engines that share the budget, in the same order in every copy of the scorer."""
        ...


@runtime_checkable
class PlanningScorer(PayingScorer, Protocol):
    """A scorer that can tell what its work would cost."""

    def plan(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """Return what `score` would ask for, without a call and without a key; see `LLMEngine.plan`.

        :param samples: n rows.
        """
        ...
