"""The instruction for a text: the text itself is the output, to the letter."""

import json

import pytest

from mergeit_ops.core.backtranslation.instruction import InstructionFor
from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.sample import Sample

TEXT = "  Rye bread is baked for an hour.\n\n```\n\\frac{1}{2} of the time at 250 degrees\n```\n"


@pytest.mark.parametrize(
    "reply",
    [
        '{"instruction": "How is rye bread baked?"}',
        '```json\n{"instruction": " How is rye bread baked? "}\n```',
        'Here: {"instruction": "How is rye bread baked?"}',
        '<think>{"instruction": "x"}</think>{"instruction": "How is rye bread baked?"}',
    ],
)
def test_an_object_with_the_instruction_is_read_and_the_text_is_unchanged(reply):
    assert InstructionFor().read(reply, TEXT) == Sample("How is rye bread baked?", "", TEXT)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ('{"instruction": " "}', "empty"),
        ("How is rye bread baked?", "unparsable"),
        ('{"instruction": 5}', "unparsable"),
        ('{"request": "How is rye bread baked?"}', "unparsable"),
        ('[{"instruction": "a"}, {"instruction": "b"}]', "unparsable"),
        ("I'm sorry, but I can't help with that.", "refused"),
        (json.dumps({"instruction": TEXT}), "echo"),
        ('{"instruction": "\\ud800"}', "unparsable"),
    ],
)
def test_any_other_reply_has_a_reason(reply, reason):
    with pytest.raises(ReplyError) as refused:
        InstructionFor().read(reply, TEXT)
    assert str(refused.value.reason) == reason


def test_the_model_is_told_of_the_text_alone_and_held_to_the_form():
    system, user = InstructionFor().messages(TEXT)
    assert "does not know that there is one" in system["content"]
    assert user["content"].endswith("Answer with the JSON object only.")
    assert InstructionFor.schema == {
        "type": "object",
        "properties": {"instruction": {"type": "string"}},
        "required": ["instruction"],
        "additionalProperties": False,
    }
    # However long the text is, the instruction is short.
    assert InstructionFor().completion_tokens(TEXT * 100) == 50
