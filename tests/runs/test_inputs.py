"""The rows of a dataset as Data-Juicer loads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mergeit_ops.core.columns import META, ROW_ID
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.inputs import read_input
from tests.recipe_runs import write_jsonl
from tests.runs.listing import listed


def test_a_copy_of_the_folder_that_lists_files_otherwise_is_read(tmp_path, monkeypatch):
    data = tmp_path / "in"
    data.mkdir()
    write_jsonl(data / "0.jsonl", [{"id": 1}])
    write_jsonl(data / "1.jsonl", [{"id": "x"}])
    listed(monkeypatch, ["1.jsonl", "0.jsonl"])
    ids = set(read_input(data).ids)
    monkeypatch.undo()
    copy = Path(shutil.copytree(data, tmp_path / "copy"))
    listed(monkeypatch, ["0.jsonl", "1.jsonl"])
    assert set(read_input(copy).ids) == ids


def test_files_that_go_together_in_no_order_are_refused(tmp_path):
    for number, value in enumerate([[1], "x", {"a": 1}]):
        write_jsonl(tmp_path / f"{number}.jsonl", [{"id": value}])
    with pytest.raises(DatasetError, match="cannot be read"):
        read_input(tmp_path)


def test_several_sources_are_read_like_one_whose_files_lack_columns(tmp_path):
    one, other = [{"text": "a"}, {"text": "b"}], [{"text": "a", "source": "x"}, {"text": "a"}]
    paths = [write_jsonl(tmp_path / f"{name}.jsonl", rows) for name, rows in (("one", one), ("other", other))]
    rows = read_input(*paths)
    assert rows.ids == read_input(write_jsonl(tmp_path / "all.jsonl", one + other)).ids
    assert list(rows.contents()) == [
        {"text": text, "source": name} for text, name in zip("abaa", (None, None, "x", None), strict=True)
    ]


def test_sources_whose_columns_do_not_go_together_are_refused(tmp_path):
    paths = [write_jsonl(tmp_path / f"{n}.jsonl", [{"id": value}]) for n, value in enumerate([[1], "x"])]
    with pytest.raises(DatasetError, match=r"0\.jsonl and .*1\.jsonl cannot be read together"):
        read_input(*paths)


def test_rows_have_the_ids_that_they_bring_or_those_of_their_content(tmp_path):
    rows = read_input(write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "a"}, {"text": "ü"}]))
    assert len(set(rows.ids)) == len(rows) == 3
    assert [rows.number_of(row_id) for row_id in rows.ids] == [1, 2, 3]
    assert rows.content(rows.ids[2]) == {"text": "ü"}
    assert list(rows.contents()) == [{"text": "a"}, {"text": "a"}, {"text": "ü"}]
    assert "none" not in rows
    assert rows.number_of("none") is None
    brought = [{"text": "a", ROW_ID: "x", META: {"row_id": "before"}}]
    rows = read_input(write_jsonl(tmp_path / "b.jsonl", brought))
    assert (rows.ids, rows.earlier_ids, rows.columns) == (["x"], {"x": "before"}, ("text",))


def test_rows_are_told_by_their_content_too_whatever_id_they_bring(tmp_path):
    rows = [
        {"text": text, ROW_ID: row_id, META: {"row_id": "before"}} for text, row_id in zip("aab", "xyy", strict=True)
    ]
    brought = read_input(write_jsonl(tmp_path / "a.jsonl", rows))
    a, b = content_digest({"text": "a"}), content_digest({"text": "b"})
    assert brought.ids == ["x", "y", "y-1"]
    assert [brought.names_of(row_id) for row_id in brought.ids] == [
        (a, "x", "before"),
        (a, "y", "before"),
        (b, "y-1", "before"),
    ]
    own = read_input(write_jsonl(tmp_path / "b.jsonl", [{"text": text} for text in "aa"]))
    assert [own.names_of(row_id) for row_id in own.ids] == [(a,), (a, f"{a}-1")]
    assert own.names_of("z") == ("z",)
    assert own.names_of(f"{b}-2") == (b, f"{b}-2")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "found no such file"),
        (["a.md"], "found no such file"),
        (["a.jsonl", "b.csv"], "files of more than one kind"),
    ],
)
def test_a_folder_holds_files_of_one_kind(tmp_path, names, words):
    for name in names:
        (tmp_path / name).write_text('{"a": 1}\n', encoding="utf-8")
    with pytest.raises(DatasetError, match=words):
        read_input(tmp_path)
    with pytest.raises(DatasetError, match="There is no file or folder"):
        read_input(tmp_path / "none")


def test_a_line_that_cannot_be_read_has_its_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": \n', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"a\.jsonl.*2"):
        read_input(path)
