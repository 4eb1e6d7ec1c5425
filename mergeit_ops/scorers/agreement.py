"""How well a distilled scorer agrees with its judge, and whether that is enough for a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mergeit_ops.core.measures.bootstrap import Interval
from mergeit_ops.core.measures.rank_correlation import spearman, spearman_interval

__all__ = ["LEAST_FOR_A_GATE", "Agreement", "agreement_of"]

LEAST_FOR_A_GATE = 0.6
"""Lowest rank correlation at which a gate may use the scorer in place of the judge.

If the two scores of three rows are jointly normal with a correlation r, both lead to the same decision at gamma 1 with
a probability of 1/2 + arcsin(r) / pi: 70 % at 0.6; chance is 50 %. For the shipped weights, r is 0.860: the formula
gives 83.0 %, and 82.9 % were measured.
"""


@dataclass(frozen=True)
class Agreement:
    """How a scorer and its judge rank rows that the scorer has not seen.

    :param rows: number of them.
    :param spearman: rank correlation of the two scores, with its 95 % interval.
    :param by_length: rank correlation of the judge's score with the length of the response alone.
    """

    rows: int
    spearman: Interval
    by_length: float

    def sentence(self) -> str:
        """Return a sentence about the agreement."""
        span = ""
        if self.spearman.low is not None and self.spearman.high is not None:
            span = f" (95 % interval {self.spearman.low:.2f} to {self.spearman.high:.2f})"
        return (
            f"On {self.rows:,} rows that it has not seen, the scorer agrees with the judge at a rank correlation of "
            f"{self.spearman.estimate:.2f}{span}; the length of the response alone has {self.by_length:.2f}."
        )

    def warning(self) -> str:
        """Return why the scorer should not be used in a gate; empty if it may."""
        if self.spearman.estimate < LEAST_FOR_A_GATE:
            return (
                f"This agreement is too low for a gate, which needs {LEAST_FOR_A_GATE}: below it, about three of ten "
                "decisions or more differ from the judge's. Ask about more rows, use a judge that gives a row the same "
                "score each time (n above 1, a clearer rubric), or use the judge itself as the scorer."
            )
        if self.spearman.low is None or self.spearman.low < LEAST_FOR_A_GATE:
            return (
                f"This agreement may be too low for a gate: the interval reaches below {LEAST_FOR_A_GATE}. More rows "
                "make it narrower."
            )
        return ""

    def figures(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "rows": self.rows,
            "spearman": _rounded(self.spearman.estimate),
            "spearman_low": _rounded(self.spearman.low),
            "spearman_high": _rounded(self.spearman.high),
            "by_length": _rounded(self.by_length),
        }


def agreement_of(
    judged: Sequence[float] | NDArray[Any], predicted: Sequence[float] | NDArray[Any], lengths: Sequence[int]
) -> Agreement:
    """Compare two scores of the same rows.

    :param judged: (n,) scores of the judge.
    :param predicted: (n,) scores of the scorer.
    :param lengths: (n,) characters of the responses.
    """
    return Agreement(len(judged), spearman_interval(judged, predicted), spearman(judged, lengths))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
