"""Spoiled answers are spoiled in the way that their kind says."""

import random
from collections import Counter

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers.corruption import KINDS, MARGINS, UNSEEN_PADDING, pad_output, spoil_rows
from mergeit_ops.scorers.padding_sentences import HELD_OUT_FILLER, TRAINING_FILLER

ROWS = [
    Sample(f"Question {number}?", f"input {number}", f"Alpha{number} begins here. Beta{number} follows it.")
    for number in range(20)
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_question_stays_and_the_same_seed_gives_the_same_copies(kind):
    copies = spoil_rows(ROWS, kind, 10, random.Random(1))
    assert copies == spoil_rows(ROWS, kind, 10, random.Random(1))
    for source, copy in zip(copies.sources, copies.samples, strict=True):
        assert (copy.instruction, copy.input) == (ROWS[source].instruction, ROWS[source].input)


def test_each_kind_spoils_as_it_says():
    def answers(kind):
        copies = spoil_rows(ROWS, kind, 20, random.Random(2))
        pairs = zip(copies.sources, copies.donors, copies.samples, strict=True)
        return [(ROWS[source].output, ROWS[donor].output, copy.output) for source, donor, copy in pairs]

    for own, _, spoiled in answers("repeated"):
        assert spoiled.count(own) >= 2
    for own, _, spoiled in answers("shuffled"):
        assert Counter(spoiled.split()) == Counter(own.split())
    for own, other, spoiled in answers("swapped"):
        assert spoiled == other != own
    for own, other, spoiled in answers("stuffed"):
        assert all(word in spoiled for word in own.split())
        assert other.split()[0] in spoiled or other.split()[3] in spoiled
    for own, _, spoiled in answers("padded"):
        assert all(word in spoiled for word in own.split())
        assert any(sentence in spoiled for sentence in TRAINING_FILLER)


def test_unseen_padding_is_never_trained_on():
    assert UNSEEN_PADDING not in MARGINS
    assert not set(TRAINING_FILLER) & set(HELD_OUT_FILLER)
    copies = spoil_rows(ROWS, UNSEEN_PADDING, 20, random.Random(2)).samples
    assert not any(sentence in copy.output for copy in copies for sentence in TRAINING_FILLER)


def test_padding_never_breaks_a_block_of_code():
    code = "Run this:\n```\nx = 1\ny = 2\n```\nDone."
    assert all(code in pad_output(code, ["Good luck!", "Enjoy."], random.Random(seed)) for seed in range(30))


@pytest.mark.parametrize("output", ["", " ", "One.", "Zwei Sätze. Hier.", "a\nb\nc"])
def test_an_answer_of_any_form_can_be_padded_and_keeps_its_words(output):
    for seed in range(40):
        padded = pad_output(output, ["Good luck!"], random.Random(seed))
        assert "Good luck!" in padded
        assert not Counter(output.split()) - Counter(padded.split())


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_and_one_row_can_be_spoiled(kind):
    assert spoil_rows([], kind, 0, random.Random(0)).samples == []
    (copy,) = spoil_rows([Sample("q", "", "One answer.")], kind, 1, random.Random(0)).samples
    assert copy.instruction == "q"
