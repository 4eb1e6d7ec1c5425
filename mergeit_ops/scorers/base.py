"""What every quality scorer looks like to the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mergeit_ops.core.sample import Sample


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
