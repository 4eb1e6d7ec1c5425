"""Where the values of rows stand, and what each row holds."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.jobs.fields import Field


@pytest.mark.parametrize(
    ("key", "columns", "field"),
    [
        ("votes", ["votes", STATS], Field("votes")),
        ("quality_score", ["votes", STATS], Field(STATS, ("quality_score",))),
        (f"{STATS}.quality_score", ["votes", STATS], Field(STATS, ("quality_score",))),
        ("judge.first.mark", ["judge"], Field("judge", ("first", "mark"))),
        # A column wins, since a stat of the same name can be named by its path.
        ("quality_score", ["quality_score", STATS], Field("quality_score")),
        ("a.b", ["a.b", "a"], Field("a.b")),
    ],
)
def test_a_key_names_a_column_or_a_key_inside_one_or_a_stat(key, columns, field):
    assert Field.of(key, columns, STATS) == field


def test_numbers_come_in_the_order_of_the_rows_and_nan_is_missing():
    field = Field("judge", ("mark",))
    table = pa.table({"judge": [{"mark": 2.5}, None, {"mark": float("nan")}, {"mark": 1.0}]})
    np.testing.assert_array_equal(field.numbers(table), [2.5, np.nan, np.nan, 1])
