"""`python -m mergeit_ops cache`: what is stored, and making room."""

from __future__ import annotations

import math
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import pytest

from mergeit_ops import cli
from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.errors import DatasetError
from mergeit_ops.llm import journal_contents
from mergeit_ops.llm.journal import LOSSES_FILE, Journal, default_cache_path
from mergeit_ops.llm.loss_journal import LossJournal
from tests.old_journal import write_first_format


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
    assert models[1].startswith("  unknown model: 1 answer, 7 prompt and 0 completion tokens")


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
    assert "1 answer removed" in capsys.readouterr().out
    with Journal(journal) as left:
        assert (left.get("a"), left.get("b")) == (None, '{"second": 2}')


def test_losses_have_a_journal_of_their_own(capsys):
    LossJournal("tiny", {}, "auto").put([Span((1, 2), 1), Span((1, 3), 1)], [(1.5, math.nan), (2.5, 0.25)])
    assert cli.main(["cache"]) == 0
    assert capsys.readouterr().out == f"{default_cache_path()}: no such file, so no answers are stored.\n"
    assert cli.main(["cache", "--losses", "--show", "2"]) == 0
    head, model, *shown = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{default_cache_path(LOSSES_FILE)}: 2 losses, ")
    assert re.fullmatch(r"  tiny: 2 losses, 2\d{3}-\d\d-\d\d \d\d:\d\d to .*", model)
    assert {"1.5", "2.5 0.25"} <= set(shown)
    assert cli.main(["cache", "--losses", "--empty"]) == 0
    assert "2 losses removed" in capsys.readouterr().out
    assert LossJournal("tiny", {}, "auto").get([Span((1, 2), 1)], False) == {}


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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("arguments", [[], ["--show", "3"], ["--empty"]])
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("table", ["bookmarks (address)", "answers (question, reply)"])
def test_a_database_of_another_program_is_left_as_it_is(table, mode, arguments, tmp_path, capsys):
    file = tmp_path / "other.db"
    other = sqlite3.connect(file)
    other.execute(f"PRAGMA journal_mode={mode}")
    other.execute(f"CREATE TABLE {table}")
    other.commit()
    other.close()
    before = contents(tmp_path)
    assert cli.main(["cache", str(file), *arguments]) == 1
    assert f"{file} is no answer cache of this package." in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("arguments", [[], ["--empty"]])
def test_a_newer_format_is_left_as_it_is(arguments, journal, capsys):
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = contents(journal.parent)
    assert cli.main(["cache", str(journal), *arguments]) == 1
    assert "newer version" in capsys.readouterr().err
    assert contents(journal.parent) == before


def test_looking_changes_neither_a_journal_nor_its_folder(journal):
    before = contents(journal.parent)
    assert cli.main(["cache", str(journal), "--show", "3"]) == 0
    assert contents(journal.parent) == before


def test_looking_sees_what_a_run_has_just_stored(journal, capsys):
    with Journal(journal) as running:
        running.put("d", "the newest")
        assert cli.main(["cache", str(journal), "--show", "1"]) == 0
    printed = capsys.readouterr().out
    assert "4 answers" in printed
    assert "the newest" in printed


def test_a_damaged_journal_is_told_and_left_where_it_is(tmp_path, capsys):
    file = tmp_path / "answers.db"
    with Journal(file) as journal:
        for n in range(500):
            journal.put(str(n), "x" * 100)
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    file.write_bytes(content)
    before = contents(tmp_path)
    assert cli.main(["cache", str(file)]) == 1
    assert "could not be read or changed" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_a_file_of_the_first_format_is_shown_as_it_is_and_can_be_emptied(tmp_path, capsys):
    file = write_first_format(tmp_path / "answers.db")
    before = contents(tmp_path)
    assert cli.main(["cache", str(file), "--show", "1"]) == 0
    assert "unknown model: 1 answer, 1 prompt and 2 completion tokens" in capsys.readouterr().out
    assert contents(tmp_path) == before
    assert cli.main(["cache", str(file), "--empty"]) == 0
    assert "1 answer removed" in capsys.readouterr().out


def test_a_run_stores_its_answers_while_the_journal_is_emptied(tmp_path, monkeypatch):
    monkeypatch.setattr("mergeit_ops.llm.journal._BUSY_TIMEOUT_S", 0.5)
    file = tmp_path / "answers.db"
    with Journal(file) as running:
        rows = ((f"{n:06d}", "x" * 500, time.time() - 60) for n in range(20_000))
        running._connection.execute("BEGIN")
        running._connection.executemany("INSERT INTO answers VALUES (?, ?, 1, 1, ?, 'm')", rows)
        running._connection.execute("COMMIT")
        removed: list[int] = []
        emptying = threading.Thread(target=lambda: removed.append(journal_contents.forget(file, 30 / 86_400)))
        emptying.start()
        stored = 0
        while emptying.is_alive():
            running.put(f"new {stored}", "y")
            stored += 1
        emptying.join()
        assert removed == [20_000]
        assert running.write_failures == 0
        assert stored > 1
        assert all(running.get(f"new {n}") == "y" for n in range(stored))


def test_answers_are_removed_in_small_transactions(tmp_path):
    file = tmp_path / "answers.db"
    with Journal(file) as journal:
        for n in range(1_200):
            journal.put(str(n), "x")
    connection = sqlite3.connect(file, isolation_level=None)
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    assert journal_contents._remove_until(connection, time.time()) == 1_200
    connection.close()
    assert len([sql for sql in statements if sql.startswith("DELETE")]) == 3
    assert not [sql for sql in statements if sql.startswith("BEGIN")]


def test_room_is_not_given_back_while_somebody_writes_and_that_is_no_error(journal):
    writer = sqlite3.connect(journal, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    connection = sqlite3.connect(journal, isolation_level=None)
    began = time.monotonic()
    journal_contents._give_room_back(connection)
    assert time.monotonic() - began < 2
    connection.close()
    writer.close()


def test_emptying_needs_no_moment_without_readers(journal):
    reader = sqlite3.connect(journal, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM answers").fetchone()
    assert journal_contents.forget(journal) == 3
    reader.close()
    assert journal_contents.by_model(journal) == []


def test_emptying_gives_the_room_back(tmp_path):
    file = tmp_path / "answers.db"
    with Journal(file) as journal:
        for n in range(1_200):
            journal.put(str(n), "x" * 500)
    assert journal_contents.forget(file) == 1_200
    assert file.stat().st_size < 20_000


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_what_may_not_be_read_is_told_in_a_sentence(closed, capsys):
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    folder = place / "folder"
    folder.mkdir()
    with Journal(folder / "a.db") as journal:
        journal.put("a", "x")
    (folder / "a.db" if closed == "file" else folder).chmod(0o000)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(65534)  # root may read everything
    try:
        assert cli.main(["cache", str(folder / "a.db")]) == 1
        with pytest.raises(DatasetError, match="could not be read"):
            journal_contents.forget(folder / "a.db")
    finally:
        if as_root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(place)
    assert f"The answer cache {folder / 'a.db'} c" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["inf", "nan", "-1", "1.5", "many"])
def test_the_number_to_show_is_a_whole_number(count, journal, capsys):
    with pytest.raises(SystemExit):
        cli.main(["cache", str(journal), f"--show={count}"])
    assert f"must be a whole number of at least 0, got {count}" in capsys.readouterr().err


def test_any_number_of_answers_can_be_asked_for(journal, capsys):
    assert cli.main(["cache", str(journal), "--show", str(2**70)]) == 0
    assert "first" in capsys.readouterr().out


def test_an_empty_path_does_not_stand_for_the_default_journal(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MERGEIT_CACHE_DIR", str(tmp_path))
    with Journal(default_cache_path()) as journal:
        journal.put("a", "x")
    for arguments in ([], ["--empty"]):
        assert cli.main(["cache", "", *arguments]) == 1
        assert "The path is empty" in capsys.readouterr().err
    with Journal(default_cache_path()) as journal:
        assert journal.get("a") == "x"
