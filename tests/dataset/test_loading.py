"""Rows and values that Data-Juicer's loader dropped or changed."""

import gzip
import json
from types import SimpleNamespace

import pyarrow as pa
import pytest
from datasets import Dataset, SplitDict, SplitInfo

from mergeit_ops.dataset.loading import changed_types, dates_of_texts, dropped_rows, rows_in_files, suffix_of_files
from mergeit_ops.dataset.recipe import Recipe


def recipe(text_keys=("text",), **config):
    return Recipe((), None, text_keys, "default", SimpleNamespace(**config))


def loaded(**splits):
    """A dataset whose information names the rows of its splits."""
    dataset = Dataset.from_dict({"text": ["a"]})
    dataset.info.splits = SplitDict({name: SplitInfo(name=name, num_examples=rows) for name, rows in splits.items()})
    return dataset


def test_the_loader_has_counted_the_rows_of_the_files():
    assert rows_in_files(loaded(train=5, test=2), recipe()) == 7
    assert rows_in_files(Dataset.from_dict({"text": ["a"]}), recipe()) is None


@pytest.mark.parametrize(
    ("config", "rows"),
    [
        ({"dataset": {"configs": [{"path": "a"}]}}, 5),
        ({"dataset": {"configs": [{"path": "a"}, {"path": "b"}]}}, None),
        ({"dataset": {"configs": [{"path": "a"}], "max_sample_num": 3}}, None),
        ({"dataset": {"configs": [{"path": "a", "limit": 3}]}}, None),
        ({"dataset": {"configs": [{}, {}]}, "dataset_path": "a"}, 5),
        ({"use_checkpoint": True}, None),
    ],
)
def test_of_a_part_of_the_rows_nothing_is_known(config, rows):
    assert rows_in_files(loaded(train=5), recipe(**config)) == rows


def test_dropped_rows_are_told_with_the_columns_that_were_null():
    assert dropped_rows(5, 5, recipe()) is None
    said = dropped_rows(1_000, 3_000, recipe(("query", "response")))
    assert "dropped 2,000 of 3,000 rows because they are null in a column of text_keys (query, response)" in said
    assert "keep_default_na" not in said
    assert "(text)" in dropped_rows(0, 1, recipe(()))


def test_of_csv_files_it_is_told_what_counts_as_null(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\nNA\n")
    assert "keep_default_na: false" in dropped_rows(0, 1, recipe(dataset_path=str(path)))


def test_the_suffix_is_that_of_the_rows_not_of_the_packing(tmp_path):
    with gzip.open(tmp_path / "a.JSONL.gz", "wt") as file:
        file.write("{}")
    (tmp_path / "notes.md").write_text("x")
    assert suffix_of_files(recipe(dataset_path=str(tmp_path))) == ".jsonl"
    mixture = {"configs": [{"path": str(tmp_path / "none")}, {"path": 7}, {"path": str(tmp_path)}]}
    assert suffix_of_files(recipe(dataset=mixture)) == ".jsonl"
    assert suffix_of_files(recipe(dataset_path=str(tmp_path / "none"))) is None
    assert suffix_of_files(recipe()) is None


def test_texts_that_became_timestamps_are_found_in_json_alone(tmp_path):
    for name in ("a.jsonl", "b.parquet"):
        (tmp_path / name).write_text("{}")
    date = pa.timestamp("s")
    schema = pa.schema(
        {"when": date, "deep": pa.list_(pa.struct({"at": date})), "text": pa.string(), "__dj__stats__": date}
    )
    assert dates_of_texts(schema, recipe(dataset_path=str(tmp_path / "a.jsonl"))) == ["when", "deep"]
    assert dates_of_texts(schema, recipe(dataset_path=str(tmp_path / "b.parquet"))) == []


def test_values_of_another_file_that_changed_their_type_are_named(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text(json.dumps({"n": 1, "t": "x", "f": True, "null": None}) + "\n")
    second.write_text(json.dumps({"n": "7", "t": 8, "f": "yes", "null": None}) + "\n")
    schema = pa.schema({"n": pa.int64(), "t": pa.string(), "f": pa.bool_(), "null": pa.string()})
    assert changed_types(schema, recipe(dataset_path=str(tmp_path))) == {
        "n": ("numbers", second),
        "t": ("texts", second),
        "f": ("booleans", second),
    }
    assert changed_types(schema, recipe(dataset_path=str(first))) == {}
    (tmp_path / "c.jsonl").write_text("{")
    assert set(changed_types(schema, recipe(dataset_path=str(tmp_path)))) == {"n", "t", "f"}
