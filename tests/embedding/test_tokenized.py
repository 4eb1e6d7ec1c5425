"""Texts as tokens of a model, without padding."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mergeit_ops.embedding import tokenized
from mergeit_ops.embedding.fixed_shapes import FixedBatch
from mergeit_ops.embedding.tokenized import tokenize


class Model:
    """Each character is a token; texts are padded on the right, as tokenizers do."""

    prompts = {"query": "> "}
    default_prompt_name = None
    tokenizer = SimpleNamespace(padding_side="right", pad_token_id=9)

    def __init__(self, side: str = "right") -> None:
        self.tokenizer = SimpleNamespace(padding_side=side, pad_token_id=9)
        self.calls: list[int] = []

    def preprocess(self, texts, prompt=None):
        self.calls.append(len(texts))
        width = max(map(len, texts))
        ids = torch.zeros((len(texts), width), dtype=torch.long)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor([ord(character) for character in text], dtype=torch.long)
        return {"input_ids": ids, "attention_mask": (ids > 0).long(), "prompt": prompt}


TEXTS = ["abc", "", "de", "abcdef"]


def batch(positions, size, length, padded=False):
    return FixedBatch(np.array(positions), length, size, padded)


def test_lengths_stay_with_their_texts():
    found = tokenize(Model(), TEXTS)
    assert found.lengths.tolist() == [3, 0, 2, 6]


@pytest.mark.parametrize(("side", "row"), [("right", [100, 101, 9, 9]), ("left", [9, 9, 100, 101])])
def test_a_batch_is_padded_to_its_shape_on_the_side_of_the_tokenizer(side, row):
    features = tokenize(Model(side), TEXTS).features(batch([2, 0], 3, 4))
    assert features["input_ids"].tolist()[0] == row
    assert features["input_ids"].shape == features["attention_mask"].shape == (3, 4)
    # The batch is filled up with its first text.
    assert features["input_ids"].tolist()[2] == row


def test_parts_make_no_difference(monkeypatch):
    texts = [character * (1 + number % 5) for number, character in enumerate("abcdefghij")]
    whole = tokenize(Model(), texts)
    monkeypatch.setattr(tokenized, "_TEXTS_AT_ONCE", 3)
    model = Model()
    parts = tokenize(model, texts)
    assert max(model.calls) == 3
    asked = batch(list(range(10)), 10, 5)
    for name in ("input_ids", "attention_mask"):
        torch.testing.assert_close(whole.features(asked)[name], parts.features(asked)[name])


def test_the_prompt_of_the_model_goes_before_each_text():
    model = Model()
    model.default_prompt_name = "query"
    assert tokenize(model, TEXTS).features(batch([0], 1, 3))["prompt"] == "> "


def test_a_model_without_padded_tokens_is_told():
    model = Model()
    model.preprocess = lambda texts, prompt=None: {"input_ids": [1, 2]}
    assert tokenize(model, TEXTS) is None
