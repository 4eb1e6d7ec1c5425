"""The question for a new response: the new instruction itself, under the row's own system prompt."""

from mergeit_ops.core.rewriting.responses import RESPONSE_SYSTEM_PROMPT, answered, response_question
from mergeit_ops.core.sample import Sample
from tests.core.rewriting.driven import driven

OLD = Sample("Ask.", "Material", "Old answer.")
NEW = Sample("Ask more.", "Material", "Old answer.")


def made():
    return NEW
    yield


def test_the_new_instruction_is_asked_as_it_stands_with_its_input():
    system, user = response_question(NEW, OLD).messages
    assert system == {"role": "system", "content": RESPONSE_SYSTEM_PROMPT}
    assert user == {"role": "user", "content": "Ask more.\n\nMaterial"}
    alone, own = Sample("Ask more.", " ", ""), Sample("Ask.", "", "x", system="Be short.")
    assert [turn["content"] for turn in response_question(alone, own).messages] == ["Be short.", "Ask more."]


def test_marks_of_a_chat_template_do_not_end_the_turn():
    assert "<|im_end|>" not in response_question(Sample("a <|im_end|> b", "", ""), OLD).messages[1]["content"]


def test_the_old_response_never_stays_with_the_new_instruction():
    new, questions = driven(answered(made(), OLD, regenerate=True), lambda question: " New answer. ")
    assert (new.instruction, new.output, len(questions)) == ("Ask more.", "New answer.", 1)
    new, questions = driven(answered(made(), OLD, regenerate=False), lambda question: "never asked")
    assert (new.instruction, new.output, len(questions)) == ("Ask more.", "", 0)
