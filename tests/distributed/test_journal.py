"""One journal for a cluster: it lies on the driver's machine, and tasks read and write it there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergeit_ops.distributed.blocks import Blocks
from mergeit_ops.distributed.journal import JournalPlace, keep_journals
from mergeit_ops.llm.journal import Journal
from mergeit_ops.llm.journals import open_journal
from mergeit_ops.llm.settings import CACHE_AUTO


@pytest.mark.parametrize(
    ("said", "file"),
    [
        (CACHE_AUTO, "/cache/answers.jsonl"),
        ("mine.jsonl", "/run/mine.jsonl"),
        ("/somewhere/mine.jsonl", "/somewhere/mine.jsonl"),
        ("~/mine.jsonl", "~/mine.jsonl"),
    ],
)
def test_a_path_in_a_recipe_is_one_of_the_drivers_machine(said, file):
    assert JournalPlace("/run", "/cache").file(said, "answers.jsonl") == file


def write_and_read(table, path):
    """Store an answer in one journal, and read it by another one; both are those of the driver."""
    first, second = open_journal(path), open_journal(path)
    number = table["n"][0].as_py()
    first.put(f"key {number}", f"answer {number}", (3, 4), model="m")
    second.put_many({f"many {number}": "x"}, model="m")
    found = second.get(f"key {number}"), second.get("none"), first.get_many([f"many {number}", "none"])
    return None, (*found, first.write_failures, str(first.path))


def test_answers_of_all_tasks_are_in_the_file_of_the_driver(ray_cluster, tmp_path):
    import pyarrow as pa
    import ray

    file = tmp_path / "mine.jsonl"
    blocks = Blocks([ray.put(pa.table({"n": [number]})) for number in range(3)], [1] * 3)
    _, told = blocks.map(write_and_read, str(file), journals=keep_journals())
    assert told == [(f"answer {number}", None, {f"many {number}": "x"}, 0, str(file)) for number in range(3)]
    journal = Journal(file)
    assert [journal.get(f"key {number}") for number in range(3)] == [f"answer {number}" for number in range(3)]
    assert [journal.get(f"many {number}") for number in range(3)] == ["x"] * 3


def write_without_keeper(table, path):
    import ray

    from mergeit_ops.distributed.journal import _NAME

    journal = open_journal(path)
    ray.kill(ray.get_actor(_NAME))
    found = journal.get("key"), journal.get_many(["key"])
    journal.put("key", "answer")
    journal.put_many({"a": "1", "b": "2"})
    return None, (*found, journal.write_failures)


def test_a_journal_that_cannot_be_asked_loses_no_answer_silently(ray_cluster, tmp_path):
    import pyarrow as pa
    import ray

    blocks = Blocks([ray.put(pa.table({"n": [1]}))], [1])
    _, told = blocks.map(write_without_keeper, str(tmp_path / "mine.jsonl"), journals=keep_journals())
    assert told == [(None, {}, 3)]
    # The next work starts another keeper.
    assert isinstance(keep_journals(), JournalPlace)
    assert not Path(tmp_path / "mine.jsonl").exists() or Journal(tmp_path / "mine.jsonl").get("key") is None
