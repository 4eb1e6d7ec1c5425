"""Information gain: golden values of T6 with the scores q6, the guarantee of the greedy, and the plain formula."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.information_gain import InformationGain
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.tag_rows import TagRows

T6 = [("1", "2", "3"), ("1", "2"), ("4",), ("3", "4"), ("5",), ("1",)]
q6 = np.array([6.0, 8, 4, 4, 4, 5])
EDGE = [("4", "5", 0.9)]
POOL = Pool(tags=T6, scores=q6)

tag_lists = st.lists(st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple), min_size=1, max_size=8)
edge_lists = st.lists(st.sampled_from(list(combinations("abcdefg", 2))), max_size=4, unique=True)


@st.composite
def pools(draw):
    tags = draw(tag_lists)
    scores = draw(st.lists(st.integers(0, 9), min_size=len(tags), max_size=len(tags)))
    edges = [(*pair, 0.9) for pair in draw(edge_lists)]
    return Pool(tags=tags, scores=np.array(scores, float), tag_edges=edges)


def dense(method, pool):
    return method.given(TagRows.of(pool.tags), pool.scores, pool.tag_edges).toarray()


def information(method, pool, rows) -> float:
    return float((dense(method, pool)[list(rows)].sum(axis=0) ** method.exponent).sum())


def steps(method, pool, chosen):
    """The gains of all rows before each choice, by the plain formula, and which rows are left."""
    given_, left = dense(method, pool), np.ones(len(pool.tags), dtype=bool)
    received = np.full(given_.shape[1], 1e-6)
    for row in chosen:
        if method.gain == "gradient":
            each = given_ @ (method.exponent * received ** (method.exponent - 1))
        else:
            each = ((received + given_) ** method.exponent - received**method.exponent).sum(axis=1)
        yield each, left.copy()
        received = received + given_[row]
        left[row] = False


def test_golden_choices():
    gradient = InformationGain("gradient").select(POOL, 4)
    assert gradient.indices.tolist() == [0, 3, 4, 1]
    assert gradient.gains == pytest.approx([228.224620, 52.952829, 50.716582, 8.944987], abs=1e-5)
    exact = InformationGain().select(POOL, 4)
    assert exact.indices.tolist() == [0, 1, 3, 4]
    assert exact.gains == pytest.approx([12.578842, 8.131122, 5.148029, 3.031418], abs=1e-5)


def test_golden_information_of_three_rows_beside_the_optimum():
    method = InformationGain()
    optimum = max(information(method, POOL, rows) for rows in combinations(range(6), 3))
    assert information(method, POOL, [0, 1, 3]) == pytest.approx(optimum) == pytest.approx(25.858054, abs=1e-6)
    # The released gain takes rows 0, 3 and 4: any new tag outweighs all else.
    assert information(method, POOL, [0, 3, 4]) == pytest.approx(20.758365, abs=1e-6)


def test_golden_of_an_edge():
    with_edge = Pool(tags=T6, scores=q6, tag_edges=EDGE)
    method = InformationGain("gradient")
    assert method.select(with_edge, 4).indices.tolist() == [0, 3, 1, 4]
    rows = TagRows.of([("4",), ("5",)])
    block = [[0.526316, 0.473684], [0.473684, 0.526316]]
    assert method.given(rows, np.ones(2), EDGE).toarray() == pytest.approx(np.array(block), abs=1e-6)
    # Without propagation the edge counts nothing.
    assert InformationGain("gradient", propagation=0).select(with_edge, 4).indices.tolist() == [0, 3, 4, 1]


def test_golden_of_scores_divided_among_tags():
    assert InformationGain("gradient", normalize_by_tags=True).select(POOL, 4).indices.tolist() == [1, 2, 4, 0]


@given(pools(), st.booleans(), st.data())
def test_the_greedy_reaches_its_guarantee(pool, normalize, data):
    method = InformationGain(normalize_by_tags=normalize)
    budget = data.draw(st.integers(1, len(pool.tags)))
    optimum = max(information(method, pool, rows) for rows in combinations(range(len(pool.tags)), budget))
    chosen = method.select(pool, budget).indices
    assert sorted(set(chosen)) == sorted(chosen)
    assert information(method, pool, chosen) >= (1 - 1 / np.e) * optimum - 1e-9


@given(pools(), st.sampled_from(["exact", "gradient"]))
def test_each_choice_has_the_highest_gain_by_the_plain_formula(pool, gain):
    method = InformationGain(gain)
    found = method.select(pool, len(pool.tags))
    # Rows whose gains differ by rounding alone may come in either order, and what follows depends on it.
    for row, value, (each, left) in zip(found.indices, found.gains, steps(method, pool, found.indices), strict=True):
        assert value == pytest.approx(each[row], rel=1e-6, abs=1e-9)
        assert value == pytest.approx(each[left].max(), rel=1e-6, abs=1e-9)
    assert (np.diff(found.gains) <= 1e-6).all()


@pytest.mark.parametrize("gain", ["exact", "gradient"])
def test_equal_rows_go_to_the_lowest_position_whatever_the_order_of_their_tags(gain):
    tags = [("a", "b", "c"), ("c", "b", "a"), ("b", "a", "c")] * 2
    scores = np.full(6, 1 / 3)
    assert InformationGain(gain).select(Pool(tags=tags, scores=scores), 6).indices.tolist() == list(range(6))


def test_rows_without_tags_come_last_also_after_rows_without_a_score():
    found = InformationGain().select(Pool(tags=[(), ("a",), ("b",)], scores=np.array([9.0, 0, 1])), 3)
    assert found.indices.tolist() == [2, 1, 0]
    assert found.gains[1:].tolist() == [0, 0]


def test_without_scores_every_row_counts_alike():
    found = InformationGain().select(Pool(tags=T6), 6)
    assert found.indices[0] == 0
    assert InformationGain().needs == {"tags", "scores"}
