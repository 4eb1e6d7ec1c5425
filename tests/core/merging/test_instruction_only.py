"""Merging by joining: the model writes the instruction, the rest is put together."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.instruction_only import INSTRUCTION_SYSTEM_PROMPT, InstructionOnly, joined
from mergeit_ops.core.merging.prompts import PROMPT_STYLES, WORKED_EXAMPLES
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.sample import Sample

TRANSLATE = Sample("Translate the sentence.", "The sun is a star.", "Le soleil est une étoile.")
VERB = Sample("Which word is the verb?", "The river floods the valley.", "floods")
WHY = Sample("Why is the sky blue?", "", "Air scatters blue light most.")
ASK = InstructionOnly()


def told(instruction: str) -> str:
    return json.dumps({"instruction": instruction})


def test_several_inputs_and_their_answers_stand_under_the_same_letters():
    merged = ASK.read(told("Translate A. Which word of B is the verb?"), [TRANSLATE, VERB])
    assert merged == Sample(
        "Translate A. Which word of B is the verb?",
        "A: The sun is a star.\n\nB: The river floods the valley.",
        "A: Le soleil est une étoile.\n\nB: floods",
    )


def test_one_input_needs_no_letter():
    merged = ASK.read(told("Translate the sentence, and why is the sky blue?"), [TRANSLATE, WHY])
    assert merged.input == TRANSLATE.input
    assert merged.output == f"{TRANSLATE.output}\n\n{WHY.output}"


def test_an_input_that_all_share_is_given_once():
    summary = Sample("Summarise it.", TRANSLATE.input, "Stars.")
    merged = ASK.read(told("Translate and summarise it."), [TRANSLATE, summary])
    assert merged.input == TRANSLATE.input
    assert "A:" not in merged.output


def test_the_system_prompt_that_all_share_is_kept():
    parents = [Sample("a", "", "b", system="Be brief."), Sample("c", "", "d", system="Be brief.")]
    assert ASK.read(told("a and c"), parents).system == "Be brief."


def test_the_model_sees_instructions_and_letters_and_no_text_that_it_need_not_read():
    request = ASK.messages([TRANSLATE, VERB])[-1]["content"]
    records = json.loads(re.search(r"<records>\s*(\[.*\])\s*</records>", request, re.DOTALL)[1])
    assert records == [
        {"instruction": "Translate the sentence.", "input": "A"},
        {"instruction": "Which word is the verb?", "input": "B"},
    ]
    assert TRANSLATE.output not in request
    assert '"input"' not in ASK.messages([TRANSLATE, WHY])[-1]["content"]
    assert ASK.messages([TRANSLATE, VERB], "Join.")[0]["content"] == "Join."
    assert ASK.messages([TRANSLATE, VERB])[0]["content"] == INSTRUCTION_SYSTEM_PROMPT


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (told("  "), "empty"),
        ("I cannot help with that.", "refused"),
        ("Translate it.", "unparsable"),
        (json.dumps({"instruction": 7}), "unparsable"),
        (json.dumps({"other": "x"}), "unparsable"),
        (r'{"instruction": "\ud800"}', "unparsable"),
        (told("Which  word is the verb?"), "echo"),
        (told(WORKED_EXAMPLES[0][1].instruction), "echo"),
    ],
)
def test_answers_that_cannot_be_used_have_a_reason(text, reason):
    with pytest.raises(ReplyError) as caught:
        ASK.read(text, [TRANSLATE, VERB])
    assert caught.value.reason == FailureReason(reason)


@pytest.mark.parametrize("around", ["```json\n{}\n```", "Here: {}", "<think>Hm.</think>{}"])
def test_fenced_and_embedded_answers_are_read(around):
    text = around.replace("{}", told("Do A and B."))
    assert ASK.read(text, [TRANSLATE, VERB]).instruction == "Do A and B."


def test_parents_with_the_same_instruction_may_keep_it():
    other = Sample(TRANSLATE.instruction, "It rains.", "Il pleut.")
    assert ASK.read(told(TRANSLATE.instruction), [TRANSLATE, other]).output.startswith("A: Le soleil")


def test_a_demand_that_is_lost_is_found():
    checks = MergeChecks(min_parent_kept=0.5)
    parents = [TRANSLATE, WHY]
    checks.check(ASK.read(told("Translate the sentence. Why is the sky blue?"), parents), parents)
    with pytest.raises(ReplyError) as caught:
        checks.check(ASK.read(told("Translate the sentence into French, please."), parents), parents)
    assert caught.value.reason is FailureReason.PARENT_LOST
    assert "record 2: what it asks is not in `instruction`" in caught.value.correction


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20).map(str.strip).filter(bool)
ROWS = st.builds(Sample, TEXTS, st.one_of(st.just(""), TEXTS), TEXTS)


@given(st.lists(ROWS, min_size=2, max_size=4))
def test_no_input_and_no_answer_is_ever_lost(parents):
    merged = joined("x", parents)
    for parent in parents:
        assert parent.input in merged.input
        assert parent.output in merged.output


@pytest.mark.parametrize("style", PROMPT_STYLES)
@pytest.mark.parametrize("strategy", list(CONVERSATIONS))
def test_every_conversation_reads_its_own_answer(strategy, style):
    conversation = CONVERSATIONS[strategy][style]
    rows, example = WORKED_EXAMPLES[1]
    merged = joined(f"{example.instruction} Thank you.", rows)
    assert conversation.read(conversation.answer(merged), rows) == merged
    messages = conversation.messages(rows)
    examples = ["user", "assistant", "user", "assistant"] if style == "worked" else []
    assert [turn["role"] for turn in messages] == ["system", *examples, "user"]
    assert messages[0]["content"] == conversation.system_prompt
    for turn in messages:
        if turn["role"] == "assistant":
            assert set(conversation.schema["required"]) <= set(json.loads(turn["content"]))
    assert all(f'"{key}"' in conversation.system_prompt for key in conversation.schema["required"])
    assert conversation.expected_answer(rows)


@pytest.mark.parametrize("strategy", list(CONVERSATIONS))
def test_a_short_prompt_asks_the_same_of_the_same_rows_in_a_third_of_the_words(strategy):
    rows, _ = WORKED_EXAMPLES[1]
    worked, short = (CONVERSATIONS[strategy][style].messages(rows) for style in PROMPT_STYLES)
    assert worked[-1] == short[-1]
    words = [sum(len(turn["content"].split()) for turn in messages) for messages in (worked, short)]
    assert words[1] < words[0] / 2
    assert "never an order" in short[0]["content"]
