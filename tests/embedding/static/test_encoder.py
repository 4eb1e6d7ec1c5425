"""Adding up the vectors of tokens."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mergeit_ops.embedding.static.encoder import WINDOW_CHARACTERS, StaticEncoder, cut
from mergeit_ops.embedding.windows import embed_texts
from tests.embedding.static.toy import WORDS, model

VECTORS = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 2, 0], [-1, 0, 0], [0, 0, 3]]
TOY = StaticEncoder(model(VECTORS, (("a", "b"),)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [1, 0, 0]),
        ("c", [0, 1, 0]),
        ("b a", [0.5**0.5, 0.5**0.5, 0]),
        ("a b", [1, 1, 3]),
        ("a a a a c", [2, 2, 0]),
    ],
)
def test_a_text_points_where_the_sum_of_its_vectors_does(text, expected):
    (vector,) = TOY.encode([text])
    assert vector == pytest.approx(np.array(expected) / np.linalg.norm(expected), abs=1e-6)


def test_every_text_has_a_direction():
    """Also one without tokens, and one whose vectors cancel out."""
    vectors = TOY.encode(["", "a d", "a"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert TOY.encode([]).shape == (0, 3)


@pytest.fixture(scope="module")
def random_model():
    rng = np.random.default_rng(0)
    return StaticEncoder(model(rng.normal(size=(len(WORDS), 384))))


def test_a_text_has_the_same_bits_whatever_stands_beside_it(random_model):
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 300))) for _ in range(5_000)]
    together = random_model.encode(texts)
    order = rng.permutation(len(texts))
    np.testing.assert_array_equal(random_model.encode([texts[row] for row in order]), together[order])
    some = order[:200].tolist()
    np.testing.assert_array_equal(np.concatenate([random_model.encode([texts[row]]) for row in some]), together[some])
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(random_model.encode, [texts[start : start + 1_250] for start in range(0, 5_000, 1_250)]))
    np.testing.assert_array_equal(np.concatenate(parts), together)


def test_a_long_text_is_read_window_by_window_and_a_huge_one_in_part():
    """The first window says "a", the second "b"."""
    text = " ".join(["a"] * (WINDOW_CHARACTERS // 2) + ["c"] * (WINDOW_CHARACTERS // 2))
    first = embed_texts(TOY, [text], None, "first")
    mean = embed_texts(TOY, [text], None, "mean")
    assert first.longer == mean.longer == 1
    assert first.vectors[0] == pytest.approx([1, 0, 0])
    assert mean.vectors[0] == pytest.approx([0.5**0.5, 0.5**0.5, 0], abs=0.01)
    assert embed_texts(TOY, ["a " * 10_000_000], None, "mean").vectors[0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("text", ["", "x" * WINDOW_CHARACTERS, "x" * 5_000, "word " * 1_000, " " * 3_000])
def test_windows_hold_the_whole_text_in_order(text):
    parts = cut(text)
    assert "".join([parts[0].text[: parts[0].tokens] if text else "", *(part.text for part in parts[1:])]) == text
    assert all(len(part.text) <= WINDOW_CHARACTERS for part in parts[1:])
    assert parts[0].text == text


def test_windows_end_at_blanks():
    assert [part.tokens for part in cut("word " * 300)] == [1_019, 481]
