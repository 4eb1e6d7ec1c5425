"""Rows as tokens: the student's own template, and losses of what the assistant says alone."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.training.encoding import RowEncoder
from tests.tiny_models import chat_tokenizer, gpt2_folder, tokenizer

FORGETFUL = (
    "{% for m in messages %}<{{ m['role'] }}>"
    "{{ m['content'] if loop.index > loop.length - 2 else '(said before)' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""Shows the last two turns alone, as templates that leave earlier thoughts out do."""
WITH_END = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TALK = Sample("hi\nbye", "", "hello\nciao", "be kind", rounds=(Round("hi", "hello"), Round("bye", "ciao")))


def texts(tokenizer, sample, most=500):
    """Return each text with its answers in braces."""
    row = RowEncoder(tokenizer, most).encode(sample)
    shown = []
    for text in row.texts:
        written, done = "", 0
        for first, stop in text.answers:
            written += tokenizer.decode(text.tokens[done:first]) + "{" + tokenizer.decode(text.tokens[first:stop]) + "}"
            done = stop
        assert done == len(text.tokens)
        shown.append(written)
    return shown


def test_a_row_in_the_template_of_the_student():
    sample = Sample("Add them.", "1 and 2", " 3 ", "be kind")
    assert texts(chat_tokenizer(template=WITH_END), sample) == [
        "[system]be kind</s>\n[user]Add them.\n\n1 and 2</s>\n[assistant]{3</s>}"
    ]


def test_all_answers_of_a_conversation_count():
    assert texts(chat_tokenizer(template=WITH_END), TALK) == [
        "[system]be kind</s>\n[user]hi</s>\n[assistant]{hello</s>}\n[user]bye</s>\n[assistant]{ciao</s>}"
    ]


def test_where_the_template_rewrites_earlier_turns_each_answer_has_a_text():
    assert texts(chat_tokenizer(template=FORGETFUL), Sample("", "", "", rounds=TALK.rounds)) == [
        "<user>hi<assistant>{hello</s>}",
        "<user>(said before)<assistant>hello<user>bye<assistant>{ciao</s>}",
    ]


def test_without_a_template_speakers_are_headings():
    own = AutoTokenizer.from_pretrained(gpt2_folder())
    assert not RowEncoder(own, 500).has_template
    assert texts(own, Sample("hi", "", "hello")) == ["### user\nhi\n\n### assistant\n{hello<|endoftext|>}"]
    # This one puts <s> before a text by itself.
    assert RowEncoder(tokenizer("llama"), 500).encode(Sample("hi", "", "hello")).texts[0].tokens[0] == 1


def test_what_is_too_long_is_cut_and_said():
    own = chat_tokenizer(template=WITH_END)
    encoder = RowEncoder(own, 30)
    whole = encoder.encode(Sample("hi", "", "hello"))
    assert not whole.cut
    cut = encoder.encode(Sample("hi", "", "hello" * 9))
    assert cut.cut
    assert len(cut.texts[0].tokens) == 30
    assert encoder.encode(Sample("hi" * 30, "", "hello")) is None


@pytest.mark.parametrize("count", range(1, 12))
def test_the_beginning_of_a_row_has_as_many_tokens_as_are_wanted(count):
    row = RowEncoder(chat_tokenizer(template=WITH_END), 500).encode(TALK)
    assert row.answer_tokens == 11
    first = row.first(count)
    assert first.answer_tokens == count
    assert first.texts[0].tokens == row.texts[0].tokens[: len(first.texts[0].tokens)]
    assert first.texts[0].answers[-1][1] == len(first.texts[0].tokens)


def test_the_beginning_of_a_row_of_several_texts():
    row = RowEncoder(chat_tokenizer(template=FORGETFUL), 500).encode(Sample("", "", "", rounds=TALK.rounds))
    for count in range(1, row.answer_tokens + 1):
        assert row.first(count).answer_tokens == count
