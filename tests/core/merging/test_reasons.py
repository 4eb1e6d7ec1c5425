"""Every reason why there is no merge is told in words, with what helps."""

from typing import get_args

import pytest

from mergeit_ops.core.gate.rule import RejectReason
from mergeit_ops.core.merging.reasons import REASONS, remedy
from mergeit_ops.core.merging.replies import FailureReason

OF_OTHERS = {"no_logprobs", "digits_missing", "bad_row", "unencodable", "length", "language", "new_url", "procedure"}


@pytest.mark.parametrize(
    "reason", [*get_args(RejectReason), *sorted({str(reason) for reason in FailureReason} - OF_OTHERS)]
)
def test_a_reason_has_words_and_a_remedy_of_its_own(reason):
    assert REASONS[reason]
    assert remedy(reason) != remedy("something else")


def test_every_reason_in_an_export_has_words():
    of_scores = {FailureReason.NO_LOGPROBS, FailureReason.DIGITS_MISSING}
    assert {str(reason) for reason in set(FailureReason) - of_scores} <= set(REASONS)
