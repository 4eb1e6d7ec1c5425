"""Fitting token vectors to what another model makes of texts."""

import numpy as np
import pytest

from mergeit_ops.embedding.static.encoder import StaticEncoder
from mergeit_ops.embedding.static.fitting import fit
from tests.embedding.static.toy import WORDS, tokenizer

WIDTH = 16


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def alone():
    return unit(np.random.default_rng(0).normal(size=(len(WORDS), WIDTH)))


def texts_of(rng, count):
    return list(dict.fromkeys(" ".join(rng.choice(WORDS[1:], rng.integers(1, 7))) for _ in range(count)))


def agreement(model, texts, known):
    return float((StaticEncoder(model).encode(texts) * known).sum(axis=1).mean())


def test_unseen_texts_point_where_the_other_model_points(alone):
    """It gives a word another vector than to the word alone, and turns all of them: the fit finds both."""
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    within = alone @ turn + 0.3 * rng.normal(size=alone.shape)

    def known(texts):
        return unit(np.stack([sum(within[WORDS.index(word)] for word in text.split()) for text in texts]))

    seen, unseen = texts_of(rng, 400), texts_of(rng, 100)
    fitted = fit(tokenizer(), alone, seen, known(seen))
    assert agreement(fitted, unseen, known(unseen)) > 0.97
    assert agreement(fit(tokenizer(), alone, seen[:1], known(seen[:1])), unseen, known(unseen)) < 0.8


def test_the_order_of_two_words_is_seen_where_the_other_model_sees_it(alone):
    texts = ["a b", "b a", "c a b", "c b a", "d a b", "d b a"]
    first = np.eye(WIDTH, dtype=np.float32)
    known = first[[0, 1, 0, 1, 0, 1]]
    found = StaticEncoder(fit(tokenizer(), alone, texts, known)).encode(["a b d", "b a d"])
    assert found[0] @ first[0] > found[0] @ first[1]
    assert found[1] @ first[1] > found[1] @ first[0]


def test_the_same_texts_give_the_same_model(alone):
    rng = np.random.default_rng(2)
    texts = texts_of(rng, 200)
    known = unit(rng.normal(size=(len(texts), WIDTH)))
    assert fit(tokenizer(), alone, texts, known).name == fit(tokenizer(), alone, list(texts), known.copy()).name


@pytest.mark.parametrize("texts", [["a"], ["a", "b c d"], ["\x00"], ["z z z", "a"]])
def test_few_texts_are_enough(alone, texts):
    known = unit(np.random.default_rng(3).normal(size=(len(texts), WIDTH)))
    found = StaticEncoder(fit(tokenizer(), alone, texts, known)).encode(texts)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
