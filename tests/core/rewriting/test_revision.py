"""A revision writes instruction and response at once; a row that comes back as it was stays so."""

import json

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.rewriting.revision import Revise
from mergeit_ops.core.sample import Sample
from tests.core.rewriting.driven import driven

ROW = Sample("Sum up teh text. ", "A text.", "A sum.", system="Be short.")


def revised(instruction, output):
    return driven(Revise().chain(ROW), lambda question: json.dumps({"instruction": instruction, "output": output}))


def test_both_texts_are_revised_in_one_call():
    new, (question,) = revised("Sum up the text.", "A better sum.")
    assert new == Sample("Sum up the text.", "A text.", "A better sum.", system="Be short.")
    shown = question.messages[1]["content"]
    assert all(text in shown for text in ("Be short.", "A text.", "A sum."))
    assert Revise().problem(ROW) is None
    assert Revise().nodes_added == 0


def test_a_row_that_is_good_already_stays_to_the_letter():
    assert revised(ROW.instruction.strip(), ROW.output)[0] == ROW


@pytest.mark.parametrize(
    ("instruction", "output", "reason"),
    [
        ("", "A better sum.", "empty"),
        ("Sum up the text.", " ", "empty"),
        ("Sum up the text.", "I'm sorry, but I cannot help with that.", "refused"),
        ("Sum up the text.", "总结一下。", "language"),
        ("Sum up the text.", "See https://example.org.", "new_url"),
        ("Sum up the text.", "This is the revised prompt: a sum.", "procedure"),
    ],
)
def test_a_revision_that_breaks_a_rule_is_refused(instruction, output, reason):
    with pytest.raises(ReplyError, match=reason):
        revised(instruction, output)
