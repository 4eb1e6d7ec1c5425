"""Values of rows behind measures of a set: their mean is the measure, their spread that of the measure over draws."""

import numpy as np
import pytest

from mergeit_ops.core.measures.diversity import (
    mean_pairwise_distance,
    near_duplicates,
    nearest_two,
    pool_coverage,
    redundancy,
    vendi_score,
)
from mergeit_ops.core.measures.pseudo_values import (
    coverage_pseudo_values,
    distance_pseudo_values,
    effective_topic_pseudo_values,
    redundancy_pseudo_values,
    vendi_pseudo_values,
)
from tests.core.measures.test_diversity import DUPLICATES, X6, unit

# A pair of twins, three of a kind, and a row alone.
TWINS = np.array([(1, 0, 0)] * 2 + [(0, 1, 0)] * 3 + [(0, 0, 1)], np.float32)


@pytest.mark.parametrize(
    ("measure", "parts"),
    [
        (mean_pairwise_distance, distance_pseudo_values),
        (vendi_score, vendi_pseudo_values),
        (redundancy, redundancy_pseudo_values),
    ],
)
@pytest.mark.parametrize("vectors", [X6, DUPLICATES, TWINS, X6[:1], unit(40, 8), unit(8, 40)])
def test_their_mean_is_the_measure(measure, parts, vectors):
    values = parts(vectors)
    assert values.shape == (len(vectors),)
    assert values.mean() == pytest.approx(measure(vectors), abs=1e-6)


def test_the_distance_of_pairs_by_hand():
    # Distances 1, 1 and 0: the means to the others are 0.5, 0.5 and 1, that of all pairs is 2 / 3.
    values = distance_pseudo_values(np.array([(1, 0), (1, 0), (0, 1)], np.float32))
    np.testing.assert_allclose(values, [1 / 3, 1 / 3, 4 / 3])


def test_the_vendi_score_of_orthogonal_rows_by_hand():
    # C has the eigenvalues 3/5 and 2/5: -ln of them and 1/8 of their inverse, which is Q; less the mean, times V.
    values = vendi_pseudo_values(DUPLICATES)
    worth = np.array([0.510826 + 0.208333] * 3 + [0.916291 + 0.3125] * 2)
    np.testing.assert_allclose(values, 1.960132 * (1 + worth - worth.mean()), atol=1e-5)


@pytest.mark.parametrize(("n", "d", "apart"), [(80, 8, 0.02), (20, 40, 0.3)])
def test_the_vendi_score_without_a_row_is_what_its_parts_say(n, d, apart):
    vectors = unit(n, d)
    parts, score = vendi_pseudo_values(vectors), vendi_score(vectors)
    pseudo = n * np.log(score) - (n - 1) * np.log([vendi_score(np.delete(vectors, row, axis=0)) for row in range(n)])
    told, true = parts - parts.mean(), score * (pseudo - pseudo.mean())
    assert np.abs(told - true).max() < apart * np.abs(true).max()
    assert told.std() == pytest.approx(true.std(), rel=apart)


def test_coverage_without_a_row_is_what_its_parts_say():
    pool, chosen = unit(60, 6), unit(17, 6, seed=1)
    mask = np.arange(17) % 3 > 0
    for nearest, rows in zip(nearest_two(pool, chosen, [mask]), (np.arange(17), np.flatnonzero(mask)), strict=True):
        parts, score = coverage_pseudo_values(nearest, rows), pool_coverage(pool, chosen[rows])
        without = np.array([pool_coverage(pool, chosen[np.delete(rows, row)]) for row in range(len(rows))])
        pseudo = len(rows) * score - (len(rows) - 1) * without
        assert parts.mean() == pytest.approx(score)
        np.testing.assert_allclose(parts - parts.mean(), pseudo - pseudo.mean(), atol=1e-5)
    with pytest.raises(ValueError, match="two rows"):
        coverage_pseudo_values(nearest_two(pool, chosen[:1])[0], np.arange(1))


def test_twins_by_hand():
    found = near_duplicates(TWINS)
    np.testing.assert_array_equal(found.counts, [1, 1, 2, 2, 2, 0])
    np.testing.assert_array_equal(found.sole, [1, 0, -1, -1, -1, -1])


def test_a_row_counts_itself_and_those_it_alone_makes_redundant():
    # Worth 2, 2, 1, 1, 1 and 0, whose mean is 7 / 6; redundant are 5 of 6.
    np.testing.assert_allclose(redundancy_pseudo_values(TWINS), 5 / 6 - 7 / 6 + np.array([2, 2, 1, 1, 1, 0]))


def test_leaving_a_row_out_is_what_the_redundancy_counts():
    rng = np.random.default_rng(3)
    vectors = unit(12, 4)[rng.integers(0, 12, 60)] + 0.12 * rng.normal(size=(60, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    values, n = redundancy_pseudo_values(vectors, 0.97), len(vectors)
    without = [redundancy(np.delete(vectors, row, axis=0), 0.97) for row in range(n)]
    pseudo = n * redundancy(vectors, 0.97) - (n - 1) * np.array(without)
    np.testing.assert_allclose(values - values.mean(), pseudo - pseudo.mean(), atol=1e-9)
    assert len(set(pseudo.round(6))) > 2


def test_effective_topics():
    np.testing.assert_allclose(effective_topic_pseudo_values(np.array([4, 4, 7, 7])), 2)
    assert effective_topic_pseudo_values(np.array([0, 0, 0, 1])).mean() == pytest.approx(4 / 3**0.75)


@pytest.mark.parametrize("parts", [distance_pseudo_values, vendi_pseudo_values])
def test_their_spread_is_that_of_the_measure_over_draws(parts):
    rng = np.random.default_rng(0)
    population = unit(3_000, 12) + 2 * unit(8, 12, seed=1)[rng.integers(0, 8, 3_000) // (1 + rng.integers(0, 3, 3_000))]
    population = (population / np.linalg.norm(population, axis=1, keepdims=True)).astype(np.float32)
    draws = [parts(population[rng.integers(0, 3_000, 400)]) for _ in range(150)]
    told = np.mean([values.std() / np.sqrt(len(values)) for values in draws])
    # Of 150 draws a standard deviation is known to 6 %.
    assert told == pytest.approx(np.std([values.mean() for values in draws]), rel=0.2)


@pytest.mark.parametrize(
    "parts", [distance_pseudo_values, vendi_pseudo_values, redundancy_pseudo_values, effective_topic_pseudo_values]
)
def test_no_rows_are_an_error(parts):
    with pytest.raises(ValueError, match="row"):
        parts(X6[:0])
