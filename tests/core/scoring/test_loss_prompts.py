"""What stands before a text whose loss is measured."""

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.loss_prompts import LOSS_PROMPTS, LossPrompt, question_text

ROW = Sample("Do.", "this", "Done.")
BARE = Sample("Do.", "", "Done.")


def test_the_plain_prompt_is_instruction_and_input_on_lines_of_their_own():
    plain = LOSS_PROMPTS["plain"]
    assert (plain.before_response(BARE), plain.before_response(ROW), plain.alone) == ("Do.\n", "Do.\nthis\n", "")
    assert (question_text(BARE), question_text(ROW)) == ("Do.", "Do.\nthis")


@pytest.mark.parametrize("name", list(LOSS_PROMPTS))
def test_every_prompt_holds_what_the_row_says_and_the_response_only_backwards(name):
    prompt = LOSS_PROMPTS[name]
    assert all(text in prompt.before_response(ROW) for text in ("Do.", "this"))
    assert "Done." not in prompt.before_response(ROW)
    assert "Done." in prompt.before_question(ROW)
    assert "Do." not in prompt.before_question(ROW)
    assert prompt.before_response(ROW).endswith(prompt.alone)


def test_braces_in_a_row_are_text():
    row = Sample("{input} {response}", "{instruction}", "out")
    assert LOSS_PROMPTS["plain"].before_response(row) == "{input} {response}\n{instruction}\n"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"without_input": "{instruction}"}, "needs the field 'with_input'"),
        ({"without_input": "x", "with_input": "{instruction}"}, "needs the field 'without_input'"),
        ({"before": "{instruction}"}, "has no field 'before'"),
    ],
)
def test_a_prompt_of_ones_own_that_cannot_be_used_is_a_sentence(texts, words):
    with pytest.raises(ValueError, match=words):
        LossPrompt.of(texts)
