"""The files of a run's records."""

import json
import os

import pytest

from mergeit_ops.dataset.record_files import MANIFEST_DIR, claim_file, read_files, replace_file


def record(operator="op", run="r", place=0, **more):
    return {"operator": operator, "run": run, "place": place, "figures": {}, "started": 1.0, **more}


def names(folder):
    return sorted(path.name for path in (folder / MANIFEST_DIR).iterdir())


def test_a_file_is_named_by_the_place_in_the_recipe(tmp_path):
    assert claim_file(str(tmp_path), record(place=11)).name == "012_op.json"
    assert claim_file(str(tmp_path), record("other", place=None)).name == "013_other.json"
    assert names(tmp_path) == ["012_op.json", "013_other.json"]


def test_a_file_of_another_run_is_never_changed_and_one_of_the_same_work_is_replaced(tmp_path):
    first = claim_file(str(tmp_path), record(figures={"n": 1}))
    other = claim_file(str(tmp_path), record(run="s", figures={"n": 2}))
    again = claim_file(str(tmp_path), record(figures={"n": 3}))
    more = claim_file(str(tmp_path), record(run="s", figures={"n": 4}))
    assert [path.name for path in (first, other, again, more)] == [
        "001_op.json",
        "001_op-2.json",
        "001_op.json",
        "001_op-2.json",
    ]
    assert [found["figures"]["n"] for found in read_files(tmp_path)] == [3, 4]


def test_runs_come_by_their_start_and_operators_by_their_place(tmp_path):
    claim_file(str(tmp_path), record("b", "late", 1, started=9.0))
    claim_file(str(tmp_path), record("a", "late", 0, started=8.0))
    claim_file(str(tmp_path), record("b", "early", 1, started=2.0))
    claim_file(str(tmp_path), record("a", "early", 0, started=3.0))
    found = [(each["run"], each["operator"]) for each in read_files(tmp_path)]
    assert found == [("early", "a"), ("early", "b"), ("late", "a"), ("late", "b")]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"operator": "op"}',
        json.dumps(record(place="first")),
        json.dumps(record(place=True)),
        json.dumps(record(figures=[])),
        json.dumps(record(run=None)),
    ],
)
def test_what_is_no_record_is_passed_over_with_one_warning(tmp_path, lines, content):
    good = claim_file(str(tmp_path), record())
    (good.parent / "000_bad.json").write_text(content, encoding="utf-8")
    for _ in range(2):
        assert len(read_files(tmp_path)) == 1
    assert sum("000_bad.json is ignored" in line for line in lines) == 1


def test_bytes_that_are_no_text_are_passed_over(tmp_path):
    good = claim_file(str(tmp_path), record())
    (good.parent / "000_bad.json").write_bytes(b"\xff\xfe{}")
    assert len(read_files(tmp_path)) == 1


def test_any_text_and_any_value_can_be_written(tmp_path):
    path = claim_file(str(tmp_path), record(parameters={"a": "ü", "half": "\ud800", "path": tmp_path}))
    assert read_files(tmp_path)[0]["parameters"] == {"a": "ü", "half": "\ud800", "path": str(tmp_path)}
    replace_file(path, record(figures={"n": 2}))
    assert read_files(tmp_path)[0]["figures"] == {"n": 2}
    assert names(tmp_path) == ["001_op.json"]


def test_a_file_system_without_links_is_borne(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    assert claim_file(str(tmp_path), record()).name == "001_op.json"
    assert claim_file(str(tmp_path), record(run="s")).name == "001_op-2.json"
    assert len(read_files(tmp_path)) == 2


def test_no_folder_has_no_records(tmp_path):
    assert read_files(tmp_path / "none") == []
