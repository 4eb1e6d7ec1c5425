"""Batches on record."""

from __future__ import annotations

import sqlite3

import pytest

from mergeit_ops.errors import DiskError
from mergeit_ops.llm.batches.ledger import BY_HAND, FAILED, IN_VAIN, SETTLED, SUBMITTED, WRITTEN, Ledger
from mergeit_ops.llm.batches.lines import BatchResult
from mergeit_ops.llm.journal import Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.sqlite3"


@pytest.fixture
def ledger(path):
    ledger = Ledger(path)
    yield ledger
    ledger.close()


def test_a_batch_is_found_by_its_requests_until_all_have_an_outcome(ledger, path):
    number = ledger.add("tag", ["a", "b"], "m")
    ledger.note(number, SUBMITTED, file="file-1", batch_id="batch_1")
    ledger.settle(number, {"a": SETTLED})
    # Another process sees the same.
    other = Ledger(path)
    (batch,) = other.under_way(["x", "b"])
    assert (batch.state, batch.file, batch.batch_id, batch.keys) == (SUBMITTED, "file-1", "batch_1", ("b",))
    assert other.under_way(["a"]) == []
    other.settle(number, {"b": f"{IN_VAIN} truncated"})
    other.close()
    assert ledger.open_batches() == []


def test_outcomes_count_until_the_work_is_done(ledger):
    for outcome in (f"{IN_VAIN} unparsable", SETTLED, f"{FAILED} too_long"):
        ledger.settle(ledger.add("tag", ["a", "b"], "m"), {"a": outcome})
    assert ledger.past("a") == [f"{IN_VAIN} unparsable", SETTLED, f"{FAILED} too_long"]
    ledger.finish(["a"])
    assert ledger.past("a") == []
    # What is under way stays.
    assert len(ledger.under_way(["b"])) == 3


def test_a_batch_that_does_not_exist_is_forgotten(ledger):
    number = ledger.add("tag", ["a"], "m")
    assert ledger.open_batches()[0].state == WRITTEN
    ledger.drop(number)
    assert ledger.open_batches() == []


def test_responses_belong_to_files_by_hand_alone(ledger):
    by_hand, submitted = ledger.add("1", ["a", "b"], "m"), ledger.add("2", ["c"], "m")
    ledger.note(by_hand, BY_HAND, file="/x/requests.jsonl")
    ledger.note(submitted, SUBMITTED, batch_id="batch_1")
    results = {"a": BatchResult(200, {"x": 1}), "c": BatchResult(200, {}), "z": BatchResult(None, None)}
    assert ledger.store_results(results) == {"/x/requests.jsonl": (2, 1)}
    assert ledger.results(by_hand) == {"a": BatchResult(200, {"x": 1})}
    assert ledger.results(submitted) == {}


def test_it_shares_its_file_with_the_journal(path):
    with Journal(path) as journal:
        journal.put("k", "answer")
        ledger = Ledger(path)
        ledger.add("tag", ["a"], "m")
        journal.put("l", "answer")
        ledger.close()
    with Journal(path) as journal:
        assert journal.get("l") == "answer"
        assert journal.write_failures == 0


def test_what_cannot_be_written_is_said_before_anything_is_submitted(path):
    path.write_bytes(b"no database" * 100)
    with pytest.raises(DiskError, match="Batches cannot be put on record in"):
        Ledger(path)
    path.unlink()
    ledger = Ledger(path)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE batch_lines")
    with pytest.raises(DiskError):
        ledger.add("tag", ["a"], "m")
    ledger.close()
