"""The selector: budgets, order, objective; per topic and flat."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection.facility_location import objective, select
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import FacilityLocationSelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset


@pytest.fixture(scope="module")
def topics(embedded_rows):
    return TopicClusterGrouper().run(make_dataset(embedded_rows))


def sizes(grouped) -> list[int]:
    return [len(row["id"]) for row in grouped]


def test_default_is_a_fifth_of_each_topic_and_at_least_one(topics):
    expected = [max(1, round(0.2 * size)) for size in sizes(topics)]
    assert sizes(FacilityLocationSelector().run(topics)) == expected


def test_num_per_topic_keeps_small_topics_whole(topics):
    assert sizes(FacilityLocationSelector(num_per_topic=10).run(topics)) == [min(10, size) for size in sizes(topics)]


@pytest.mark.parametrize("allocation", ["proportional", "gain"])
@pytest.mark.parametrize("total", [3, 30, 500])
def test_select_num_is_met_exactly_over_all_topics(topics, allocation, total):
    selected = FacilityLocationSelector(select_num=total, allocation=allocation).run(topics)
    assert sum(sizes(selected)) == min(total, sum(sizes(topics)))


def test_allocation_by_gain_reaches_at_least_the_coverage_of_the_proportional_one(topics):
    def covered(allocation):
        selected = FacilityLocationSelector(select_num=20, allocation=allocation).run(topics)
        chosen = {key for row in selected for key in row["id"]}
        total = 0.0
        for row in topics:
            rows = np.flatnonzero([key in chosen for key in row["id"]])
            total += objective(decode_vectors(row[EMBEDDING]), rows)
        return total

    assert covered("gain") >= covered("proportional") - 1e-6


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_each_topic_is_represented_as_well_as_by_the_core(topics, metric):
    selected = FacilityLocationSelector(metric=metric).run(topics)
    for row, kept in zip(topics, selected, strict=True):
        vectors = decode_vectors(row[EMBEDDING])
        chosen = np.array([row["id"].index(key) for key in kept["id"]])
        assert list(chosen) == sorted(chosen)
        best = objective(vectors, select(vectors, len(chosen), metric).indices, metric)
        assert objective(vectors, chosen, metric) == pytest.approx(best, rel=1e-6)


def test_flat_rows_keep_columns_and_order_and_drop_the_embedding(embedded_rows):
    selected = FacilityLocationSelector(select_num=15).run(make_dataset(embedded_rows))
    position = {row["id"]: number for number, row in enumerate(embedded_rows)}
    places = [position[row["id"]] for row in selected]
    assert len(places) == 15
    assert places == sorted(places)
    expected = [{k: v for k, v in embedded_rows[place].items() if k != EMBEDDING} for place in places]
    assert list(selected) == expected


def test_flat_rows_keep_the_embedding_when_asked(embedded_rows):
    selected = FacilityLocationSelector(select_num=5, keep_embeddings=True).run(make_dataset(embedded_rows))
    assert selected.column_names == list(embedded_rows[0])


def test_a_budget_per_topic_needs_topics(embedded_rows):
    with pytest.raises(RecipeError, match="num_per_topic needs topics"):
        FacilityLocationSelector(num_per_topic=5).run(make_dataset(embedded_rows))


def test_only_one_budget_may_be_set():
    with pytest.raises(RecipeError, match=r"at most one of .* got select_ratio and select_num"):
        FacilityLocationSelector(select_ratio=0.1, select_num=5)


def test_topics_of_data_juicers_own_groupers_are_selected_too(sample_rows):
    from data_juicer.ops.grouper import KeyValueGrouper

    grouped = KeyValueGrouper(group_by_keys=["source"]).run(make_dataset(sample_rows[:40]))
    selected = FacilityLocationSelector(num_per_topic=1).run(grouped)
    assert sizes(selected) == [1] * len(grouped)
