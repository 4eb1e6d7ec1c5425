"""The scores of the rows of a dataset, and their scale."""

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.scores import ScoreSettings, read_scores
from tests.recipe_runs import make_dataset


@pytest.mark.parametrize("key", ["votes", "judge.mark"])
def test_a_key_that_names_nothing_is_a_sentence(key):
    with pytest.raises(DatasetError, match=r"op: there is no column '(votes|judge)' for the score_key .* 'text'"):
        read_scores(LocalRows(make_dataset([{"text": "a"}])), ScoreSettings(key), "op")


def test_a_column_that_hides_a_stat_is_read_with_a_warning(lines):
    def numbers(key, stats):
        rows = LocalRows(make_dataset([{"text": "a", "mark": 1.0, STATS: stats}] * 2))
        return read_scores(rows, ScoreSettings(key), "op")[1].tolist()

    assert numbers(f"{STATS}.mark", {"mark": 4.0}) == [4, 4]
    assert numbers("mark", {"other": 4.0}) == [1, 1]
    assert lines == []
    assert numbers("mark", {"mark": 4.0}) == [1, 1]
    assert "op: 'mark' is read from the column of that name, although 2 rows have a stat of that name" in lines[0]
    assert f"write {STATS}.mark" in lines[0]


def test_the_scale_is_fitted_to_the_rows_that_have_a_score():
    rows = LocalRows(make_dataset([{"text": "a", "score": score} for score in (3.0, None, 5.0, 4.0)]))
    scores, numbers = read_scores(rows, ScoreSettings("score", "minmax", "drop"), "op")
    assert scores.scale(numbers[[0, 2, 3]]).tolist() == [0, 1, 0.5]
    assert scores.drops_missing
