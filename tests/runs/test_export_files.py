"""The files of an export and the rows in them."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.export_files import export_files, named_export, read_rows, stats_file


def touch(folder, *names):
    for name in names:
        (folder / name).write_text("{}\n", encoding="utf-8")
    return [folder / name for name in names]


def test_a_file_a_shard_and_a_folder_are_exports(tmp_path):
    (single,) = touch(tmp_path, "one.jsonl")
    assert export_files(single) == [single]
    shards = touch(tmp_path, "many-00-of-02.jsonl", "many-01-of-02.jsonl")
    assert export_files(tmp_path / "many.jsonl") == export_files(shards[1]) == shards
    folder = tmp_path / "ray"
    folder.mkdir()
    parts = touch(folder, "a.json", "b.json.gz")
    touch(folder, ".hidden.json", "_SUCCESS", "notes.txt")
    assert export_files(folder) == parts


@pytest.mark.parametrize(
    ("names", "export", "words"),
    [
        ([], "none.jsonl", "There is no file or folder"),
        (["a.dry_run.jsonl"], "a.jsonl", "a.jsonl. A dry run has written "),
        (["out.txt"], "out.txt", "is not an export: its name must end in"),
        (["x-00-of-02.jsonl"], "x.jsonl", "of its 2 shards, number 01 is missing"),
        (
            ["x-00-of-01.jsonl", "x-00-of-02.jsonl", "x-01-of-02.jsonl"],
            "x.jsonl",
            "more than one run (1 and 2",
        ),
        (["out.jsonl", "out_stats.jsonl"], ".", "is not an export of a run on Ray (out_stats.jsonl is of the default"),
        (["notes.md"], ".", "holds no file that ends in"),
        ([], "no/such/folder.jsonl", "There is no file or folder"),
        (["x.dry_run.jsonl"], "x.jsonl", "A dry run has written x.dry_run.jsonl beside it; run the recipe without"),
    ],
)
def test_what_is_no_export_is_a_sentence(tmp_path, names, export, words):
    touch(tmp_path, *names)
    with pytest.raises(DatasetError) as caught:
        export_files(tmp_path / export)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("out.jsonl", "out.jsonl"),
        ("out-00-of-02.jsonl", "out.jsonl"),
        ("out-00-of-02.jsonl.gz", "out.jsonl.gz"),
        ("run-1-of-2-00-of-10.parquet", "run-1-of-2.parquet"),
    ],
)
def test_a_shard_is_named_after_its_export(name, named):
    assert named_export(Path("folder", name)) == Path("folder", named)


def test_metadata_stand_beside_an_export(tmp_path):
    assert stats_file(tmp_path / "out.jsonl") is None
    (beside,) = touch(tmp_path, "out_stats.jsonl")
    for name in ("out.jsonl", "out.json", "out.parquet", "out.jsonl.gz"):
        assert stats_file(tmp_path / name) == beside
    assert stats_file(tmp_path) is None
    beside.rename(tmp_path / "out_stats.jsonl.gz")
    assert stats_file(tmp_path / "out.json") == tmp_path / "out_stats.jsonl.gz"


def test_metadata_are_parsed_where_they_are_text(tmp_path):
    rows = [{"text": "a", META: {"x": 1}, STATS: None}, {"text": "b", META: '{"x": 2}', STATS: "{}"}]
    path = tmp_path / "out.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    assert [row[META] for row in read_rows(path)] == [{"x": 1}, {"x": 2}]
    pq.write_table(pa.table({"text": ["a"], META: ['{"x": 3}']}), tmp_path / "out.parquet")
    assert list(read_rows(tmp_path / "out.parquet")) == [{"text": "a", META: {"x": 3}}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"a": 1}}\n{{"{META}": "no json"}}\n', f"row 2, column {META}: the text is not JSON"),
        (f'{{"{STATS}": [1]}}\n', f"row 1, column {STATS}: a mapping was expected, got [1]"),
        ('{"a": 1}\n{"a": \n', "2"),
    ],
)
def test_a_row_that_cannot_be_read_has_its_number(tmp_path, content, words):
    path = tmp_path / "out.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        list(read_rows(path))
    assert words in str(caught.value)
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read_rows(tmp_path / "none.jsonl"))
