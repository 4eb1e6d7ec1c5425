"""Vectors that rows bring, and colours of neighbouring topics."""

import numpy as np
import pytest

from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.report.space import COLOURS, compare, embed, map_colours
from mergeit_ops.report.survey import Point, Sketch, text_key

X = np.eye(4, dtype=np.float32)


def encode(texts):
    return np.array([X[int(text)] for text in texts])


def brought(rows):
    return [Point(str(row), text) for row, text in zip(rows, encode_vectors(X[rows]), strict=True)]


def test_vectors_that_all_rows_bring_are_used():
    sets = [brought([0, 2]), brought([1]), [], brought([2, 3]), brought([1, 3])]
    found, embedded = embed(sets, lambda texts: pytest.fail("embedded again"))
    for vectors, rows in zip(found, ([0, 2], [1], [], [2, 3], [1, 3]), strict=True):
        np.testing.assert_array_equal(vectors, X[rows])
    assert embedded == 0
    (alone,), embedded = embed([brought([0, 2])], lambda texts: pytest.fail("embedded again"))
    np.testing.assert_array_equal(alone, X[[0, 2]])


def test_where_sets_share_no_text_the_model_is_asked():
    asked = []
    (first, second), embedded = embed(
        [brought([0, 2]), brought([1])], lambda texts: asked.extend(texts) or encode(texts)
    )
    np.testing.assert_array_equal(first, X[[0, 2]])
    np.testing.assert_array_equal(second, X[[1]])
    assert (embedded, asked) == (0, ["0", "2", "1"])


@pytest.mark.parametrize("shared", [[], [0]])
def test_of_two_sets_the_one_of_another_model_is_embedded_again(shared):
    others = [1, *shared]
    other_model = [Point(str(row), text) for row, text in zip(others, encode_vectors(X[::-1][others]), strict=True)]
    (first, second), embedded = embed([brought([0, 2]), other_model], encode)
    np.testing.assert_array_equal(first, X[[0, 2]])
    np.testing.assert_array_equal(second, X[others])
    assert embedded == len(others)


def test_each_set_is_probed_whatever_their_sizes():
    many = [Point(str(number % 4), text) for number, text in enumerate(encode_vectors(X[[0, 1, 2, 3] * 50]))]
    (text,) = encode_vectors(X[[2]])
    found, embedded = embed([many, [Point("3", text)], [Point("1")]], encode)
    np.testing.assert_array_equal(found[1], X[[3]])
    assert embedded == 2


def test_vectors_that_some_rows_bring_are_used_where_the_model_gives_the_same():
    asked = []

    def listening(texts):
        asked.append(list(texts))
        return encode(texts)

    (found,), embedded = embed([[*brought([0, 2]), Point("3")]], listening)
    np.testing.assert_array_equal(found, X[[0, 2, 3]])
    assert embedded == 1
    assert asked[-1] == ["3"]


@pytest.mark.parametrize("vectors", [np.roll(X, 1, axis=0)[:2], np.eye(2, dtype=np.float32)])
def test_vectors_of_another_model_are_not_mixed_with_its_own(vectors):
    others = [Point(str(row), text) for row, text in enumerate(encode_vectors(vectors))]
    (first, second), embedded = embed([others, [Point("3")]], encode)
    np.testing.assert_array_equal(first, X[:2])
    np.testing.assert_array_equal(second, X[[3]])
    assert embedded == 3


def test_vectors_that_cannot_be_read_are_made_again():
    (found,), embedded = embed([[*brought([0]), Point("3", "?")]], encode)
    np.testing.assert_array_equal(found, X[[0, 3]])
    assert embedded == 2


def test_more_rows_out_than_in_can_be_compared():
    comparison = compare(X[:2], 2, X, X, 4, ("in", "drawn", "out"))
    assert (comparison.pool.rows, comparison.drawn.rows, comparison.result.rows) == (2, 2, 4)
    assert comparison.result.coverage == 1


@pytest.fixture(scope="module")
def pool():
    """4,000 unit vectors around 200 centres."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 16)).repeat(20, axis=0) + rng.normal(scale=0.5, size=(4000, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def compared(pool, rows, sample):
    """Compare rows of an export, each a list of the pool's rows that it stands for, with the pool."""
    sketches = [Sketch(sample) for _ in range(3)]
    whole, result, covering = sketches
    for row in range(len(pool)):
        whole.add(text_key(str(row), 0), row)
    for row in rows:
        keys = [text_key(str(parent), 0) for parent in row]
        covering.add(min(keys), row)
        result.add(text_key(" ".join(map(str, row)), 0), row)
    bound = min(sketch.bound for sketch in sketches)

    def vectors(found):
        means = np.array([pool[row].mean(axis=0) for row in found])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    return compare(
        pool[whole.below(bound)],
        len(pool),
        vectors(result.below(bound)),
        vectors(covering.below(bound)),
        len(rows),
        ("in", "drawn", "out"),
    )


@pytest.mark.parametrize("sample", [400, 4000])
def test_rows_drawn_at_random_do_as_well_as_rows_drawn_at_random(pool, sample):
    kept = np.random.default_rng(2).permutation(4000)[:2000]
    found = compared(pool, [[row] for row in kept.tolist()], sample)
    assert found.share == pytest.approx(sample / 4000, abs=0.03)
    assert found.result.rows == pytest.approx(found.drawn.rows, rel=0.2)
    assert found.result.coverage == pytest.approx(found.drawn.coverage, abs=0.02)
    assert found.result.redundancy == pytest.approx(found.drawn.redundancy, abs=0.05)


def test_merges_cover_their_parents_in_a_thinned_set_as_in_the_whole(pool):
    pairs = [[row, row + 1] for row in range(0, 4000, 2)]
    thinned, whole = compared(pool, pairs, 400), compared(pool, pairs, 4000)
    assert whole.share == 1
    assert thinned.result.coverage == pytest.approx(whole.result.coverage, abs=0.02)
    assert thinned.result.coverage > thinned.drawn.coverage + 0.05


def test_topics_near_each_other_differ_in_colour():
    rng = np.random.default_rng(0)
    centres = rng.uniform(-1, 1, (40, 2))
    topics = np.repeat(np.arange(40), 20).tolist()
    places = (centres[topics] + rng.normal(scale=0.01, size=(800, 2))).astype(np.float32)
    colours = map_colours(places, topics)
    assert set(colours) == set(range(40))
    assert set(colours.values()) == set(range(COLOURS))
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(40)
    alike = sum(colours[i] == colours[int(distances[i].argmin())] for i in range(40))
    assert alike == 0
