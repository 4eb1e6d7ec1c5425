"""A score, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OK", "Score"]

OK = "ok"
"""Status of a row that has a score."""


@dataclass(frozen=True)
class Score:
    """The score of one row, or the reason why there is none.

    A failed scoring is not a low score: `value` is None then, and `status` says why.

    :param value: the score; Deita-like scorers give 1 (poor) to 6 (excellent).
    :param status: `ok`, or a short reason code such as `empty_response`.
    """

    value: float | None
    status: str = OK

    @classmethod
    def missing(cls, reason: str) -> Score:
        """Return the score of a row that could not be scored, with the reason code."""
        return cls(value=None, status=reason)
