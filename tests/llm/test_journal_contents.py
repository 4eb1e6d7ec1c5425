"""Looking into a journal, and making room."""

import sqlite3
import time

import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.llm.journal import SCHEMA_VERSION, Journal
from mergeit_ops.llm.journal_contents import StoredOfModel, by_model, forget, latest


@pytest.fixture
def path(tmp_path):
    """A journal with three answers of one model and one of another."""
    place = tmp_path / "answers.sqlite"
    journal = Journal(str(place))
    for number in range(3):
        journal.put(f"key {number}", f"answer {number}", (10, number), model="m")
    journal.put("key 3", "ü\n", (None, None), model="模型")
    journal.close()
    return journal.path


def test_answers_are_counted_by_model(path):
    found = by_model(path)
    assert [(of.model, of.answers, of.prompt_tokens, of.completion_tokens) for of in found] == [
        ("m", 3, 30, 3),
        ("模型", 1, 0, 0),
    ]
    assert all(isinstance(of, StoredOfModel) and of.first_at <= of.last_at <= time.time() for of in found)


def test_the_latest_answers_come_first_and_none_is_changed(path):
    before = path.read_bytes()
    texts = [answer.text for answer in latest(path, 2)]
    assert texts[0] == "ü\n"
    assert len(texts) == 2
    assert latest(path, 0) == []
    assert len(latest(path, 10**30)) == 4
    assert path.read_bytes() == before


def test_only_answers_of_an_age_are_forgotten(path):
    assert forget(path, older_than_days=1) == 0
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET created_at = created_at - 2 * 86400 WHERE key = 'key 1'")
    assert forget(path, older_than_days=1) == 1
    assert sorted(answer.text for answer in latest(path, 9)) == ["answer 0", "answer 2", "ü\n"]
    assert forget(path) == 3
    assert by_model(path) == []


def test_what_is_no_journal_is_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no database at all " * 200)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE answers (key TEXT)")
    for place in (text, other):
        before = place.read_bytes()
        for look in (by_model, forget, lambda at: latest(at, 1)):
            with pytest.raises(DatasetError, match="is no answer cache of this package"):
                look(place)
        assert place.read_bytes() == before
    with pytest.raises(DatasetError, match="could not be read"):
        by_model(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def test_a_newer_journal_says_so(path):
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(DatasetError, match=f"newer version.*this one reads {SCHEMA_VERSION}"):
        by_model(path)
