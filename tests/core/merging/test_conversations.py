"""How a model is asked for a merge and how its answer is read, by strategy and style."""

import json

import pytest

from mergeit_ops.core.merging.conversations import CONVERSATIONS, WholeRecord
from mergeit_ops.core.merging.prompts import PROMPT_STYLES
from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.sample import Sample

EVERY = pytest.mark.parametrize(
    ("strategy", "style"), [(strategy, style) for strategy in CONVERSATIONS for style in PROMPT_STYLES]
)
PARENTS = (
    Sample("Name a fish that lives in rivers.", "", "The pike lives in rivers and lakes."),
    Sample("Translate the word into French.", "river", "rivière"),
)
MERGED = Sample(
    "Name a fish that lives in rivers, and translate the word into French.",
    "river",
    "The pike lives in rivers and lakes. The word is rivière.",
)


@EVERY
def test_an_answer_as_the_worked_examples_show_it_is_read_as_its_merge(strategy, style):
    conversation = CONVERSATIONS[strategy][style]
    read = conversation.read(conversation.answer(MERGED), PARENTS)
    assert (read.instruction, read.input) == (MERGED.instruction, MERGED.input)
    if strategy == "llm":
        assert read == MERGED


@EVERY
def test_the_prompt_of_the_recipe_takes_the_place_of_ours(strategy, style):
    conversation = CONVERSATIONS[strategy][style]
    ours, theirs = conversation.messages(PARENTS), conversation.messages(PARENTS, "Be brief.")
    assert ours[0]["content"] == conversation.system_prompt
    assert theirs[0] == {"role": "system", "content": "Be brief."}
    assert theirs[1:] == ours[1:]
    assert all(parent.instruction in ours[-1]["content"] for parent in PARENTS)


@EVERY
def test_the_expected_answer_is_about_as_long_as_the_real_one(strategy, style):
    conversation = CONVERSATIONS[strategy][style]
    ratio = len(conversation.expected_answer(PARENTS)) / len(conversation.answer(MERGED))
    assert 0.5 < ratio < 3


@EVERY
def test_what_is_no_answer_is_refused(strategy, style):
    for text in ("", "no json", "{}", json.dumps({"instruction": ""})):
        with pytest.raises(ReplyError):
            CONVERSATIONS[strategy][style].read(text, PARENTS)


def test_only_the_short_style_has_the_short_prompt():
    prompts = {style: WholeRecord(style).system_prompt for style in PROMPT_STYLES}
    assert len(set(prompts.values())) == 2
    assert len(prompts["short"]) < len(prompts["worked"])
