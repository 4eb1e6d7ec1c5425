"""Stop a run if too many requests have failed."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.errors import TooManyFailuresError
from mergeit_ops.llm.advice import too_many_failures

__all__ = ["MIN_OUTCOMES", "check_failures"]

MIN_OUTCOMES = 20
"""Number of outcomes before the share of failures is checked."""

# Failed checks of the recipe, and requests without a call: neither means that the run goes wrong.
_NOT_JUDGED = {
    FailureReason.BUDGET,
    FailureReason.UNLIKELY,
    FailureReason.UNENCODABLE,
    FailureReason.BAD_ROW,
    FailureReason.ECHO,
    FailureReason.PARENT_LOST,
    FailureReason.ADDED_DEMAND,
}


def check_failures(
    answered: int,
    failures: Mapping[str, int],
    max_failure_ratio: float,
    *,
    at_end: bool,
    last_errors: Mapping[str, str] | None = None,
) -> None:
    """Stop the run if too large a share of all requests so far has failed.

    :param answered: requests with an answer.
    :param failures: requests without an answer, by reason code.
    :param max_failure_ratio: share of failures, 0 to 1, above which a run stops.
    :param at_end: whether this is the end. Only then are a few outcomes judged, and only if all failed.
    :param last_errors: the last error of each reason, by reason code; None if unknown.
    :raises TooManyFailuresError: if it is too large.
    """
    judged = {reason: count for reason, count in failures.items() if reason not in _NOT_JUDGED}
    failed = sum(judged.values())
    outcomes = failed + answered
    enough = outcomes >= MIN_OUTCOMES or (at_end and failed == outcomes)
    if failed and enough and failed > max_failure_ratio * outcomes:
        raise TooManyFailuresError(too_many_failures(failed, outcomes, judged, max_failure_ratio, last_errors or {}))
