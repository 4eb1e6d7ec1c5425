"""LIFT's expansion: a deeper request keeps its input, a broader one brings its own."""

import json

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.rewriting.expansion import Broaden, Deepen
from mergeit_ops.core.sample import Sample
from tests.core.rewriting.driven import driven

ROW = Sample("Sum up the text.", "A text.", "A sum.")


def answers(**texts):
    return lambda question: json.dumps(texts) if question.schema else "A new answer."


@pytest.mark.parametrize("method", [Deepen(), Broaden()])
def test_an_instruction_and_then_its_response(method):
    text = "Sum up the text and give your reasons."
    new, questions = driven(method.chain(ROW), answers(instruction=text, input="Other text."))
    assert (new.instruction, new.output) == (text, "A new answer.")
    assert new.input == ("A text." if method.name == "deepen" else "Other text.")
    assert questions[1].messages[1]["content"] == f"{text}\n\n{new.input}"
    assert method.problem(ROW) is None
    assert method.nodes_added == 0


def test_a_deeper_request_is_longer_and_a_broader_one_may_be_shorter():
    shorter = answers(instruction="Describe a heron.", input="")
    with pytest.raises(ReplyError, match="length"):
        driven(Deepen().chain(ROW), shorter)
    new, _ = driven(Broaden(regenerate_response=False).chain(ROW), shorter)
    assert (new.instruction, new.input, new.output) == ("Describe a heron.", "", "")
    with pytest.raises(ReplyError, match="length"):
        driven(Deepen().chain(ROW), answers(instruction="w " * 65))
    with pytest.raises(ReplyError, match="echo"):
        driven(Broaden().chain(ROW), answers(instruction=ROW.instruction, input=""))
