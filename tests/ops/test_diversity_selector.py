"""Diverse samples of topics: shares, and which rows."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import DiversitySelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset


@pytest.fixture(scope="module")
def topics(embedded_rows):
    return TopicClusterGrouper(num_clusters=9, pca_variance=None).run(make_dataset(embedded_rows))


@pytest.mark.parametrize("method", list(DIVERSITY_METHODS))
@pytest.mark.parametrize("total", [4, 45, 100, 500])
def test_the_total_is_met_in_equal_parts(topics, method, total):
    sizes = [len(ids) for ids in topics["id"]]
    selected = DiversitySelector(method, select_num=total, allocation="equal").run(topics)
    kept = [len(ids) for ids in selected["id"]]
    assert sum(kept) == min(total, sum(sizes))
    if total == 45:
        # 5 each; what topics of fewer rows leave goes to the others.
        assert min(kept) == min(5, min(sizes))
        cut = [number for number, size in zip(kept, sizes, strict=True) if number < size]
        assert max(cut) - min(cut) <= 1


def test_no_row_that_is_left_is_farther_from_the_centre_than_one_that_is_kept(topics):
    selected = DiversitySelector("centroid_distance", num_per_topic=4).run(topics)
    for topic, kept in zip(topics, selected, strict=True):
        vectors = decode_vectors(topic[EMBEDDING])
        distances = dict(zip(topic["id"], np.linalg.norm(vectors - vectors.mean(axis=0), axis=1), strict=True))
        assert kept["id"] == [key for key in topic["id"] if key in set(kept["id"])]
        left = [distance for key, distance in distances.items() if key not in kept["id"]]
        assert min(distances[key] for key in kept["id"]) >= max(left, default=0) - 1e-6


@pytest.mark.parametrize("method", list(DIVERSITY_METHODS))
def test_a_flat_dataset_is_one_topic(embedded_rows, method):
    flat = DiversitySelector(method, select_num=15).run(make_dataset(embedded_rows))
    topics = TopicClusterGrouper(num_clusters=1).run(make_dataset(embedded_rows))
    (of_topic,) = DiversitySelector(method, select_num=15).run(topics)["id"]
    assert flat["id"][:] == of_topic
    assert EMBEDDING not in flat.column_names


def labelled(rows, numbers, value=True):
    """The rows, true in the column `labelled` where they stand at one of the numbers, and null elsewhere."""
    return make_dataset([row | {"labelled": value if number in numbers else None} for number, row in enumerate(rows)])


FROM_COLUMN = {"start": "column", "start_column": "labelled"}


def test_rows_that_are_chosen_already_stay_and_count_toward_the_budget(embedded_rows):
    selected = DiversitySelector(select_num=15, **FROM_COLUMN).run(labelled(embedded_rows, {3, 50, 51, 119}))
    assert len(selected) == 15
    assert {embedded_rows[number]["id"] for number in (3, 50, 51, 119)} <= set(selected["id"])
    # They decide about the others.
    others = DiversitySelector(select_num=15, **FROM_COLUMN).run(labelled(embedded_rows, {7, 8, 9, 10}))
    assert len(set(selected["id"]) & set(others["id"])) < 15


def test_rows_that_are_chosen_already_are_read_in_topics_too(embedded_rows):
    rows = labelled(embedded_rows, {3, 50, 51, 119})
    flat = DiversitySelector(select_num=15, **FROM_COLUMN).run(rows)
    topics = TopicClusterGrouper(num_clusters=1).run(rows)
    (of_topic,) = DiversitySelector(select_num=15, **FROM_COLUMN).run(topics)["id"]
    assert flat["id"][:] == of_topic


@pytest.mark.parametrize("grouped", [False, True])
def test_a_start_column_that_is_missing_or_holds_no_booleans_is_refused_before_any_work(sample_rows, grouped):
    def rows(value):
        # Without embeddings: this folder holds no model, so embedding would raise another error.
        given = labelled(sample_rows[:10], range(10), value)
        return TopicClusterGrouper(num_clusters=2).run(given) if grouped else given

    operator = DiversitySelector(select_num=5, start="column", start_column="chosen", embedding_model="/no/model")
    with pytest.raises(DatasetError, match=r"no column 'chosen' for the start_column; there are 'id', .*'labelled'"):
        operator.run(rows(True))
    operator = DiversitySelector(select_num=5, **FROM_COLUMN, embedding_model="/no/model")
    with pytest.raises(DatasetError, match="'labelled' must hold true or false, but its type is string"):
        operator.run(rows("yes"))


def test_rows_chosen_already_in_one_of_several_topics_leave_the_rest_of_the_budget_to_all(embedded_rows):
    topics = TopicClusterGrouper(num_clusters=2).run(make_dataset(embedded_rows))
    first = set(topics[0]["id"][:10])
    marked = [row | {"labelled": row["id"] in first} for row in embedded_rows]
    grouped = TopicClusterGrouper(num_clusters=2).run(make_dataset(marked))
    chosen = DiversitySelector(select_num=12, **FROM_COLUMN).run(grouped)
    ids = [row_id for topic in chosen for row_id in topic["id"]]
    assert len(ids) == 12
    assert first <= set(ids)


def test_more_rows_chosen_already_than_the_budget_are_refused(embedded_rows):
    with pytest.raises(DatasetError, match=r"6 of 120 rows are chosen already, .*'labelled' is true, but only 5"):
        DiversitySelector(select_num=5, **FROM_COLUMN).run(labelled(embedded_rows, range(6)))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"start": "column"}, "needs a start_column"),
        ({"start_column": "labelled"}, "a start_column needs `start: column`"),
        ({**FROM_COLUMN, "method": "centroid_distance"}, "'centroid_distance' does not read start, which belongs to"),
    ],
)
def test_a_start_column_without_use_is_refused(parameters, words):
    with pytest.raises(RecipeError, match=words):
        DiversitySelector(**parameters)
