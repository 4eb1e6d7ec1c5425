"""Where the scores of rows stand, and which number each row has."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.scores import ScoreField, ScoreSettings, read_scores
from tests.recipe_runs import make_dataset


@pytest.mark.parametrize(
    ("key", "columns", "field"),
    [
        ("votes", ["votes", STATS], ScoreField("votes")),
        ("quality_score", ["votes", STATS], ScoreField(STATS, ("quality_score",))),
        (f"{STATS}.quality_score", ["votes", STATS], ScoreField(STATS, ("quality_score",))),
        ("judge.first.mark", ["judge"], ScoreField("judge", ("first", "mark"))),
        # A column wins, since a stat of the same name can be named by its path.
        ("quality_score", ["quality_score", STATS], ScoreField("quality_score")),
        ("a.b", ["a.b", "a"], ScoreField("a.b")),
    ],
)
def test_a_key_names_a_column_or_a_key_inside_one_or_a_stat(key, columns, field):
    assert ScoreField.of(key, columns, "op") == field


@pytest.mark.parametrize("key", ["votes", "judge.mark"])
def test_a_key_that_names_nothing_is_a_sentence(key):
    with pytest.raises(DatasetError, match=r"op: there is no column '(votes|judge)' for the score_key .* 'text'"):
        ScoreField.of(key, ["text"], "op")


def test_numbers_come_in_the_order_of_the_rows_and_nan_is_missing():
    field = ScoreField("judge", ("mark",))
    table = pa.table({"judge": [{"mark": 2.5}, None, {"mark": float("nan")}, {"mark": 1.0}]})
    np.testing.assert_array_equal(field.numbers(table), [2.5, np.nan, np.nan, 1])


def test_the_scale_is_fitted_to_the_rows_that_have_a_score():
    rows = LocalRows(make_dataset([{"text": "a", "score": score} for score in (3.0, None, 5.0, 4.0)]))
    scores, numbers = read_scores(rows, ScoreSettings("score", "minmax", "drop"), "op")
    assert scores.scale(numbers[[0, 2, 3]]).tolist() == [0, 1, 0.5]
    assert scores.drops_missing
