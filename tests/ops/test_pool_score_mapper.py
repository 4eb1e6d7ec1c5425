"""Scores among all rows: in the stats, whatever the table sizes; rows that cannot be read; limits."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.scoring.knn_distance import knn_distances
from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.errors import DatasetError, RecipeError, ScorerError
from mergeit_ops.jobs import local_rows
from mergeit_ops.ops import PoolScoreMapper, TopicClusterGrouper
from tests.recipe_runs import make_dataset

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], np.float32)


def rows(vectors=X6) -> list[dict]:
    texts = encode_vectors(np.asarray(vectors, np.float32))
    return [
        {"instruction": f"row {number}", "input": "", "output": "x", EMBEDDING: text}
        for number, text in enumerate(texts)
    ]


def knn(**parameters) -> PoolScoreMapper:
    return PoolScoreMapper(scorer="knn_distance", scorer_params={"k": 2}, **parameters)


def test_each_row_gets_its_score_and_stays_as_it_was():
    given = rows()
    scored = list(knn().run(make_dataset(given)))
    expected = [0.894427, 0.632456, 0.894427, 1.414214, 1.414214, 0.632456]
    for row, result, distance in zip(given, scored, expected, strict=True):
        stats = result.pop(STATS)
        assert result == row
        assert stats["knn_distance"] == pytest.approx(distance, abs=1e-5)
        assert stats["knn_distance_status"] == "ok"


def test_scores_do_not_depend_on_how_the_rows_are_cut(monkeypatch, embedded_rows):
    whole = [row[STATS] for row in knn().run(make_dataset(embedded_rows))]
    monkeypatch.setattr(local_rows, "READ_ROWS", 7)
    assert [row[STATS] for row in knn().run(make_dataset(embedded_rows))] == whole
    vectors = decode_vectors([row[EMBEDDING] for row in embedded_rows])
    assert [stats["knn_distance"] for stats in whole] == pytest.approx(knn_distances(vectors, 2).tolist())


def test_rows_without_embeddings_are_embedded_and_get_no_column(sample_rows):
    scored = PoolScoreMapper(scorer="row_variance").run(make_dataset(sample_rows[:8]))
    assert EMBEDDING not in scored.column_names
    assert all(row[STATS]["row_variance"] > 0 for row in scored)


def test_rows_that_cannot_be_read_take_no_part(lines, sample_rows):
    given = [*sample_rows[:5], {**sample_rows[5], "instruction": "", "input": ""}]
    scored = knn().run(make_dataset(given))
    assert [row[STATS]["knn_distance_status"] for row in scored] == ["ok"] * 5 + ["unreadable"]
    assert [row[STATS] for row in knn().run(make_dataset(given[:5]))] == [row[STATS] for row in list(scored)[:5]]
    assert any("samples without a score, by reason: unreadable 1" in line for line in lines)


def test_with_too_few_others_there_is_no_score():
    scored = knn().run(make_dataset(rows(X6[:2])))
    assert [row[STATS]["knn_distance_status"] for row in scored] == ["no_neighbour"] * 2


def test_more_rows_than_a_scorer_is_meant_for_are_refused(monkeypatch):
    monkeypatch.setattr("mergeit_ops.scorers.pool._MOST_PAIRWISE_ROWS", 5)
    with pytest.raises(ScorerError, match=r"pool_score_mapper: knn_distance .* up to 5 rows; there are 6"):
        knn().run(make_dataset(rows()))


def test_stats_of_other_operators_stay():
    given = [row | {STATS: {"num_words": number}} for number, row in enumerate(rows())]
    assert [row[STATS]["num_words"] for row in knn().run(make_dataset(given))] == list(range(6))


def test_topics_are_refused(embedded_rows):
    with pytest.raises(DatasetError, match="pool_score_mapper: the rows are topics"):
        knn().run(TopicClusterGrouper(num_clusters=2).run(make_dataset(embedded_rows[:9])))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"scorer": "distilled"}, "scorer must be one of 'knn_distance', 'row_variance'"),
        ({"scorer_params": {"k": 0}}, "knn_distance: k must be"),
        ({"scorer_params": {"m": 1}}, "scorer_params do not fit the scorer 'knn_distance'"),
        ({"scorer": "row_variance", "scorer_params": {"statistic": "std"}}, "statistic must be one of"),
        ({"scorer": "tests.user_scorers:ByLength"}, "has no method prepare"),
        ({"scorer": "row_variance", "scorer_params": {"components": 0}}, "row_variance: components must be"),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, said):
    with pytest.raises((RecipeError, ScorerError), match=f"pool_score_mapper: .*{said}"):
        PoolScoreMapper(**parameters)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("PreparesTooFew", "prepared 5 values for 6 rows"),
        ("ScoresTooFew", "must give 1 score for each of 6 rows"),
        ("RaisesInPool", "failed .ZeroDivisionError"),
    ],
)
def test_a_scorer_of_ones_own_that_breaks_its_contract_is_named(name, said):
    with pytest.raises(ScorerError, match=f"pool_score_mapper: the scorer {name} .*{said}"):
        PoolScoreMapper(scorer=f"tests.user_scorers:{name}").run(make_dataset(rows()))


def test_what_is_no_number_is_no_score():
    scored = PoolScoreMapper(scorer="tests.user_scorers:NanInPool").run(make_dataset(rows()))
    assert {row[STATS]["in_pool_status"] for row in scored} == {"not_finite"}
