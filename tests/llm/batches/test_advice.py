"""Sentences about batches."""

from __future__ import annotations

from mergeit_ops.llm.batches.advice import batch_unknown, requests_written, still_to_be_run, without_batches
from mergeit_ops.llm.failures import CallFailedError, FailureKind

GONE = CallFailedError(FailureKind.NOT_FOUND, "HTTP 404: no")


def test_a_server_is_named_without_its_password():
    text = without_batches(GONE, {"base_url": "http://me:secret@host/v1"})
    assert "host/v1" in text
    assert "secret" not in text


def test_a_batch_of_another_key_may_be_given_up_by_a_command():
    assert "python -m mergeit_ops batch forget batch_7" in batch_unknown("batch_7", GONE, {})


def test_files_are_named_with_the_command_that_runs_them():
    files = [f"/f/{number}.jsonl" for number in range(5)]
    text = requests_written(files, 1234, "m", "/j.db")
    assert text.startswith("1,234 requests are in /f/0.jsonl, /f/1.jsonl, /f/2.jsonl and 2 more files there.")
    assert "vllm run-batch -i /f/0.jsonl -o responses.jsonl --model m" in text
    assert "batch import responses.jsonl --cache-path /j.db" in text
    assert still_to_be_run(["/f/0.jsonl"], 1, "m", "/j.db").startswith(
        requests_written(["/f/0.jsonl"], 1, "m", "/j.db")
    )
