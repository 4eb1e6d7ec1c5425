"""Synonyms: golden values of DBSCAN on X6, names, and the example of an association."""

import numpy as np
import pytest

from mergeit_ops.core.tags import similar_pairs as pairs_module
from mergeit_ops.core.tags.similar_pairs import similar_pairs
from mergeit_ops.core.tags.synonyms import implications, implied_by, pairs_of, synonyms

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)
TAGS = list("012345")
ONCE = dict.fromkeys(TAGS, 1)


def groups(similarity) -> set[frozenset[str]]:
    names = synonyms(TAGS, ONCE, X6, similarity)
    return {frozenset(tag for tag in TAGS if names[tag] == name) for name in names.values()}


def test_golden_groups():
    assert groups(0.95) == set(map(frozenset, ["15", "0", "2", "3", "4"]))
    # 0 and 5 have a cosine of 0.8, as have 1 and 2: a chain from 0 to 2, which are at right angles.
    assert groups(0.8) == set(map(frozenset, ["0125", "3", "4"]))
    # With the 5 neighbours of scikit-learn's default, every tag would be noise.
    assert len(groups(0.999)) == 6


def test_the_name_is_the_most_frequent_then_the_shortest_then_the_first():
    alike = np.ones((3, 1), np.float32)
    for counts, name in [
        ({"poem": 5, "poetry": 9, "ode": 1}, "poetry"),
        ({"poem": 5, "poetry": 5, "ode": 1}, "poem"),
        ({"poem": 5, "opus": 5, "ode": 1}, "opus"),
    ]:
        assert set(synonyms(list(counts), counts, alike, 0.95).values()) == {name}


def test_pairs_do_not_depend_on_the_blocks(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second, cosines = similar_pairs(vectors, 0.9)
    expected = np.argwhere(np.triu(vectors @ vectors.T >= 0.9, k=1))
    assert np.stack([first, second], axis=1).tolist() == expected.tolist()
    assert cosines == pytest.approx((vectors[first] * vectors[second]).sum(axis=1), abs=1e-6)
    monkeypatch.setattr(pairs_module, "_BLOCK_ROWS", 7)
    assert similar_pairs(vectors, 0.9)[0].tolist() == first.tolist()


def counted(rows):
    counts, pairs = {}, {}
    for row in rows:
        for tag in row:
            counts[tag] = counts.get(tag, 0) + 1
        for pair in pairs_of(row):
            pairs[pair] = pairs.get(pair, 0) + 1
    return counts, pairs


def test_golden_association():
    counts, pairs = counted(["ab", "abc", "ab", "bc", "c", "ab"])
    assert implications(counts, pairs, 3, 0.99) == [("a", "b", 4, 1.0)]
    assert ("b", "a", 4, 0.8) in implications(counts, pairs, 3, 0.5)
    assert implied_by(counts, pairs, 3, 0.99) == {"a": "b"}
    assert implied_by(counts, pairs, 5, 0.99) == {}


def test_a_tag_goes_to_the_last_of_a_chain_and_of_two_that_imply_each_other_one_stays():
    counts, pairs = counted(["abc"] * 4 + ["bc"] * 2 + ["c"] * 3 + ["xy"] * 3)
    assert implied_by(counts, pairs, 3, 0.99) == {"a": "c", "b": "c", "y": "x"}
