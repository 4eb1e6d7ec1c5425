"""Selectors that know a score of each sample."""

import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops import FacilityLocationSelector, TopicClusterGrouper
from tests.ops.scored import chosen_ids, score_of
from tests.recipe_runs import make_dataset


@pytest.mark.parametrize("grouped", [False, True])
def test_rows_without_a_score_can_be_dropped(scored_rows, grouped):
    dataset = make_dataset(scored_rows)
    dataset = TopicClusterGrouper(num_clusters=4).run(dataset) if grouped else dataset
    parameters = {"select_num": 400, "score_key": "quality_score", "score_weight": 0.2, "missing_score": "drop"}
    score = score_of(scored_rows)
    kept = chosen_ids(FacilityLocationSelector(**parameters).run(dataset))
    assert sorted(kept) == sorted(key for key in score if score[key] is not None)


def test_rows_without_a_score_stop_the_run_if_asked_for(scored_rows):
    missing = sum(score is None for score in score_of(scored_rows).values())
    operator = FacilityLocationSelector(score_key="quality_score", score_weight=0.5, missing_score="raise")
    with pytest.raises(DatasetError, match=rf"{missing} of {len(scored_rows)} samples (has|have) no number"):
        operator.run(make_dataset(scored_rows))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    ("key", "sentence"),
    [("votess", "no sample has a number at the score_key 'votess' .the stats"), ("no.such", "no column 'no'")],
)
def test_a_missing_column_or_stat_is_named_before_any_embedding(scored_rows, grouped, key, sentence):
    rows = [{name: value for name, value in row.items() if name != EMBEDDING} for row in scored_rows]
    dataset = TopicClusterGrouper(num_clusters=4).run(make_dataset(scored_rows)) if grouped else make_dataset(rows)
    operator = FacilityLocationSelector(score_key=key, score_weight=0.5, embedding_model="/no/such/model")
    with pytest.raises(DatasetError, match=sentence):
        operator.run(dataset)
