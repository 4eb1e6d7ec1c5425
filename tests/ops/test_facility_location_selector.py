"""The selector: budgets, order, objective, quality, target; per topic and flat."""

import json

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.selection.facility_location import objective, select
from mergeit_ops.core.selection.taylor import graph_cut, taylor_budgets
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, EmbeddingError, RecipeError
from mergeit_ops.ops import FacilityLocationSelector, TopicClusterGrouper
from tests.ops.scored import chosen_ids, score_of
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


def figures_of(tmp_path, operator, dataset) -> dict:
    operator.work_dir = str(tmp_path)
    operator.run(dataset)
    return read_manifests(tmp_path)[-1]["figures"]


@pytest.mark.parametrize("grouped", [False, True])
def test_weights_of_zero_choose_the_rows_of_coverage_alone(scored_rows, target, grouped):
    dataset = make_dataset(scored_rows)
    dataset = TopicClusterGrouper(num_clusters=4).run(dataset) if grouped else dataset
    plain = FacilityLocationSelector(select_num=30).run(dataset)
    # Not even rows without a score are dropped.
    more = {"score_key": "quality_score", "missing_score": "drop", "target_path": str(target)}
    assert FacilityLocationSelector(select_num=30, **more).run(dataset).to_list() == plain.to_list()


@pytest.mark.parametrize("grouped", [False, True])
def test_more_weight_of_quality_gives_better_rows(scored_rows, tmp_path, grouped):
    dataset = make_dataset(scored_rows)
    dataset = TopicClusterGrouper(num_clusters=4).run(dataset) if grouped else dataset
    means = []
    for number, weight in enumerate((0.0, 0.5, 0.9)):
        operator = FacilityLocationSelector(select_num=30, score_key="quality_score", score_weight=weight)
        means.append(figures_of(tmp_path / str(number), operator, dataset)["mean_score"])
    there = [score for score in score_of(scored_rows).values() if score is not None]
    assert [mean["all"] for mean in means] == pytest.approx([np.mean(there)] * 3, abs=1e-4)
    assert means[0]["chosen"] < means[1]["chosen"] < means[2]["chosen"]


def test_the_record_has_the_mean_of_the_chosen_scores(scored_rows, tmp_path):
    operator = FacilityLocationSelector(select_num=12, score_key="votes", score_weight=0.6)
    selected = operator.run(make_dataset(scored_rows))
    figures = figures_of(tmp_path, operator, make_dataset(scored_rows))
    assert figures["mean_score"]["chosen"] == pytest.approx(np.mean(selected["votes"]), abs=1e-4)


def test_with_quality_alone_the_highest_scores_are_kept_of_each_topic(scored_rows):
    topics = TopicClusterGrouper(num_clusters=4).run(make_dataset(scored_rows))
    selected = FacilityLocationSelector(
        num_per_topic=5, score_key=f"{STATS}.quality_score", score_weight=1.0, score_scale="rank"
    ).run(topics)
    score = score_of(scored_rows)
    for topic, kept in zip(topics, selected, strict=True):
        best = sorted((score[key] for key in topic["id"] if score[key] is not None), reverse=True)[:5]
        assert sorted((score[key] for key in kept["id"]), reverse=True) == best


def test_quality_is_scaled_over_the_whole_dataset_and_not_in_each_topic(embedded_rows):
    """In a topic of low scores only, scaled by itself, the highest of the low ones would count fully."""
    from data_juicer.ops.grouper import KeyValueGrouper

    rows = [
        row | {"side": "low" if at < 60 else "high", "score": (1e-6 if at < 60 else 1.0) * (at % 3)}
        for at, row in enumerate(embedded_rows)
    ]
    low = decode_vectors([row[EMBEDDING] for row in rows[:60]])
    weighed = FacilityLocationSelector(num_per_topic=10, score_key="score", score_weight=0.9)

    def covered_of_low(some):
        topics = weighed.run(KeyValueGrouper(group_by_keys=["side"]).run(make_dataset(some)))
        (ids,) = (topic["id"] for topic in topics if topic["side"][0] == "low")
        return objective(low, np.flatnonzero([row["id"] in ids for row in rows[:60]]))

    best = objective(low, select(low, 10).indices)
    assert covered_of_low(rows) == pytest.approx(best, rel=1e-3)
    assert covered_of_low(rows[:60]) < 0.97 * best


def test_raw_scores_must_not_be_negative(embedded_rows):
    rows = [row | {"score": at - 3} for at, row in enumerate(embedded_rows[:20])]
    for scale in ("minmax", "rank"):
        FacilityLocationSelector(score_key="score", score_weight=0.5, score_scale=scale).run(make_dataset(rows))
    with pytest.raises(DatasetError, match=r"is -3, and on the score_scale raw no score may be negative"):
        FacilityLocationSelector(score_key="score", score_weight=0.5, score_scale="raw").run(make_dataset(rows))


@pytest.fixture(scope="module")
def target(tmp_path_factory, embedded_rows):
    """A target: a few rows of the dataset, without their embeddings."""
    rows = [{name: value for name, value in row.items() if name != EMBEDDING} for row in embedded_rows[5:120:15]]
    path = tmp_path_factory.mktemp("target") / "target.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_with_the_target_alone_the_rows_that_are_the_target_are_kept(embedded_rows, target):
    ids = {json.loads(line)["id"] for line in target.read_text(encoding="utf-8").splitlines()}
    operator = FacilityLocationSelector(select_num=len(ids), target_path=str(target), target_weight=1.0)
    assert set(operator.run(make_dataset(embedded_rows))["id"]) == ids


@pytest.mark.parametrize("grouped", [False, True])
def test_more_weight_of_the_target_comes_nearer_to_it(embedded_rows, target, tmp_path, grouped):
    dataset = make_dataset(embedded_rows)
    dataset = TopicClusterGrouper(num_clusters=4).run(dataset) if grouped else dataset
    reached = []
    for number, weight in enumerate((0.0, 0.3, 0.8)):
        operator = FacilityLocationSelector(select_num=12, target_path=str(target), target_weight=weight)
        reached.append(figures_of(tmp_path / str(number), operator, dataset)["target_similarity"])
    # The target lies in the dataset.
    assert [similarity["all"] for similarity in reached] == pytest.approx([1] * 3, abs=1e-3)
    assert reached[0]["chosen"] < reached[1]["chosen"] <= reached[2]["chosen"] + 1e-6


def test_embeddings_of_another_width_than_the_targets_are_a_sentence(target, embedded_rows):
    vectors = np.eye(3, dtype=np.float32)
    rows = [{**row, EMBEDDING: vector.tolist()} for row, vector in zip(embedded_rows, vectors, strict=False)]
    operator = FacilityLocationSelector(select_num=2, target_path=str(target), target_weight=0.5)
    with pytest.raises(EmbeddingError, match="embeddings of width 3, and those of the target have 384"):
        operator.run(make_dataset(rows))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"score_weight": 0.5}, "score_weight is 0.5, but score_key is not set"),
        ({"target_weight": 0.5}, "target_weight is 0.5, but target_path is not set"),
        ({"score_weight": 1.5, "score_key": "q"}, r"score_weight must be a number in \[0, 1\]"),
        ({"score_key": "q", "score_scale": "log"}, "score_scale must be one of"),
        ({"target_path": "/no/such.jsonl"}, r"target_path cannot be used: /no/such\.jsonl cannot be read"),
    ],
)
def test_parameters_that_cannot_work_are_refused_at_once(parameters, sentence):
    with pytest.raises(RecipeError, match=sentence):
        FacilityLocationSelector(**parameters)


def test_weights_above_one_together_are_refused(target):
    parameters = {"score_key": "q", "score_weight": 0.7, "target_path": str(target)}
    with pytest.raises(RecipeError, match=r"must not exceed 1 together, got 0\.7 and 0\.4"):
        FacilityLocationSelector(target_weight=0.4, **parameters)
    # 0.7 + 0.3 is more than 1 by rounding on some ways to add.
    FacilityLocationSelector(target_weight=0.3, **parameters)


@pytest.mark.parametrize("allocation", ["gain", "taylor"])
def test_a_total_is_met_with_quality_and_a_target(scored_rows, target, allocation):
    topics = TopicClusterGrouper(num_clusters=5).run(make_dataset(scored_rows))
    selected = FacilityLocationSelector(
        select_num=33,
        allocation=allocation,
        score_key="quality_score",
        score_weight=0.3,
        target_path=str(target),
        target_weight=0.3,
    ).run(topics)
    assert len(chosen_ids(selected)) == 33


def test_taylor_splits_a_total_by_the_graph_cut_of_the_topics(topics):
    selected = FacilityLocationSelector(select_num=30, allocation="taylor").run(topics)
    sums = np.stack([decode_vectors(row[EMBEDDING]).sum(axis=0, dtype=np.float64) for row in topics])
    order, gains = graph_cut(sums / np.linalg.norm(sums, axis=1, keepdims=True))
    budgets = taylor_budgets(gains, [sizes(topics)[number] for number in order], 30)
    expected = dict(zip(order, budgets.tolist(), strict=True))
    kept = {number: expected[number] for number in sorted(expected) if expected[number]}
    assert sizes(selected) == list(kept.values())
