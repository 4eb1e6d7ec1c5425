"""The common columns and types of the blocks of a Ray dataset."""

import pyarrow as pa
import pytest

from mergeit_ops.distributed.schemas import common_schema, different_types
from mergeit_ops.errors import DatasetError

STRUCT = pa.struct({"a": pa.int64()})


def common(*columns):
    return common_schema([pa.schema(fields) for fields in columns], "op")


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (pa.null(), pa.string(), pa.string()),
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float64(), pa.float64()),
        (STRUCT, pa.struct({"a": pa.int64(), "b": pa.string()}), pa.struct({"a": pa.int64(), "b": pa.string()})),
        (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string())),
    ],
)
def test_types_are_widened_in_either_order(first, second, both):
    assert common({"x": first}, {"x": second}) == common({"x": second}, {"x": first}) == pa.schema({"x": both})


def test_columns_are_those_of_all_blocks_in_the_order_in_which_they_come():
    found = common({"a": pa.string()}, {"b": pa.int64(), "a": pa.string()}, {"c": pa.null()})
    assert found.names == ["a", "b", "c"]


@pytest.mark.parametrize(("first", "second"), [(pa.string(), pa.int64()), (STRUCT, pa.string()), (pa.bool_(), STRUCT)])
def test_types_that_do_not_go_together_are_named_with_their_column(first, second):
    with pytest.raises(DatasetError) as caught:
        common({"same": pa.string(), "x": first}, {"y": pa.int64(), "same": pa.string(), "x": second})
    assert str(caught.value) == different_types("op", "x", first, second)
    assert "the column 'x' is" in str(caught.value)
