"""Good samples that differ: which rows stay, and what is refused."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import ScoredDiversitySelector, TopicClusterGrouper, TopicReverseGrouper
from tests.core.selection.toys import Q6, X6
from tests.recipe_runs import make_dataset


def graded(rows) -> list[dict]:
    grades = np.random.default_rng(3).permutation(len(rows)).tolist()
    return [row | {"grade": grade} for row, grade in zip(rows, grades, strict=True)]


def toy() -> list[dict]:
    texts = encode_vectors(X6)
    return [
        {"id": str(i), "instruction": f"Say {i}", "input": "", "output": "x", "grade": Q6[i], EMBEDDING: text}
        for i, text in enumerate(texts)
    ]


def chosen(rows, work_dir=None, **parameters) -> list[str]:
    selector = ScoredDiversitySelector(score_key="grade", work_dir=work_dir, **parameters)
    return list(selector.run(make_dataset(rows))["id"])


def test_golden_of_the_similarity_filter_in_the_order_of_the_input(tmp_path):
    assert chosen(toy(), select_num=6, work_dir=str(tmp_path)) == ["0", "1", "2", "3", "4"]
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert (figures["rows_in"], figures["rows_out"], figures["too_alike"]) == (6, 5, 1)
    assert chosen(toy(), select_num=3) == ["0", "1", "2"]


def test_rows_that_cannot_be_read_stay_outside_the_budget_and_the_bound():
    blank = {
        "id": "6",
        "instruction": "",
        "input": "",
        "output": "",
        "grade": 9.0,
        EMBEDDING: encode_vectors(X6[:1] * 0)[0],
    }
    assert chosen([*toy(), blank], select_num=3) == ["0", "1", "2", "6"]
    assert chosen([*toy(), blank], select_num=3, unreadable_rows="drop") == ["0", "1", "2"]


def test_auto_meets_the_budget_and_says_with_which_bound(embedded_rows, tmp_path):
    ids = chosen(graded(embedded_rows), select_num=40, max_similarity="auto", work_dir=str(tmp_path))
    assert len(ids) == 40
    bound = read_manifests(tmp_path)[-1]["figures"]["max_similarity"]
    vectors = decode_vectors([row[EMBEDDING] for row in embedded_rows if row["id"] in set(ids)])
    assert (vectors @ vectors.T - np.eye(40)).max() == pytest.approx(bound, abs=2e-3)


def test_on_topics_the_bound_holds_in_each_topic(embedded_rows):
    topics = TopicClusterGrouper(num_clusters=4).run(make_dataset(graded(embedded_rows)))
    selected = ScoredDiversitySelector(score_key="grade", select_ratio=1.0, max_similarity=0.5).run(topics)
    assert 0 < sum(map(len, selected["id"])) < 120
    for topic in selected:
        vectors = decode_vectors(topic[EMBEDDING])
        assert (vectors @ vectors.T - np.eye(len(vectors))).max() <= 0.5 + 1e-6


def test_cluster_top_keeps_the_best_row_of_every_topic_and_the_best_of_the_rest(embedded_rows):
    flat = TopicReverseGrouper().run(TopicClusterGrouper(num_clusters=8).run(make_dataset(graded(embedded_rows))))
    selected = ScoredDiversitySelector("cluster_top", score_key="grade", select_num=30).run(flat)
    best: dict[int, int] = {}
    for grade, meta in zip(flat["grade"], flat[META], strict=True):
        best[meta["topic_id"]] = max(grade, best.get(meta["topic_id"], -1))
    assert set(best.values()) <= set(selected["grade"])
    rest = sorted(set(selected["grade"]) - set(best.values()))
    assert len(selected) == 30
    assert rest == sorted(set(flat["grade"]) - set(best.values()))[-len(rest) :]


def test_cluster_top_needs_flat_rows_with_topics(embedded_rows):
    rows = make_dataset(graded(embedded_rows))
    selector = ScoredDiversitySelector("cluster_top", score_key="grade")
    with pytest.raises(DatasetError, match="no column 'topic_id' for the topic_key"):
        selector.run(rows)
    with pytest.raises(DatasetError, match="put topic_reverse_grouper before it"):
        selector.run(TopicClusterGrouper(num_clusters=3).run(rows))


def test_ngram_coverage_embeds_nothing(sample_rows):
    rows = graded(sample_rows)
    # This folder holds no model.
    kept = chosen(rows, method="ngram_coverage", select_num=50, embedding_model="/nowhere")
    assert len(kept) == 50
    best = sorted(rows, key=lambda row: -row["grade"])[:50]
    assert set(kept) != {row["id"] for row in best}


def test_a_score_must_be_named_and_parameters_of_other_methods_are_refused():
    with pytest.raises(RecipeError, match="scored_diversity_selector: score_key is not set"):
        ScoredDiversitySelector()
    for method, name, value in [
        ("cluster_top", "max_similarity", 0.5),
        ("similarity_filter", "max_ngram", 2),
        ("ngram_coverage", "best_per_topic", 2),
        ("similarity_filter", "topic_key", "cluster"),
    ]:
        with pytest.raises(RecipeError, match=f"'{method}' does not read {name}"):
            ScoredDiversitySelector(method, score_key="grade", **{name: value})
