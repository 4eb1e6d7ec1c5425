"""Batches: every text once, like lengths together, no batch above its bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.embedding.batches import batches_of_like_lengths

lengths = st.lists(st.integers(0, 300), max_size=60)


@given(lengths, st.integers(1, 600), st.integers(1, 8))
def test_every_text_is_in_one_batch_and_no_batch_is_above_a_bound(lengths, most_tokens, most_texts):
    batches = batches_of_like_lengths(lengths, most_tokens=most_tokens, most_texts=most_texts)
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert len(batch) <= most_texts
        assert padded <= most_tokens or len(batch) == 1


@given(lengths, st.integers(1, 600))
def test_no_text_is_shorter_than_one_of_a_later_batch(lengths, most_tokens):
    batches = batches_of_like_lengths(lengths, most_tokens=most_tokens)
    ordered = [lengths[i] for batch in batches for i in batch.tolist()]
    assert ordered == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"most_tokens": 20}, [[3], [0, 2], [1, 4]]),
        ({"most_texts": 2}, [[3, 0], [2, 1], [4]]),
        ({}, [[3, 0, 2, 1, 4]]),
    ],
)
def test_a_worked_example(bounds, expected):
    batches = batches_of_like_lengths([10, 2, 9, 30, 1], **bounds)
    assert [batch.tolist() for batch in batches] == expected


def test_no_texts_are_no_batches():
    assert batches_of_like_lengths([], most_tokens=10) == []
    assert all(batch.dtype == np.int64 for batch in batches_of_like_lengths([1], most_tokens=10))
