"""What every quality scorer looks like to the gate, and what it may offer beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mergeit_ops.core.gate.comparison import Comparison
from mergeit_ops.core.sample import Sample

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["ComparingScorer", "PayingScorer", "ReportingScorer", "Score", "Scorer"]


@dataclass(frozen=True)
class Score:
    """The quality of one row, or the reason why there is none.

    A failed scoring is not a low score: `value` is then None and `status` says why.

    :param value: the score; Deita-like scorers give 1 (poor) to 6 (excellent).
    :param status: `ok`, or a short reason code such as `empty_response`.
    """

    value: float | None
    status: str = "ok"

    @classmethod
    def missing(cls, reason: str) -> Score:
        """Return the score of a row that could not be scored, with the reason code."""
        return cls(value=None, status=reason)


class Scorer(Protocol):
    """Scores rows; built once per operator from `scorer_params`, asked in batches."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows.

        :param samples: n rows.
        :return: n scores, in the order of the rows. A row that cannot be scored gets `Score.missing`,
            never an invented number; an exception means that no row of any batch could be scored.
        """
        ...


@runtime_checkable
class ComparingScorer(Scorer, Protocol):
    """A scorer that wants to know what its scores are for."""

    def score_comparisons(self, comparisons: Sequence[Comparison]) -> list[list[Score]]:
        """Score the rows of some decisions.

        :param comparisons: n of them.
        :return: for each, the scores of its samples, in their order and all on one scale. The same row may have
            different scores in different comparisons.
        """
        ...


@runtime_checkable
class ReportingScorer(Scorer, Protocol):
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
