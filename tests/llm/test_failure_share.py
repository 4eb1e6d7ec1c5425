"""When too many requests have failed for a run to go on."""

import pytest

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.errors import TooManyFailuresError
from mergeit_ops.llm.failure_share import MIN_OUTCOMES, check_failures

FAILED = FailureReason.API_FAILED


@pytest.mark.parametrize(
    ("answered", "failures", "ratio", "at_end"),
    [
        (0, {}, 0.0, True),
        (50, {FAILED: 50}, 0.5, False),
        (0, {FAILED: MIN_OUTCOMES - 1}, 0.5, False),
        (1, {FAILED: MIN_OUTCOMES - 2}, 0.0, True),
        (0, {FAILED: 500}, 1.0, True),
        (0, {FailureReason.ECHO: 500, FailureReason.PARENT_LOST: 500}, 0.1, True),
        (0, {FailureReason.BUDGET: 99, FailureReason.BAD_ROW: 99, FailureReason.UNENCODABLE: 99}, 0.0, True),
    ],
)
def test_a_run_goes_on(answered, failures, ratio, at_end):
    check_failures(answered, failures, ratio, at_end=at_end)


@pytest.mark.parametrize(
    ("answered", "failures", "ratio", "at_end"),
    [
        (49, {FAILED: 51}, 0.5, False),
        (0, {FAILED: MIN_OUTCOMES}, 0.5, False),
        (0, {FAILED: 1}, 0.5, True),
        (19, {FAILED: 1}, 0.0, False),
        (9, {FAILED: 6, FailureReason.UNPARSABLE: 5}, 0.5, False),
        (0, {FAILED: 1, FailureReason.ECHO: 7}, 0.9, True),
    ],
)
def test_a_run_is_stopped(answered, failures, ratio, at_end):
    with pytest.raises(TooManyFailuresError):
        check_failures(answered, failures, ratio, at_end=at_end)


def test_the_sentence_has_the_last_error():
    with pytest.raises(TooManyFailuresError, match="HTTP 500: out of order"):
        check_failures(0, {FAILED: 30}, 0.5, at_end=False, last_errors={FAILED: "HTTP 500: out of order"})
