"""Files that somebody runs by hand: written once, read by a command, and the run goes on from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops import cli
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.errors import LLMUnavailableError
from tests.llm.conftest import answers_of, engine_for, text_request
from tests.llm_server import FakeLLMServer, Reply

NOBODY = "http://127.0.0.1:9/v1"


def by_hand(folder: Path, **parameters: Any):
    return engine_for(NOBODY, api_mode="batch", batch_folder=str(folder), **parameters)


def requests_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def response(line: dict[str, Any], text: str = "yes") -> dict[str, Any]:
    """A line as vLLM's run-batch writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}
    said = {"status_code": 200, "request_id": "vllm-batch-1", "body": body}
    return {"id": "vllm-1", "custom_id": line["custom_id"], "response": said, "error": None}


def failure(line: dict[str, Any]) -> dict[str, Any]:
    said = {"status_code": 400, "request_id": "vllm-batch-1", "body": None}
    error = {"object": "error", "message": "maximum context length is 8 tokens", "code": 400}
    return {"id": "vllm-1", "custom_id": line["custom_id"], "response": said, "error": error}


def write(file: Path, lines: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def test_a_run_writes_its_requests_stops_and_goes_on_with_the_responses(tmp_path, capsys):
    asked = [text_request(n) for n in range(5)]
    with pytest.raises(LLMUnavailableError, match=r"5 requests are in .*requests-\w+\.jsonl.*vllm run-batch"):
        answers_of(by_hand(tmp_path / "files"), asked)
    lines = requests_in(tmp_path / "files")
    assert len(lines) == 5
    assert {line["url"] for line in lines} == {"/v1/chat/completions"}
    # Nothing is written twice while nobody has run the file.
    with pytest.raises(LLMUnavailableError, match="5 requests are in"):
        answers_of(by_hand(tmp_path / "files"), asked)
    assert len(requests_in(tmp_path / "files")) == 5
    assert cli.main(["batch", "import", write(tmp_path / "out.jsonl", [response(line) for line in lines])]) == 0
    assert "5 responses to 5 requests" in capsys.readouterr().out
    outcomes, usage = answers_of(by_hand(tmp_path / "files"), asked)
    assert all(outcome.answers == ("yes",) for outcome in outcomes.values())
    assert (usage.calls, usage.prompt_tokens) == (5, 50)
    # They are answers like any other now.
    outcomes, usage = answers_of(engine_for(NOBODY), asked)
    assert (usage.calls, usage.cache_hits) == (0, 5)


def test_what_failed_or_is_missing_or_cannot_be_used_is_told_apart(tmp_path, capsys):
    def parse(text: str) -> str:
        if text != "yes":
            raise ReplyError(FailureReason.UNPARSABLE)
        return text

    asked = [text_request(n, parse=parse) for n in range(4)]
    folder = tmp_path / "files"
    with pytest.raises(LLMUnavailableError):
        answers_of(by_hand(folder), asked)
    first = {line["body"]["messages"][0]["content"][0]: line for line in requests_in(folder)}
    written = write(tmp_path / "a.jsonl", [response(first["0"]), failure(first["1"]), response(first["2"], "no")])
    assert cli.main(["batch", "import", written]) == 0
    assert "sends the 1 request without a response again" in capsys.readouterr().out
    with pytest.raises(LLMUnavailableError, match="2 requests are in"):
        answers_of(by_hand(folder), asked)
    again = requests_in(folder)
    assert len(again) == 6
    keys = {first["2"]["custom_id"], first["3"]["custom_id"]}
    second = [line for line in again if line["custom_id"] in keys]
    assert cli.main(["batch", "import", write(tmp_path / "b.jsonl", [response(line) for line in second])]) == 0
    outcomes, _ = answers_of(by_hand(folder), asked)
    assert {n: outcome.error for n, outcome in outcomes.items() if outcome.error} == {1: FailureReason.TOO_LONG}


def test_an_answer_that_is_never_usable_is_written_as_often_as_try_num(tmp_path):
    def parse(text: str) -> str:
        raise ReplyError(FailureReason.UNPARSABLE)

    folder, asked = tmp_path / "files", [text_request(1, parse=parse), text_request(2)]
    for number in (1, 2):
        with pytest.raises(LLMUnavailableError, match=r"requests? (is|are) in"):
            answers_of(by_hand(folder, try_num=2), asked)
        lines = requests_in(folder)
        assert len(lines) == 1 + number
        cli.main(["batch", "import", write(tmp_path / f"{number}.jsonl", [response(line) for line in lines])])
    outcomes, _ = answers_of(by_hand(folder, try_num=2), asked)
    assert outcomes[1].error is FailureReason.UNPARSABLE
    assert outcomes[2].answers == ("yes",)


def test_files_that_wait_are_not_asked_otherwise_unless_they_are_given_up(tmp_path, capsys):
    asked = [text_request(1)]
    with pytest.raises(LLMUnavailableError):
        answers_of(by_hand(tmp_path / "files"), asked)
    (file,) = (tmp_path / "files").iterdir()
    with pytest.raises(LLMUnavailableError, match="batch forget"):
        answers_of(engine_for(NOBODY, api_mode="batch"), asked)
    assert cli.main(["batch", "list"]) == 0
    assert f"{file}: 1 request" in capsys.readouterr().out
    assert cli.main(["batch", "forget", str(file)]) == 0
    assert cli.main(["batch", "list"]) == 0
    assert "No batches are under way" in capsys.readouterr().out


def test_responses_to_something_else_are_said_to_be_that(tmp_path, capsys):
    with FakeLLMServer(lambda _: Reply("yes")) as server:
        answers_of(engine_for(server), [text_request(1)])
    strange = write(tmp_path / "out.jsonl", [response({"custom_id": "x"})])
    assert cli.main(["batch", "import", strange]) == 1
    assert "no batch under way with the requests of these responses" in capsys.readouterr().out
    assert cli.main(["batch", "import", write(tmp_path / "none.jsonl", [])]) == 1
    assert "no responses" in capsys.readouterr().err
