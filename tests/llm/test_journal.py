"""The journal: what names an answer, and that answers outlive everything that can happen to a process."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.journal import Journal, answer_key, default_cache_path
from mergeit_ops.llm.settings import LLMSettings
from tests.old_journal import write_first_format

MESSAGES = ({"role": "system", "content": "s"}, {"role": "user", "content": "u"})
BASE = {
    "api_or_hf_model": "m",
    "model_params": {"base_url": "http://127.0.0.1:1/v1"},
    "sampling_params": {"temperature": 0.25},
}


def key_of(recipe: dict, messages=MESSAGES, candidate: int = 0) -> str:
    factory = build_engine(LLMSettings(**{**BASE, **recipe})).backend_factory
    return answer_key(factory.identity(), messages, factory.sampling_params, candidate)


@pytest.mark.parametrize(
    "recipe",
    [
        {"api_or_hf_model": "other"},
        {"api_endpoint": "/completions"},
        {"response_path": "choices.0.text"},
        {"model_params": {"base_url": "http://127.0.0.1:2/v1"}},
        {"model_params": {"base_url": "http://127.0.0.1:1/v1", "default_query": {"api-version": "2"}}},
        {"sampling_params": {"temperature": 0.3}},
        {"sampling_params": {"temperature": 0.25, "top_p": 0.9}},
        {"sampling_params": {"temperature": 0.25, "seed": 1}},
        {"is_hf_model": True, "model_params": {}},
    ],
)
def test_what_changes_the_answer_changes_the_key(recipe):
    assert key_of(recipe) != key_of({})


@pytest.mark.parametrize(
    "recipe",
    [
        {"max_concurrency": 2},
        {"timeout_s": 9},
        {"try_num": 9},
        {"cache_path": "elsewhere"},
        {"max_failure_ratio": 1},
        {"max_total_tokens": 5},
        {"model_params": {"base_url": "http://127.0.0.1:1/v1/"}},
        {"model_params": {"base_url": "http://127.0.0.1:1/v1", "default_headers": {"X-Trace": "1"}}},
        {"api_endpoint": "chat/completions"},
        {"api_endpoint": "/chat/completions", "response_path": "choices.0.message.content"},
    ],
)
def test_what_does_not_change_the_answer_does_not_change_the_key(recipe):
    assert key_of(recipe) == key_of({})


def test_key_does_not_depend_on_the_api_key_or_the_source_of_the_base_url(monkeypatch):
    keys = set()
    for secret in ("one", "two", None):
        if secret is None:
            monkeypatch.delenv("OPENAI_API_KEY")
        else:
            monkeypatch.setenv("OPENAI_API_KEY", secret)
        keys.add(key_of({}))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    keys.add(key_of({"model_params": {}}))
    assert len(keys) == 1


def test_messages_and_candidates_have_keys_of_their_own():
    other = (*MESSAGES[:1], {"role": "user", "content": "v"})
    swapped = ({"role": "user", "content": "s"}, MESSAGES[1])
    keys = {key_of({}), key_of({}, other), key_of({}, swapped), key_of({}, candidate=1), key_of({}, MESSAGES[::-1])}
    assert len(keys) == 5
    assert key_of({"sampling_params": {"a": 1, "b": 2}}) == key_of({"sampling_params": {"b": 2, "a": 1}})


def test_answers_come_back_after_reopening(tmp_path):
    file = tmp_path / "new" / "folder" / "a.db"
    with Journal(file) as journal:
        assert journal.get("k") is None
        journal.put("k", "first", (3, 4))
        journal.put("k", "ä\n'\"😀")
    with Journal(file) as journal:
        assert journal.get("k") == "ä\n'\"😀"
        assert journal.write_failures == 0


def test_an_answer_comes_back_with_who_gave_it(tmp_path):
    with Journal(tmp_path / "answers.db") as journal:
        journal.put("a", "text", model="a model")
        journal.put("b", "other")
        assert journal.get_with_model("a") == ("text", "a model")
        assert journal.get_with_model("b") == ("other", None)
        assert journal.get_with_model("c") is None


def test_off_and_looking_only_leave_nothing_behind(tmp_path):
    for journal in (Journal(None), Journal(""), Journal(tmp_path / "a.db", create=False)):
        assert journal.get("k") is None
        journal.put("k", "x") if journal.path is None else None
        assert journal.write_failures == 0
        journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_holds_a_file_and_the_default_follows_the_variable(tmp_path, monkeypatch):
    with Journal(tmp_path) as journal:
        assert journal.path == tmp_path / "answers.sqlite3"
    monkeypatch.setenv("MERGEIT_CACHE_DIR", str(tmp_path / "x"))
    assert default_cache_path() == tmp_path / "x" / "answers.sqlite3"
    monkeypatch.delenv("MERGEIT_CACHE_DIR")
    assert default_cache_path().name == "answers.sqlite3"


def test_a_process_killed_right_after_a_put_has_kept_it(tmp_path):
    file = tmp_path / "a.db"
    script = (
        "import os, signal, sys; from mergeit_ops.llm.journal import Journal; j = Journal(sys.argv[1])\n"
        "for n in range(50): j.put(str(n), 'answer')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(file) as journal:
        assert all(journal.get(str(n)) == "answer" for n in range(50))


def test_a_corrupt_file_is_set_aside(tmp_path):
    file = tmp_path / "a.db"
    file.write_bytes(b"this is no database, but it was somebody's work" * 100)
    with Journal(file) as journal:
        journal.put("k", "x")
        assert journal.get("k") == "x"
    aside = [path for path in tmp_path.iterdir() if ".corrupt-" in path.name]
    assert len(aside) == 1
    assert aside[0].read_bytes().startswith(b"this is no database")


def test_corruption_found_later_does_not_stop_a_run(tmp_path):
    file = tmp_path / "a.db"
    with Journal(file) as journal:
        for n in range(2000):
            journal.put(f"{n:064d}", "x" * 100)
    content = bytearray(file.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    file.write_bytes(content)
    with Journal(file) as journal:
        for n in range(0, 2000, 100):
            journal.get(f"{n:064d}")
        journal.put("k", "x")
        assert journal.get("k") == "x"


def test_a_file_of_the_first_format_keeps_its_answers_and_takes_new_ones(tmp_path):
    file = write_first_format(tmp_path / "a.db")
    with Journal(file) as journal:
        journal.put("new", "y", model="m")
        assert (journal.get("old"), journal.get("new"), journal.write_failures) == ("x", "y", 0)


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "a.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(RecipeError, match="newer version"):
        Journal(file)
    assert [path.name for path in tmp_path.iterdir() if "corrupt" in path.name] == []


def test_a_full_disk_is_counted_and_said_once(tmp_path):
    from loguru import logger

    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    try:
        with Journal(tmp_path / "a.db") as journal:
            journal.put("before", "x")
            journal._connection.execute("PRAGMA max_page_count=3")
            for n in range(3):
                journal.put(str(n), "x" * 100_000)
            assert journal.write_failures == 3
            assert journal.get("before") == "x"
        with Journal("/proc/nowhere/a.db") as journal:
            journal.put("k", "x")
            assert journal.write_failures == 1
    finally:
        logger.remove(sink)
    assert len(said) == 2


def test_a_file_that_stays_locked_holds_up_one_answer_and_is_said_once(tmp_path, monkeypatch):
    from loguru import logger

    monkeypatch.setattr("mergeit_ops.llm.journal._BUSY_TIMEOUT_S", 0.01)
    file = tmp_path / "a.db"
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    with Journal(file) as journal:
        journal.put("before", "x")
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        tried: list[str] = []
        journal._connection.set_trace_callback(lambda sql: tried.append(sql) if sql.startswith("INSERT") else None)
        for n in range(5):
            journal.put(str(n), "x")
        holder.execute("ROLLBACK")
        holder.close()
        journal.put("after", "x")
        assert len(tried) <= 1
        assert journal.write_failures == 6
        assert journal.get("before") == "x"
        assert journal.get("after") is None
    logger.remove(sink)
    assert len(said) == 1


def test_a_file_that_was_locked_for_a_while_takes_answers_again(tmp_path, monkeypatch):
    monkeypatch.setattr("mergeit_ops.llm.journal._BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("mergeit_ops.llm.journal._LOCKOUT_S", 0.3)
    file = tmp_path / "a.db"
    with Journal(file) as journal:
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        journal.put("lost", "x")
        holder.execute("ROLLBACK")
        holder.close()
        journal.put("too soon", "x")
        time.sleep(0.35)
        journal.put("after", "x")
        assert journal.write_failures == 2
        assert [journal.get(key) for key in ("lost", "too soon", "after")] == [None, None, "x"]


@pytest.mark.parametrize("there_before", [True, False])
def test_a_file_that_is_locked_when_it_is_opened_is_opened_later(tmp_path, monkeypatch, there_before):
    monkeypatch.setattr("mergeit_ops.llm.journal._BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("mergeit_ops.llm.journal._LOCKOUT_S", 0.3)
    file = tmp_path / "a.db"
    if there_before:
        with Journal(file) as journal:
            journal.put("before", "x")
            journal._connection.execute("PRAGMA journal_mode=DELETE")
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with Journal(file) as journal:
        assert journal.get("before") is None
        journal.put("lost", "x")
        time.sleep(0.35)
        journal.put("lost again", "x")
        holder.execute("ROLLBACK")
        holder.close()
        time.sleep(0.35)
        assert journal.get("before") == ("x" if there_before else None)
        journal.put("after", "x")
        assert journal.write_failures == 2
    with Journal(file) as journal:
        assert [journal.get(key) for key in ("lost", "lost again", "after")] == [None, None, "x"]


def test_a_folder_that_cannot_be_made_yet_is_made_later(tmp_path, monkeypatch):
    monkeypatch.setattr("mergeit_ops.llm.journal._LOCKOUT_S", 0.0)
    (tmp_path / "folder").write_text("a file in its way", encoding="utf-8")
    with Journal(tmp_path / "folder" / "a.db") as journal:
        journal.put("lost", "x")
        (tmp_path / "folder").unlink()
        journal.put("after", "x")
        assert journal.get("after") == "x"
        assert journal.write_failures == 1
        journal.close()
        journal.put("closed", "x")
        assert journal.write_failures == 2


def test_a_file_that_turns_out_to_be_another_programs_stops_no_run_that_is_under_way(tmp_path, monkeypatch):
    monkeypatch.setattr("mergeit_ops.llm.journal._BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("mergeit_ops.llm.journal._LOCKOUT_S", 0.0)
    holder = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with Journal(tmp_path / "a.db") as journal:
        holder.execute("CREATE TABLE others (name TEXT)")
        holder.execute("COMMIT")
        holder.close()
        journal.put("lost", "x")
        assert journal.get("lost") is None
        assert journal.write_failures == 1


def test_a_file_that_could_not_be_read_for_a_while_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("mergeit_ops.llm.journal._BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("mergeit_ops.llm.journal._LOCKOUT_S", 0.3)
    file = tmp_path / "a.db"
    with Journal(file) as journal:
        journal.put("before", "x")
        journal._connection.execute("PRAGMA journal_mode=DELETE")  # where there is no WAL, a writer shuts out readers
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        assert journal.get("before") is None
        holder.execute("ROLLBACK")
        holder.close()
        assert journal.get("before") is None
        time.sleep(0.35)
        assert journal.get("before") == "x"


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("version", [0, 1, 2, 99])
def test_a_database_of_another_program_is_refused_and_not_a_byte_of_it_changes(mode, version, tmp_path):
    file = tmp_path / "a.db"
    other = sqlite3.connect(file)
    other.execute(f"PRAGMA journal_mode={mode}")
    other.execute("CREATE TABLE bookmarks (address)")
    other.execute(f"PRAGMA user_version={version}")
    other.commit()
    other.close()
    before = file.read_bytes()
    with pytest.raises(RecipeError, match=r"cache_path: .*a\.db is a database of another program; name another file"):
        Journal(file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_an_answers_table_of_another_program_is_not_touched(tmp_path):
    file = tmp_path / "a.db"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE answers (question, reply)")
    other.commit()
    other.close()
    before = file.read_bytes()
    with Journal(file) as journal:
        journal.put("k", "x")
        assert journal.write_failures == 1
    assert file.read_bytes() == before


def test_threads_and_processes_share_a_file(tmp_path):
    file = tmp_path / "a.db"
    journals = [Journal(file), Journal(file)]

    def write(number: int) -> None:
        for n in range(50):
            journals[number % 2].put(f"{number}-{n}", "x")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(journals[1].get(f"{number}-{n}") == "x" for number in range(4) for n in range(50))
    assert [journal.write_failures for journal in journals] == [0, 0]
    for journal in journals:
        journal.close()


def test_a_text_that_cannot_be_stored_is_counted(tmp_path):
    with Journal(tmp_path / "a.db") as journal:
        journal.put("k", "\ud800")
        assert journal.write_failures == 1


def test_many_answers_are_stored_and_found_at_once(tmp_path):
    answers = {f"key {number}": f"answer {number}" for number in range(1_200)}
    with Journal(tmp_path / "answers.db") as journal:
        journal.put_many(answers, model="m")
        journal.put_many({})
        assert journal.get_many([*answers, "another"]) == answers
        assert journal.get_many([]) == {}
        assert journal.get("key 7") == "answer 7"
        assert journal.write_failures == 0


def test_of_many_answers_all_are_stored_or_none(tmp_path):
    with Journal(tmp_path / "answers.db") as journal:
        journal.put_many({"a": "fine", "b": "\ud800"})
        assert journal.get_many(["a", "b"]) == {}
        assert journal.write_failures == 2
        journal.put_many({"a": "fine", "b": "too"})
        assert journal.get_many(["a", "b"]) == {"a": "fine", "b": "too"}
