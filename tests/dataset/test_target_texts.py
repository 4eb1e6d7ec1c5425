"""The texts of a target, of every kind of file."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.dataset.target_texts import read_target
from mergeit_ops.errors import DatasetError

AUTO = {"name": "auto"}
ROWS = [
    {"instruction": "Name a colour.", "input": "", "output": "Red."},
    {"instruction": "Translate:", "input": "chat", "output": "cat"},
]
TEXTS = ["Name a colour.", "Translate: chat"]


def test_rows_of_every_kind_of_file_are_read(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.json", "a.jsonl.gz", "a.parquet"):
        assert read_target(tmp_path / name, AUTO) == (TEXTS, 0), name


def test_a_folder_is_all_its_files(tmp_path):
    for number, row in enumerate(ROWS):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert read_target(tmp_path, AUTO) == (TEXTS, 0)


def test_a_file_of_another_name_has_a_text_on_each_line(tmp_path):
    (tmp_path / "target.txt").write_text("Name a colour.\n\n  Name a city.\r\n", encoding="utf-8")
    assert read_target(tmp_path / "target.txt", AUTO) == (["Name a colour.", "Name a city."], 0)


def test_the_target_may_have_another_sample_format_than_the_dataset(tmp_path):
    chat = {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}
    (tmp_path / "chat.jsonl").write_text(json.dumps(chat), encoding="utf-8")
    own = {"name": "alpaca", "instruction_key": "task", "response_key": "answer"}
    assert read_target(tmp_path / "chat.jsonl", own) == (["Why?"], 0)
    (tmp_path / "own.jsonl").write_text(json.dumps({"task": "Why?", "answer": "So."}), encoding="utf-8")
    assert read_target(tmp_path / "own.jsonl", own) == (["Why?"], 0)


def test_rows_without_a_text_are_counted(tmp_path):
    rows = [*ROWS, {"instruction": None, "input": "", "output": "Red."}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_target(tmp_path / "a.jsonl", AUTO) == (TEXTS, 1)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.jsonl", None, r"none\.jsonl cannot be read \(No such file"),
        ("none.txt", None, r"none\.txt cannot be read \(No such file"),
        ("empty.jsonl", b"", r"empty\.jsonl has no texts: it is empty"),
        ("empty.txt", b"\n \n", r"empty\.txt has no texts: it is empty"),
        ("blank.jsonl", b'{"instruction": " ", "output": "x"}', r"none of its 1 row has a text"),
        ("bad.jsonl", b'{"instruction": ', r"bad\.jsonl, line 1, is not a JSON object"),
        ("latin.txt", "café".encode("latin-1"), r"latin\.txt is not text in UTF-8"),
        ("other.jsonl", b'{"title": "x"}', r"other\.jsonl: no sample format fits"),
        ("bad.parquet", b"PAR1", r"bad\.parquet cannot be read as parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        read_target(tmp_path / name, AUTO)


def test_a_folder_without_files_of_rows_is_a_sentence(tmp_path):
    (tmp_path / "notes.md").write_text("x", encoding="utf-8")
    with pytest.raises(DatasetError, match="holds no file that ends in"):
        read_target(tmp_path, AUTO)
