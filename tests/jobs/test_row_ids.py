"""The ids of rows."""

from collections import Counter

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, ROW_ID
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.row_ids import row_ids

TABLE = pa.table({"text": ["a", "b", "a", "a"], EMBEDDING: ["1", "2", "3", "4"]})


def test_duplicates_are_told_apart_in_any_cut_of_the_dataset():
    whole = row_ids(TABLE, Counter(), "op")
    seen: Counter[str] = Counter()
    parts = [row_id for start in range(4) for row_id in row_ids(TABLE.slice(start, 1), seen, "op")]
    assert parts == whole
    assert len(set(whole)) == 4
    assert row_ids(TABLE.slice(0, 0), Counter(), "op") == []


def test_columns_that_are_not_the_users_do_not_change_an_id():
    assert row_ids(TABLE.drop_columns([EMBEDDING]), Counter(), "op") == row_ids(TABLE, Counter(), "op")


def test_ids_that_rows_bring_are_taken():
    assert row_ids(pa.table({"text": ["a", "a"], ROW_ID: ["x", "y"]}), Counter(), "op") == ["x", "y"]


@pytest.mark.parametrize("ids", [["x", "x"], ["x", None], [1, 2]])
def test_ids_that_cannot_tell_rows_apart_are_refused(ids):
    with pytest.raises(DatasetError, match=f"op: the column '{ROW_ID}' must hold a different text in every row"):
        row_ids(pa.table({ROW_ID: ids}), Counter(), "op")


def test_an_id_that_comes_again_in_a_later_table_is_refused():
    seen: Counter[str] = Counter()
    row_ids(pa.table({ROW_ID: ["x"]}), seen, "op")
    with pytest.raises(DatasetError):
        row_ids(pa.table({ROW_ID: ["y", "x"]}), seen, "op")
