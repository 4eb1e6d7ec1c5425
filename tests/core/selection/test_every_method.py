"""What holds for every selection method, whatever it chooses by."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.selection import DIVERSITY_METHODS, SCORED_DIVERSITY_METHODS, TAG_METHODS
from mergeit_ops.core.selection.facility_location import FacilityLocation
from mergeit_ops.core.selection.low_confidence import LOW_CONFIDENCE_METHODS
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.semantic_deduplication import SemanticDeduplication
from tests.core.selection.test_facility_location import unit_vectors

METHODS = {
    **DIVERSITY_METHODS,
    **SCORED_DIVERSITY_METHODS,
    **TAG_METHODS,
    **LOW_CONFIDENCE_METHODS,
    "facility_location": FacilityLocation,
    "semantic_deduplication": SemanticDeduplication,
}
every_method = pytest.mark.parametrize("name", list(METHODS))
WORDS = ["river", "lake", "bread", "stone", "music", "paper", "night", "green", "train", "glass"]
ROWS = 48


def pool(order, copies: bool = False) -> Pool:
    """Rows in an order; with copies, each vector twice."""
    rng = np.random.default_rng(7)
    vectors = unit_vectors(ROWS, 12, seed=1)
    if copies:
        vectors = np.repeat(vectors[: ROWS // 2], 2, axis=0)
    words = [rng.choice(WORDS, size=6) for _ in range(ROWS)]
    scores = rng.random(ROWS)
    topics = np.arange(ROWS) % 4
    return Pool(
        vectors[order],
        scores=scores[order],
        texts=[" ".join(words[row]) + f" number {row}" for row in order],
        tags=[tuple(dict.fromkeys(words[row].tolist())) for row in order],
        topics=topics[order],
    )


@every_method
@pytest.mark.parametrize("budget", [1, 7, ROWS])
def test_each_row_is_chosen_at_most_once_and_the_budget_is_met_unless_a_bound_forbids(name, budget):
    method = METHODS[name]()
    chosen = method.select(pool(np.arange(ROWS)), budget).indices
    assert len(set(chosen.tolist())) == len(chosen) <= budget
    assert method.has_bound or len(chosen) == budget


@every_method
def test_the_same_rows_are_chosen_again(name):
    first, second = (METHODS[name]().select(pool(np.arange(ROWS)), 9) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)


# Rows with as many tags tie in complexity_first, semantic deduplication keeps the first of two, and K-means makes other
# clusters of rows in another order.
ORDERED = {"complexity_first", "semantic_deduplication", *LOW_CONFIDENCE_METHODS}


@pytest.mark.parametrize("name", sorted(set(METHODS) - ORDERED))
def test_another_order_of_rows_changes_nothing(name):
    order = np.random.default_rng(3).permutation(ROWS)
    chosen = METHODS[name]().select(pool(np.arange(ROWS)), 9).indices
    permuted = order[METHODS[name]().select(pool(order), 9).indices]
    assert sorted(permuted.tolist()) == sorted(chosen.tolist())


@pytest.mark.parametrize(
    "name", ["k_center", "dpp", "facility_location", "similarity_filter", "semantic_deduplication"]
)
def test_copies_are_not_both_chosen_while_anything_else_is_left(name):
    chosen = METHODS[name]().select(pool(np.arange(ROWS), copies=True), ROWS // 2).indices
    assert len(set((chosen // 2).tolist())) == len(chosen) == ROWS // 2
