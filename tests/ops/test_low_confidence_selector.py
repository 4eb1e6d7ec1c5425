"""LCG: what stays, and what is written about it."""

import numpy as np
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import LowConfidenceSelector, TopicClusterGrouper, TopicReverseGrouper
from tests.recipe_runs import make_dataset

LCG = {"lcg_confidence", "lcg_predicted", "lcg_label", "lcg_part"}


@pytest.mark.parametrize("method", ["naive_bayes", "logistic"])
def test_near_rows_and_uncertain_ones_fill_the_budget_and_say_what_they_are(embedded_rows, method, tmp_path):
    selector = LowConfidenceSelector(
        method, num_clusters=4, train_per_cluster=8, num_per_cluster_near=3, select_num=40, work_dir=str(tmp_path)
    )
    selected = selector.run(make_dataset(embedded_rows))
    stats = list(selected[STATS])
    assert len(selected) == 40
    assert all(set(row) == LCG for row in stats)
    parts = [row["lcg_part"] for row in stats]
    assert (parts.count("near"), parts.count("low_confidence")) == (12, 28)
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert (figures["clusters"], figures["near"], figures["low_confidence"]) == (4, 12, 28)
    wrong = [row for row in stats if row["lcg_part"] == "low_confidence" and row["lcg_predicted"] != row["lcg_label"]]
    assert figures["misclassified"] == len(wrong)
    assert np.all([0 < row["lcg_confidence"] <= 1 for row in stats])


def test_of_the_rows_that_are_left_none_is_misclassified_and_less_certain(embedded_rows):
    parameters = {"num_clusters": 4, "train_per_cluster": 8, "num_per_cluster_near": 0}
    whole = LowConfidenceSelector(select_ratio=1.0, **parameters).run(make_dataset(embedded_rows))
    said = dict(zip(whole["id"], whole[STATS], strict=True))
    wrong = sorted(
        (row["lcg_confidence"], key) for key, row in said.items() if row["lcg_predicted"] != row["lcg_label"]
    )
    assert len(whole) == 120
    few = LowConfidenceSelector(select_num=10, **parameters).run(make_dataset(embedded_rows))
    assert sorted(said[key]["lcg_confidence"] for key in few["id"]) == [confidence for confidence, _ in wrong[:10]]


def test_the_topics_that_are_there_are_the_clusters(embedded_rows):
    flat = TopicReverseGrouper(keep_embeddings=True).run(
        TopicClusterGrouper(num_clusters=5).run(make_dataset(embedded_rows))
    )
    selected = LowConfidenceSelector(topic_key=TOPIC_ID, train_per_cluster=5, select_num=110).run(flat)
    labels = {}
    for meta, stats in zip(selected["__dj__meta__"], selected[STATS], strict=True):
        assert labels.setdefault(meta[TOPIC_ID], stats["lcg_label"]) == stats["lcg_label"]
    assert len(labels) == 5


def test_rows_that_cannot_be_read_stay_without_stats(embedded_rows):
    rows = [{name: value for name, value in row.items() if name != "mergeit_embedding"} for row in embedded_rows[:10]]
    selected = LowConfidenceSelector(select_num=4).run(
        make_dataset([*rows, rows[0] | {"id": "x", "instruction": "", "input": ""}])
    )
    assert len(selected) == 5
    assert dict(zip(selected["id"], selected[STATS], strict=True))["x"] == {}


def test_rows_that_are_all_the_same_are_near(embedded_rows):
    selected = LowConfidenceSelector(select_num=3).run(make_dataset([embedded_rows[0]] * 5))
    assert [row["lcg_part"] for row in selected[STATS]] == ["near"] * 3


def test_it_sees_all_samples_at_once(embedded_rows):
    topics = TopicClusterGrouper(num_clusters=3).run(make_dataset(embedded_rows))
    with pytest.raises(DatasetError, match="put topic_reverse_grouper before it"):
        LowConfidenceSelector().run(topics)
    with pytest.raises(RecipeError, match="at most one of num_clusters and topic_key"):
        LowConfidenceSelector(topic_key="topic_id", num_clusters=4)
