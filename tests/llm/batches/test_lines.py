"""Files of requests and responses."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.llm.batches.lines import BatchResult, Line, read_results, request_line, split


def entry(key="a", status=200, body=None, error=None) -> bytes:
    response = None if status is None else {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "x", "custom_id": key, "response": response, "error": error}).encode()


def test_a_request_is_one_line_whatever_its_text():
    line = request_line("k", "chat/completions", {"model": "m", "messages": [{"content": "a\nb\u2028c\x85é"}]})
    assert line.text.endswith(b"\n")
    assert line.text.count(b"\n") == 1
    assert json.loads(line.text) == {
        "custom_id": "k",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"content": "a\nb\u2028c\x85é"}]},
    }


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 5), st.integers(1, 60))
def test_files_hold_all_requests_in_order_within_the_limits(sizes, max_requests, max_bytes):
    lines = [Line(str(number), b"x" * size) for number, size in enumerate(sizes)]
    files = list(split(lines, max_requests, max_bytes))
    assert [line for file in files for line in file.lines] == lines
    assert all(1 <= len(file.lines) <= max_requests for file in files)
    assert all(len(file.content) <= max_bytes or len(file.lines) == 1 for file in files)


def test_a_response_and_a_failure_are_read():
    found = read_results(entry("a", body={"choices": []}) + b"\n" + entry("b", 400, {"error": {"message": "no"}}))
    assert found == {"a": BatchResult(200, {"choices": []}), "b": BatchResult(400, {"error": {"message": "no"}})}
    assert found["a"].is_response
    assert not found["b"].is_response


def test_a_request_that_was_never_sent_has_no_status():
    said = {"code": "batch_expired", "message": "This request could not be executed."}
    assert read_results(entry("a", None, error=said)) == {"a": BatchResult(None, {"error": said})}


def test_the_error_that_run_batch_writes_beside_a_response_without_a_body_is_read():
    said = {"message": "too long", "code": 400}
    assert read_results(entry("a", 400, None, said)) == {"a": BatchResult(400, said)}


def test_a_good_response_counts_more_than_an_error_and_the_first_more_than_the_second():
    good, other, bad = entry(body=1), entry(body=2), entry(status=500)
    for files in ((bad, good), (good, bad), (b"\n".join([bad, good]),)):
        assert read_results(*files)["a"].body == 1
    assert read_results(bad, entry(status=400))["a"].status == 500
    assert read_results(good, other)["a"].body in (1, 2)


def test_an_answer_with_a_line_separator_of_unicode_is_one_line():
    line = '{"custom_id": "a", "response": {"status_code": 200, "body": "x\u2028y\x85z"}}'.encode()
    assert read_results(line)["a"].body == "x\u2028y\x85z"


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_read(parts):
    read_results(b"\n".join(parts))


NAMES = st.sampled_from(["custom_id", "response", "error", "status_code", "body"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


def nested(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)


@given(st.recursive(LEAVES, nested, max_leaves=8))
def test_any_json_is_read(value):
    read_results(json.dumps(value).encode())
