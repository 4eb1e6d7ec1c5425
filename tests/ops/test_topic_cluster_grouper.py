"""The grouper: topics of all rows, whatever their order."""

import numpy as np
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, ROW_ID
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, EmbeddingError
from mergeit_ops.ops import TopicClusterGrouper
from tests.recipe_runs import make_dataset


def topics_by_row(grouped) -> dict[str, int]:
    return {row_id: row[BATCH_META]["topic_id"] for row in grouped for row_id in row[ROW_ID]}


def test_every_row_is_in_exactly_one_topic_with_its_values(embedded_rows):
    grouped = TopicClusterGrouper().run(make_dataset(embedded_rows))
    assert len(grouped) == 7  # floor(sqrt(120 / 2))
    ids = [value for row in grouped for value in row["id"]]
    assert sorted(ids) == sorted(row["id"] for row in embedded_rows)
    by_id = {row["id"]: row for row in embedded_rows}
    for row in grouped:
        for i, key in enumerate(row["id"]):
            assert {name: row[name][i] for name in by_id[key]} == by_id[key]
        assert row[BATCH_META]["batch_size"] == len(row["id"])


def test_samples_of_a_topic_keep_the_order_of_the_input(embedded_rows):
    position = {row["id"]: number for number, row in enumerate(embedded_rows)}
    for row in TopicClusterGrouper().run(make_dataset(embedded_rows)):
        places = [position[key] for key in row["id"]]
        assert places == sorted(places)


def test_topics_do_not_depend_on_the_order_of_the_input(embedded_rows):
    shuffled = [embedded_rows[i] for i in np.random.default_rng(0).permutation(len(embedded_rows))]
    straight = topics_by_row(TopicClusterGrouper(fit_sample_size=60).run(make_dataset(embedded_rows)))
    assert topics_by_row(TopicClusterGrouper(fit_sample_size=60).run(make_dataset(shuffled))) == straight


def test_another_seed_may_give_other_topics_and_the_same_seed_the_same(embedded_rows):
    dataset = make_dataset(embedded_rows)
    assert topics_by_row(TopicClusterGrouper(seed=1).run(dataset)) == topics_by_row(
        TopicClusterGrouper(seed=1).run(dataset)
    )


def test_rows_without_embeddings_get_the_models_own(embedded_rows):
    bare = [{name: value for name, value in row.items() if name != EMBEDDING} for row in embedded_rows]
    grouped = TopicClusterGrouper(num_clusters=2).run(make_dataset(bare))
    brought = {row["id"]: row[EMBEDDING] for row in embedded_rows}
    for row in grouped:
        vectors = decode_vectors(row[EMBEDDING])
        np.testing.assert_allclose(vectors, decode_vectors([brought[key] for key in row["id"]]), atol=1e-5)


def test_topics_are_not_grouped_again(embedded_rows):
    grouped = TopicClusterGrouper().run(make_dataset(embedded_rows))
    with pytest.raises(DatasetError, match="topics already"):
        TopicClusterGrouper().run(grouped)


def test_unusable_embeddings_are_refused_by_row(embedded_rows):
    rows = [embedded_rows[0], embedded_rows[1] | {EMBEDDING: "AAAA"}]
    with pytest.raises(EmbeddingError, match=r"topic_cluster_grouper.*row 1"):
        TopicClusterGrouper().run(make_dataset(rows))


def test_the_record_holds_the_size_of_every_topic(embedded_rows, tmp_path):
    operator = TopicClusterGrouper()
    operator.work_dir = str(tmp_path)
    grouped = operator.run(make_dataset(embedded_rows))
    (record,) = read_manifests(tmp_path)
    assert dict(enumerate(record["topic_sizes"])) == {row[BATCH_META]["topic_id"]: len(row["id"]) for row in grouped}
