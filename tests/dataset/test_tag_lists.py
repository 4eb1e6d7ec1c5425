"""The tags of rows, as a column of lists of texts."""

import pyarrow as pa
import pytest
from datasets import Dataset, Features, Value

from mergeit_ops.dataset.tag_lists import check_tags, tag_lists, with_tag_features, with_tags
from mergeit_ops.errors import DatasetError

LISTS = [pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.null()), pa.null()]


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_texts_are_tags(kind):
    check_tags({"tags": kind}, "tags", "op")


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.list_(pa.int64()), pa.list_(pa.list_(pa.string()))])
def test_anything_else_is_refused_by_name_and_type(kind):
    with pytest.raises(DatasetError, match="op: the tags_key 'tags' must hold a list of texts") as caught:
        check_tags({"tags": kind}, "tags", "op")
    assert str(kind) in str(caught.value)


def test_a_missing_column_is_told_with_those_there_are():
    with pytest.raises(DatasetError, match=r"op: there is no column 'tags'.*There are 'a', 'b'"):
        check_tags({"a": pa.string(), "b": pa.string()}, "tags", "op")


def test_each_tag_of_a_row_comes_once_and_null_is_none():
    values = [["b", "a", "b", None], [], None, [None], ["数学", ""]]
    table = pa.table({"tags": pa.array(values, pa.list_(pa.string()))})
    assert tag_lists(table, "tags") == [["b", "a"], [], [], [], ["数学", ""]]
    assert tag_lists(pa.table({"tags": pa.nulls(2)}), "tags") == [[], []]


def test_tags_are_added_or_replaced_where_they_stand():
    table = pa.table({"tags": [1, 2], "text": ["a", "b"]})
    replaced = with_tags(table, "tags", [["x"], []])
    assert replaced.to_pydict() == {"tags": [["x"], []], "text": ["a", "b"]}
    added = with_tags(table, "more", iter([(), ("y",)]))
    assert added.column_names == ["tags", "text", "more"]
    features = with_tag_features(Features({"text": Value("string")}), "more")
    assert Dataset.from_dict({"text": ["a"], "more": [["x"]]}, features=features)[0]["more"] == ["x"]
    assert features.arrow_schema.field("more").type.value_type == added.schema.field("more").type.value_type
