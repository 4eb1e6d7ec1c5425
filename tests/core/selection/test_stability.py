"""Another seed gives other topics, and a selection that covers the rows as well."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mergeit_ops.core.selection.budget import ratio_budget
from mergeit_ops.core.selection.facility_location import objective, select
from mergeit_ops.core.topics.clustering import default_num_clusters, fit_topics

RATIO = 0.2
MOST_SPREAD = 0.01


def planted(n: int) -> np.ndarray:
    """Return unit vectors around more directions than there are topics, whose shares fall like 1 / rank."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(round(0.08 * n), 24))
    noise = rng.normal(size=(n, 24))
    for rows in (directions, noise):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shares = 1 / np.arange(1, len(directions) + 1)
    vectors = directions[rng.choice(len(directions), n, p=shares / shares.sum())] + 0.4 * noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def selected(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    topics = [np.flatnonzero(labels == topic) for topic in np.unique(labels)]
    return np.concatenate([rows[select(vectors[rows], ratio_budget(len(rows), RATIO)).indices] for rows in topics])


def spread(values: list[float]) -> float:
    return (max(values) - min(values)) / float(np.mean(values))


# The second size is fitted from starting centroids of our own, the first from scikit-learn's.
@pytest.mark.parametrize(("n", "seeds"), [(1_500, 4), (21_000, 2)])
def test_selections_of_other_seeds_cover_the_rows_as_well_though_their_topics_differ(n, seeds):
    vectors = planted(n)
    topics = [fit_topics(vectors, default_num_clusters(n), seed=seed).assign(vectors) for seed in range(seeds)]
    assert all(adjusted_rand_score(a, b) < 0.95 for a, b in combinations(topics, 2))

    chosen = [selected(vectors, labels) for labels in topics]
    coverage = [objective(vectors, rows) / n for rows in chosen]
    assert spread(coverage) < MOST_SPREAD

    # The bound is no matter of course: as many rows drawn at random cover less, each draw in its own way.
    drawn = [np.random.default_rng(seed).choice(n, len(rows), replace=False) for seed, rows in enumerate(chosen)]
    at_random = [objective(vectors, rows) / n for rows in drawn]
    assert min(coverage) > max(at_random)
