"""What identifies each row."""

import pyarrow as pa

from mergeit_ops.core.columns import EMBEDDING, META, ROW_ID
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.jobs.row_keys import content_keys, identity_keys, values_and_samples

TABLE = pa.table({"instruction": ["a", "a", "ü"], "output": ["b", "b", "c"], "source": ["s", "t", None]})


def test_rows_that_hold_the_same_have_the_same_key():
    _, keys = content_keys(pa.concat_tables([TABLE, TABLE]))
    assert keys[:3] == keys[3:]
    assert len(set(keys)) == 3


def test_what_is_not_the_users_does_not_count():
    more = TABLE.append_column(EMBEDDING, [["x", "y", "z"]]).append_column(META, [["1", "2", "3"]])
    assert content_keys(more) == content_keys(TABLE)
    assert content_keys(TABLE.select(["source"])) != content_keys(TABLE)
    assert content_keys(TABLE.slice(0, 0)) == (None, [])


def test_ids_that_rows_bring_count_before_what_they_hold():
    assert identity_keys(TABLE) == content_keys(TABLE)
    assert identity_keys(TABLE.append_column(ROW_ID, [["x", None, "z"]])) == (None, ["x", "None", "z"])
    assert identity_keys(TABLE.append_column(ROW_ID, [[1, 2, 3]]))[1] == ["1", "2", "3"]


def test_values_stand_beside_the_sample_they_come_with():
    layout = resolve_format("alpaca", TABLE.column_names)
    _, ((first, sample), (second, same), (third, other)) = values_and_samples(TABLE, "source", layout)
    assert sample == same != other
    assert len({first, second, third}) == 3
