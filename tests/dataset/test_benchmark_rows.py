"""The rows of benchmarks: files of any layout, folders, plain text."""

from __future__ import annotations

import json

import pytest

from mergeit_ops.dataset.benchmark_rows import read_benchmarks
from mergeit_ops.errors import DatasetError
from tests.recipe_runs import write_jsonl

AUTO = {"name": "auto"}


def test_columns_under_the_names_of_benchmarks_are_read_beside_sample_formats(tmp_path):
    (tmp_path / "folder").mkdir()
    write_jsonl(
        tmp_path / "folder" / "math.jsonl", [{"question": "1+1?", "answer": 2}, {"question": " ", "answer": ""}]
    )
    write_jsonl(tmp_path / "folder" / "code.jsonl", [{"task_id": "0", "prompt": "def f():", "canonical_solution": "1"}])
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (tmp_path / "chat.json").write_text(json.dumps([{"messages": turns}]), encoding="utf-8")
    (tmp_path / "plain.txt").write_text("\nOne.\nTwo.\n", encoding="utf-8")
    rows, blank = read_benchmarks([tmp_path / name for name in ("folder", "chat.json", "plain.txt")], AUTO)
    assert [(row.source, row.question, row.answer) for row in rows] == [
        ("code.jsonl:1", "def f():", "1"),
        ("math.jsonl:1", "1+1?", "2"),
        ("chat.json:1", "Hi", "Hello"),
        ("plain.txt:2", "One.", ""),
        ("plain.txt:3", "Two.", ""),
    ]
    assert blank == 1


def test_files_of_one_name_are_told_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.txt").write_text("One.", encoding="utf-8")
    rows, _ = read_benchmarks([tmp_path / "a" / "test.txt", tmp_path / "b" / "test.txt"], AUTO)
    assert [row.file for row in rows] == [str(tmp_path / name / "test.txt") for name in ("a", "b")]


def test_what_cannot_be_read_is_named(tmp_path):
    write_jsonl(tmp_path / "odd.jsonl", [{"x": 1}])
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    for name, sentence in (
        ("odd.jsonl", "no sample format fits"),
        ("empty.txt", "no texts"),
        ("none.jsonl", "cannot be"),
    ):
        with pytest.raises(DatasetError, match=f"{name}.*{sentence}"):
            read_benchmarks([tmp_path / name], AUTO)
