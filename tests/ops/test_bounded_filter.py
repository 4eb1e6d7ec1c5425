"""Filters by bounds: which samples stay, and what becomes of those without a score."""

import pytest

from mergeit_ops.errors import DatasetError
from tests.ops.scored import by_length, outputs, rows
from tests.recipe_runs import make_dataset


def test_a_bound_is_kept_unless_it_is_open():
    given = make_dataset(rows("one", "three"))
    assert outputs(by_length(max_score=3).run(given)) == ["one"]
    assert outputs(by_length(max_score=3, max_closed_interval=False).run(given)) == []


@pytest.mark.parametrize(("what", "left"), [("keep", ["three", " "]), ("drop", ["three"])])
@pytest.mark.parametrize("bound", [{}, {"min_score": 4}])
def test_a_row_without_a_score_is_kept_or_dropped_as_asked_and_told(lines, what, left, bound):
    given = make_dataset(rows("three", " "))
    assert outputs(by_length(on_missing_score=what, **bound).run(given)) == left
    done = "dropped" if what == "drop" else "kept"
    assert any(f"1 sample has no score and is {done}: empty_response 1" in line for line in lines)


def test_a_row_without_a_score_stops_the_run_where_that_is_asked():
    with pytest.raises(DatasetError, match=r"no score \(empty_response\), and on_missing_score is raise"):
        by_length(on_missing_score="raise").run(make_dataset(rows("three", " ")))
    assert len(by_length(on_missing_score="raise").run(make_dataset(rows("three")))) == 1


def test_a_filter_says_whether_it_may_drop_rows():
    assert not by_length().role["may_drop"]
    assert by_length(min_score=1).role["may_drop"]
    assert by_length(on_missing_score="drop").role["may_drop"]
