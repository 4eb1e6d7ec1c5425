"""`python -m mergeit_ops batch`: what it refuses; runs by hand are in tests/llm/batches/test_by_hand.py."""

from __future__ import annotations

from contextlib import closing

import pytest

from mergeit_ops import cli
from mergeit_ops.llm.batches.ledger import SUBMITTED, Ledger
from tests.recipe_runs import write_jsonl, write_recipe


@pytest.fixture
def journal(tmp_path):
    file = tmp_path / "own.db"
    with closing(Ledger(file)) as ledger:
        ledger.note(ledger.add("t1", ["a", "b"], "m"), SUBMITTED, file="file-1", batch_id="batch_1")
        ledger.add("t2", ["c"], "m")
    return file


def test_batches_are_listed_and_given_up_by_name(journal, capsys):
    assert cli.main(["batch", "list", "--cache-path", str(journal)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("batch_1: 2 requests, since ")
    assert listed[1].startswith("not submitted yet: 1 request,")
    assert cli.main(["batch", "forget", "batch_1", "--cache-path", str(journal)]) == 0
    assert "sends its 2 requests again" in capsys.readouterr().out
    assert cli.main(["batch", "forget", "batch_1", "--cache-path", str(journal)]) == 1
    assert "No batch batch_1 is under way" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list"], "There is no journal"),
        (["list", "--cache-path", ""], "--cache-path is empty"),
        (["import", "/nowhere/out.jsonl"], "/nowhere/out.jsonl cannot be read"),
        (["export", "--config", "/nowhere.yaml", "--folder", "x"], "There is no recipe /nowhere.yaml"),
    ],
)
def test_what_is_not_there_is_one_sentence(arguments, sentence, capsys):
    assert cli.main(["batch", *arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_a_file_that_was_read_already_is_not_taken_for_another(journal, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    out.write_text('{"custom_id": "a", "response": {"status_code": 200, "body": {}}}\n')
    # `a` is under way at the server, which has its response.
    assert cli.main(["batch", "import", str(out), "--cache-path", str(journal)]) == 1
    assert "no batch under way with the requests of these responses" in capsys.readouterr().out


def test_what_else_stops_the_recipe_is_said_without_its_log(tmp_path, capfd):
    data = write_jsonl(tmp_path / "in.jsonl", [{"instruction": "Why?", "output": "Because."}])
    recipe = write_recipe(tmp_path, [{"topic_cluster_grouper": {"num_clusters": -1}}], data)
    assert cli.main(["batch", "export", "--config", str(recipe), "--folder", str(tmp_path / "requests")]) == 1
    printed = capfd.readouterr()
    assert "num_clusters must be" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert "Traceback" in (tmp_path / "requests" / "log.txt").read_text()
