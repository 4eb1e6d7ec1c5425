"""Conversations as text, by chat templates of the kinds that published models have."""

from __future__ import annotations

import pytest

from mergeit_ops.core.merging.prompts import build_messages
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.chat_prompt import chat_prompt, end_of_turn, without_thoughts
from tests.tiny_models import PLAIN_TEMPLATE, chat_tokenizer

pytest.importorskip("transformers")

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
]
TURNS = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] | trim }}<end>{% endfor %}"
GEMMA = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
ALTERNATES = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
WITHOUT_SYSTEM = "{% for m in messages %}{% if m['role'] != 'system' %}<{{ m['role'] }}>{{ m['content'] }}{% endif %}"
THINKS = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
FOLDED = "<user>Be brief.\n\none<assistant>two<user>three"


def prompt(template: str | None, messages=CHAT, **variables) -> str:
    return chat_prompt(chat_tokenizer(template=template), messages, variables)


def test_the_turns_go_through_the_template_in_their_order():
    assert prompt(PLAIN_TEMPLATE) == "<system>Be brief.<user>one<assistant>two<user>three<assistant>"


@pytest.mark.parametrize("template", [GEMMA + PLAIN_TEMPLATE, ALTERNATES + PLAIN_TEMPLATE])
def test_a_template_that_refuses_a_system_turn_gets_it_with_the_first_question(template):
    assert prompt(template) == f"{FOLDED}<assistant>"


def test_a_template_that_leaves_the_system_turn_out_gets_it_with_the_first_question():
    assert prompt(WITHOUT_SYSTEM + "{% endfor %}") == FOLDED


def test_without_a_template_the_roles_are_headings():
    assert prompt(None, CHAT[:2]) == "### system\nBe brief.\n\n### user\none\n\n### assistant\n"


def test_the_conversation_of_a_merge_is_whole_under_each():
    messages = build_messages([Sample("a", "", "b"), Sample("c", "d", "e")])
    for template in (PLAIN_TEMPLATE, GEMMA + TURNS, ALTERNATES + TURNS, None):
        text = prompt(template, messages)
        places = [text.index(turn["content"].strip()) for turn in messages]
        assert places == sorted(places)


def test_models_that_think_are_told_not_to_unless_the_recipe_wants_it():
    assert prompt(PLAIN_TEMPLATE + THINKS).endswith("<think></think>")
    assert not prompt(PLAIN_TEMPLATE + THINKS, enable_thinking=True).endswith("</think>")


def test_a_template_that_takes_nothing_is_one_sentence():
    with pytest.raises(LLMUnavailableError, match=r"chat template of the model fails.*not today"):
        prompt("{{ raise_exception('not today') }}")


def test_the_end_of_an_answer_is_read_off_the_template():
    tokenizer = chat_tokenizer(["<end>"], TURNS)
    assert end_of_turn(tokenizer) == tokenizer.get_vocab()["<end>"]
    assert end_of_turn(chat_tokenizer([], TURNS)) is None
    assert end_of_turn(chat_tokenizer(template=None)) is None
    assert end_of_turn(chat_tokenizer(template="{{ raise_exception('no') }}")) is None


@pytest.mark.parametrize(
    ("asked", "written", "answer"),
    [
        ("<assistant>", "<think>\nhm {}\n</think>\n\n{}", "{}"),
        ("<assistant><think>\n", "hm </think> {}", "{}"),
        ("<assistant>", '{"output": "ends with </think>"}', '{"output": "ends with </think>"}'),
        ("<assistant>", "<think> for ever", "<think> for ever"),
        ("<assistant>", "{}", "{}"),
    ],
)
def test_thoughts_that_an_answer_opens_with_are_no_part_of_it(asked, written, answer):
    assert without_thoughts(asked, written) == answer
