"""`python -m mergeit_ops cache`: what is stored, and making room."""

from __future__ import annotations

import re
import sqlite3
import time

import pytest

from mergeit_ops import cli
from mergeit_ops.llm.journal import Journal, default_cache_path


@pytest.fixture
def journal(tmp_path):
    file = tmp_path / "answers.db"
    with Journal(file) as journal:
        journal.put("a", '{"first": 1}', (100, 20), model="gpt-4o")
        journal.put("b", '{"second": 2}', (1_000, 30), model="gpt-4o")
        journal.put("c", '{"third": 3}', (7, None))
    return file


def test_it_tells_answers_and_tokens_by_model(journal, capsys):
    assert cli.main(["cache", str(journal)]) == 0
    head, *models = capsys.readouterr().out.splitlines()
    assert head == f"{journal}: 3 answers, 0.0 MB"
    assert re.match(r"  gpt-4o: 2 answers, 1,100 prompt and 50 completion tokens, 2\d{3}-\d\d-\d\d", models[0])
    assert models[1].startswith("  unknown model: 1 answers, 7 prompt and 0 completion tokens")


def test_it_shows_the_newest_answers(journal, capsys):
    assert cli.main(["cache", str(journal), "--show", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.index('{"third": 3}') < printed.index('{"second": 2}')
    assert "first" not in printed


def test_it_empties_the_journal_and_leaves_it_usable(journal, capsys):
    assert cli.main(["cache", str(journal), "--empty"]) == 0
    assert "3 answers removed" in capsys.readouterr().out
    with Journal(journal) as again:
        assert again.get("a") is None
        again.put("a", "x")
        assert again.get("a") == "x"


def test_it_removes_old_answers_only(journal, capsys):
    connection = sqlite3.connect(journal)
    connection.execute("UPDATE answers SET created_at = ? WHERE key = 'a'", (time.time() - 31 * 86_400,))
    connection.commit()
    connection.close()
    assert cli.main(["cache", str(journal), "--empty", "--older-than", "30"]) == 0
    assert "1 answers removed" in capsys.readouterr().out
    with Journal(journal) as left:
        assert (left.get("a"), left.get("b")) == (None, '{"second": 2}')


def test_the_default_is_the_journal_of_the_cache_folder(capsys):
    assert cli.main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(f"{default_cache_path()}: no such file")


def test_what_is_no_journal_is_left_as_it_is(tmp_path, capsys):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    assert cli.main(["cache", str(file), "--empty"]) == 1
    assert "is no answer cache" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["notes.txt"]


def test_an_age_alone_removes_nothing(journal, capsys):
    assert cli.main(["cache", str(journal), "--older-than", "3"]) == 1
    assert "give --empty with it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["cache", str(journal), "--older-than", "-1", "--empty"])
