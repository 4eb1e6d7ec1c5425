"""Batches of fixed shapes: every text once, its shape by its own length alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.embedding.fixed_shapes import fixed_batches, padded_length, texts_per_batch

windows = st.one_of(st.none(), st.integers(1, 600))
budgets = st.integers(1, 3_000)


@st.composite
def texts(draw):
    window = draw(windows)
    lengths = draw(st.lists(st.integers(0, 600 if window is None else window), max_size=80))
    return lengths, window


@given(texts(), budgets)
def test_every_text_is_in_one_batch_of_its_own_shape(drawn, tokens):
    lengths, window = drawn
    batches = fixed_batches(lengths, tokens, window)
    assert sorted(i for batch in batches for i in batch.positions.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch.positions) <= batch.size == texts_per_batch(batch.length, tokens)
        for i in batch.positions:
            assert lengths[i] <= batch.length == padded_length(lengths[i], window)


@given(texts(), budgets)
def test_a_batch_with_padding_always_has_some_and_one_without_never(drawn, tokens):
    lengths, window = drawn
    for batch in fixed_batches(lengths, tokens, window):
        full = [lengths[i] == batch.length for i in batch.positions]
        if batch.padded:
            assert len(full) < batch.size or not all(full)
        elif batch.size > 1:
            assert all(full)


@given(st.integers(0, 5_000), st.integers(1, 600))
def test_a_window_is_never_exceeded_and_padding_is_little(length, window):
    assert length <= padded_length(length) <= max(8, length + 3, length * 1.25)
    assert padded_length(min(length, window), window) <= window


@given(st.integers(1, 600), budgets)
def test_a_batch_is_made_of_whole_blocks_of_rows_where_it_has_several_texts(length, tokens):
    size = texts_per_batch(length, tokens)
    assert size == 1 or (size * length <= tokens and size * length % 16 == 0)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, 8), (2, 8), (8, 8), (9, 12), (32, 32), (33, 40), (64, 64), (65, 80), (129, 160), (255, 256), (257, 320)],
)
def test_worked_examples(length, expected):
    assert padded_length(length) == expected


def test_no_texts_are_no_batches():
    assert fixed_batches([], 100) == []
