"""What every scorer of rows has, and what it may offer beside."""

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
        :return: n scores, in the order of the rows. A row that cannot be scored gets `Score.missing`,
            never an invented number; an exception means that no row of any batch could be scored.
        """
        ...


@runtime_checkable
class NamedScorer(RowScorer, Protocol):
    """A scorer that names its measures and says what makes them."""

    measures: Mapping[str, str]
    """Name of each measure to the key of its stat; `score` gives the first."""

    def identity(self) -> Mapping[str, Any]:
        """Return all that changes a score apart from the row: models, prompts, parameters; plain data."""
        ...


# A recipe says whether scorers read answers alone or with their reasoning traces. A scorer that needs another view of
# a row names it in an attribute `reads`: `parts` for traces and answers told apart, `tool_use` for tools and calls.
# A scorer whose scores cannot be compared by their ratio says why in an attribute `no_ratio`; the gate refuses it.
# One that knows its lowest and its highest score gives them as an attribute `scale`; infinity: there is none.
# One with a true attribute `reads_source` is given the text that each row was made of, by `sample_score_filter`.


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
    """A scorer that wants to know what its scores are for."""

    def score_comparisons(self, comparisons: Sequence[Comparison]) -> list[list[Score]]:
        """Score the rows of some decisions.

        :param comparisons: n of them.
        :return: for each, the scores of its samples, in their order and all on one scale. The same row may have
            different scores in different comparisons.
        """
        ...


@runtime_checkable
class ReportingScorer(RowScorer, Protocol):
    """A scorer whose work costs something, or may have to stop."""

    def finish(self) -> None:
        """Hear that there are no more rows.

        :raises MergeItError: when the work as a whole has failed.
        """
        ...

    def figures(self) -> Mapping[str, Any]:
        """Return what the work has cost so far, for the log and the manifest: plain data, without secrets."""
        ...


@runtime_checkable
class PayingScorer(Protocol):
    """A scorer that asks language models, whose token budget several processes may share."""

    def engines(self) -> Sequence[LLMEngine]:
        """Return the engines that use them, in the same order in every copy of the scorer."""
        ...


@runtime_checkable
class PlanningScorer(PayingScorer, Protocol):
    """A scorer that can tell what its work would cost."""

    def plan(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """Tell what `score` would ask for, without a call and without a key; see `LLMEngine.plan`.

        :param samples: n rows.
        """
        ...
