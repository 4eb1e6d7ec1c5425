"""The samples of files of the user's own."""

import json

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.sample_files import read_samples
from mergeit_ops.errors import DatasetError

LAYOUT = {"name": "auto"}


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def samples(path, layout=LAYOUT, **more):
    return [found.sample for found in read_samples(path, layout, **more)]


def test_rows_of_any_format_are_samples_with_their_line(tmp_path):
    path = write(tmp_path / "a.jsonl", {"query": "Why?", "response": "So."}, {"query": "Wie?", "response": "Só."})
    found = read_samples(path, LAYOUT)
    assert [(one.file, one.number, one.sample.query, one.sample.output) for one in found] == [
        (path, 1, "Why?", "So."),
        (path, 2, "Wie?", "Só."),
    ]


def test_the_keys_of_the_recipe_come_first_and_other_columns_after_them(tmp_path):
    layout = {"name": "auto", "instruction_key": "q", "response_key": "a"}
    own = write(tmp_path / "own.jsonl", {"q": "Why?", "a": "So.", "instruction": "no", "output": "no"})
    assert samples(own, layout) == [Sample("Why?", "", "So.")]
    other = write(tmp_path / "other.jsonl", {"instruction": "Why?", "output": "So."})
    assert samples(other, layout) == [Sample("Why?", "", "So.")]


def test_a_text_file_has_a_question_in_each_line(tmp_path):
    path = tmp_path / "questions.txt"
    path.write_text("Why?\n\n  Wie? \n", encoding="utf-8")
    assert [(one.number, one.sample.instruction) for one in read_samples(path, LAYOUT)] == [(1, "Why?"), (3, "Wie?")]
    path.write_text("", encoding="utf-8")
    assert samples(path) == []


def test_names_of_benchmarks_are_read_only_for_benchmarks(tmp_path):
    path = write(tmp_path / "b.jsonl", {"goal": "Boil an egg.", "solution": "Heat water.", "label": 1})
    with pytest.raises(DatasetError, match="no sample format fits"):
        samples(path)
    assert samples(path, benchmark=True) == [Sample("Boil an egg.", "", "Heat water.")]
    path = write(tmp_path / "c.jsonl", {"sentence": "A text."}, {"sentence": None})
    assert samples(path, benchmark=True) == [Sample("A text.", "", ""), Sample("", "", "")]


def test_a_folder_is_read_in_the_order_of_names_and_without_hidden_files(tmp_path):
    write(tmp_path / "b.jsonl", {"query": "b", "response": "x"})
    write(tmp_path / "a.jsonl", {"query": "a", "response": "x"})
    write(tmp_path / ".hidden.jsonl", {"query": "h", "response": "x"})
    write(tmp_path / "_part.jsonl", {"query": "p", "response": "x"})
    (tmp_path / "notes.md").write_text("n", encoding="utf-8")
    assert [sample.query for sample in samples(tmp_path)] == ["a", "b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no file that ends in"):
        samples(tmp_path / "empty")


def test_files_of_a_folder_of_benchmarks_need_not_be_of_one_layout(tmp_path):
    write(tmp_path / "a.jsonl", {"question": "a?", "answer": "x"})
    write(tmp_path / "b.jsonl", {"problem": "b?", "solution": "y"})
    assert samples(tmp_path, benchmark=True) == [Sample("a?", "", "x"), Sample("b?", "", "y")]


def test_what_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        samples(tmp_path / "none.txt")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"query": ', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"broken.jsonl"):
        samples(broken)
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfa\x00abc\xff")
    with pytest.raises(DatasetError, match="is not text in UTF-8"):
        samples(binary)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    assert samples(empty) == []
