"""The file of results: nothing finished is lost or done again, whatever stops a run."""

from __future__ import annotations

import json

import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.training.results import Results, RunKey, RunResult

KEY = RunKey("set", "abc", 1, 2)


def opened(path, experiment="one", **options):
    results = Results(path, experiment)
    results.open({"student": "tiny"}, **options)
    return results


def test_what_is_added_is_found_again(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    results = opened(path)
    results.add(RunResult(KEY, [1.0, 2.123456789], {"steps": 3}))
    results.close()
    again = opened(path)
    assert again.found == {KEY: RunResult(KEY, [1.0, 2.12346], {"steps": 3})}
    again.add(RunResult(RunKey("random"), [0.5, 0.5], {}))
    again.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["experiment", "run", "run"]


def test_experiments_share_a_file(tmp_path):
    path = tmp_path / "results.jsonl"
    one = opened(path, "one")
    one.add(RunResult(KEY, [1.0], {}))
    one.close()
    other = opened(path, "other")
    assert (other.found, other.others) == ({}, 1)
    other.close()


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
def test_a_line_that_a_kill_has_torn_is_done_again(tmp_path, kept):
    path = tmp_path / "results.jsonl"
    results = opened(path)
    results.add(RunResult(RunKey("random"), [0.25], {}))
    before = path.read_bytes()
    results.add(RunResult(KEY, [1.0], {"name": "ä"}))
    results.close()
    torn = path.read_bytes()[len(before) :][:kept]
    path.write_bytes(before + torn)
    again = opened(path)
    assert list(again.found) == [RunKey("random"), KEY][: 2 if kept == -1 else 1]
    again.add(RunResult(KEY, [1.0], {}))
    again.close()
    last = opened(path)
    assert set(last.found) == {RunKey("random"), KEY}
    last.close()


@pytest.mark.parametrize("content", ['{"instruction": "a"}\n', "text\n", '[1]\n{"kind": "run"}\n'])
def test_another_file_is_never_touched(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(DatasetError, match="name another file"):
        opened(path)
    assert path.read_text() == content


def test_two_processes_cannot_add_to_one_file(tmp_path):
    path = tmp_path / "results.jsonl"
    first = opened(path)
    with pytest.raises(DatasetError, match="another process writes to"):
        opened(path)
    first.close()
    opened(path).close()


def test_looking_changes_nothing(tmp_path):
    path = tmp_path / "results.jsonl"
    assert opened(path, read_only=True).found == {}
    assert list(tmp_path.iterdir()) == []
