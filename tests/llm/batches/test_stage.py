"""Asking in batches: every request has one outcome, whatever becomes of its batch, and nothing is paid twice."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from loguru import logger

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.errors import LLMUnavailableError, TooManyFailuresError
from mergeit_ops.llm.engine import build_logprobs_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from tests.batch_server import FakeBatchServer, Fate
from tests.llm.conftest import answers_of, engine_for, merge_requests, text_request
from tests.llm_server import FakeLLMServer, Reply, error, logprobs_reply

BATCH: dict[str, Any] = {"api_mode": "batch", "batch_poll_interval": 0.001}


def batch_engine(server: FakeLLMServer, **parameters: Any):
    return engine_for(server, **{**BATCH, **parameters})


def yes(_: Any) -> Reply:
    return Reply("yes", usage=(10, 2))


def test_all_requests_go_in_one_batch_and_their_answers_into_the_journal():
    with FakeBatchServer() as server:
        outcomes, usage = answers_of(batch_engine(server), merge_requests(30))
        assert sorted(outcomes) == list(range(30))
        assert all(outcome.error is None for outcome in outcomes.values())
        assert (usage.answered, usage.calls, usage.batches, usage.cache_hits) == (30, 30, 1, 0)
        assert [len(lines) for lines in server.submitted] == [30]
        assert server.requests == []
        again, usage = answers_of(batch_engine(server), merge_requests(30))
    assert again == outcomes
    assert (usage.calls, usage.cache_hits, usage.batches) == (0, 30, 0)


def test_both_modes_ask_the_same_and_read_each_others_answers():
    with FakeBatchServer() as server:
        online, _ = answers_of(engine_for(server), merge_requests(5))
        mixed, usage = answers_of(batch_engine(server), merge_requests(9))
        assert (usage.cache_hits, usage.calls) == (5, 4)
        back, usage = answers_of(engine_for(server), merge_requests(9))
        assert (usage.cache_hits, usage.calls) == (9, 0)
        assert back == mixed
        assert {number: mixed[number] for number in online} == online
        asked, written = server.requests[0], server.submitted[0][0]["body"]
    assert written.keys() == asked.keys()
    assert written["messages"][:-1] == asked["messages"][:-1]
    assert written["response_format"] == asked["response_format"]


def test_a_line_is_in_the_form_of_the_api():
    with FakeBatchServer(yes) as server:
        answers_of(batch_engine(server), [text_request(1)])
        (line,), batch = server.submitted[0], server._batches["batch_0"].request
    assert set(line) == {"custom_id", "method", "url", "body"}
    assert (line["method"], line["url"], line["body"]["model"]) == ("POST", "/v1/chat/completions", "m")
    assert len(line["custom_id"]) == 64
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")


def test_files_are_cut_at_the_limits_of_the_server():
    with FakeBatchServer(yes) as server:
        answers_of(batch_engine(server, batch_max_requests=4), [text_request(n) for n in range(10)])
        assert [len(lines) for lines in server.submitted] == [4, 4, 2]
    with FakeBatchServer(yes) as server:
        # Each line has 10 kB and a bit.
        requests = [text_request(n, "x" * 10_000) for n in range(5)]
        answers_of(batch_engine(server, batch_max_mb=0.025), requests)
        assert [len(lines) for lines in server.submitted] == [2, 2, 1]


@pytest.mark.parametrize("status", ["expired", "cancelled", "completed"])
def test_what_a_batch_leaves_unanswered_is_submitted_again_and_nothing_else(status):
    with FakeBatchServer(yes, fates=[Fate(status, answered=7)]) as server:
        outcomes, usage = answers_of(batch_engine(server), [text_request(n) for n in range(20)])
        assert len(outcomes) == 20
        assert usage.answered == 20
        assert [len(lines) for lines in server.submitted] == [20, 13]
        assert set(server.paid.values()) == {1}
    assert sum(usage.resubmitted.values()) == 13


def test_a_request_that_is_never_sent_is_given_up_after_as_many_batches_as_try_num():
    with FakeBatchServer(yes, fates=[Fate("expired", answered=1)] * 5) as server:
        outcomes, usage = answers_of(
            batch_engine(server, try_num=2, max_failure_ratio=1), [text_request(n) for n in "abcd"]
        )
        assert [len(lines) for lines in server.submitted] == [4, 3]
        assert usage.answered == 2
    assert [outcome.error for outcome in outcomes.values()].count(FailureReason.API_FAILED) == 2
    assert "ended before" in usage.last_errors["api_failed"]


def test_lines_that_failed_are_told_apart():
    too_long = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    busy = {"error": {"message": "The server had an error", "type": "server_error"}}
    fate = Fate(
        line_errors={
            1: (400, too_long),
            2: (500, busy),
            3: (429, {"error": {"message": "rate", "code": "rate_limit_exceeded"}}),
        }
    )
    with FakeBatchServer(yes, fates=[fate]) as server:
        outcomes, usage = answers_of(batch_engine(server), [text_request(n) for n in range(5)])
        assert [len(lines) for lines in server.submitted] == [5, 2]
        assert set(server.paid.values()) == {1}
    assert {n: str(o.error) for n, o in outcomes.items() if o.error} == {1: "too_long"}
    assert usage.resubmitted == {"transient": 1, "rate_limited": 1}


def test_lines_that_nobody_asked_for_and_lines_that_are_none_are_left_out():
    strange = json.dumps({"custom_id": "x", "response": {"status_code": 200, "body": {}}, "error": None}).encode()
    fate = Fate(extra=[strange, b"{", b"[]", b'{"custom_id": 3}', b"\xff"])
    with FakeBatchServer(yes, fates=[fate]) as server:
        outcomes, _ = answers_of(batch_engine(server), [text_request(n) for n in range(3)])
    assert all(outcome.answers == ("yes",) for outcome in outcomes.values())


def test_an_answer_that_cannot_be_used_is_asked_for_again_in_the_next_batch():
    said = itertools.count()

    def parse(text: str) -> str:
        if text != "good":
            raise ReplyError(FailureReason.UNPARSABLE)
        return text

    with FakeBatchServer(lambda _: "good" if next(said) > 2 else "bad") as server:
        outcomes, usage = answers_of(batch_engine(server), [text_request(n, parse=parse) for n in range(5)])
        assert [len(lines) for lines in server.submitted] == [5, 3]
    assert all(outcome.error is None for outcome in outcomes.values())
    assert (usage.reasks, usage.calls) == (3, 8)


def test_a_correction_and_a_question_that_follows_come_in_later_rounds():
    def parse(text: str) -> str:
        if text == "short":
            raise ReplyError(FailureReason.LENGTH, "Longer, please.")
        return text

    def answer(body: dict[str, Any]) -> str:
        turns = body["messages"]
        return "long enough" if turns[-1]["content"] in ("Longer, please.", "next") else "short"

    ended = []

    def follow(outcome):
        ended.append(outcome)
        return text_request("second", "next") if outcome.tag == "first" else None

    def text_request(tag, text):
        return LLMRequest(tag, ({"role": "user", "content": text},), parse)

    with FakeBatchServer(answer) as server:
        usage = batch_engine(server).run([text_request("first", "ask")], follow)
        assert [len(lines) for lines in server.submitted] == [1, 1, 1]
        assert [turn["role"] for turn in server.submitted[1][0]["body"]["messages"]] == ["user", "assistant", "user"]
    assert [outcome.tag for outcome in ended] == ["first", "second"]
    assert (usage.requests, usage.calls) == (2, 3)


def test_the_same_question_twice_is_paid_once():
    requests = [LLMRequest(n, ({"role": "user", "content": "same"},), str) for n in range(3)]
    with FakeBatchServer(yes) as server:
        outcomes, usage = answers_of(batch_engine(server), requests)
        assert set(server.paid.values()) == {1}
    assert len(outcomes) == 3
    assert (usage.calls, usage.cache_hits) == (1, 2)


def test_candidates_are_requests_of_their_own():
    with FakeBatchServer(yes) as server:
        outcomes, _ = answers_of(batch_engine(server), [text_request(1, num_candidates=3)])
        assert len(server.submitted[0]) == 3
    assert outcomes[1].answers == ("yes",) * 3


def test_a_form_and_a_default_that_the_server_refuses_cost_a_round_and_no_row():
    def answer(body: dict[str, Any]) -> Reply | str:
        if "temperature" in body:
            return error(400, "Unsupported value: 'temperature'", param="temperature", code="unsupported_value")
        return "yes"

    requests = [text_request(n, schema={"type": "object"}) for n in range(4)]
    with FakeBatchServer(answer, json_modes=("json_object",)) as server:
        outcomes, usage = answers_of(batch_engine(server), requests)
        assert all("temperature" not in line["body"] for line in server.submitted[-1])
    assert all(outcome.error is None for outcome in outcomes.values())
    assert usage.resubmitted["refused_field"] >= 8


def test_a_server_without_batches_is_one_sentence():
    with (
        FakeBatchServer(yes, has_batches=False) as server,
        pytest.raises(LLMUnavailableError, match=r"has no batch API .*api_mode to online"),
    ):
        answers_of(batch_engine(server), [text_request(1)])


def test_a_wrong_key_stops_the_run_at_the_first_call(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with FakeBatchServer(yes, api_key="sk-right") as server:
        with pytest.raises(LLMUnavailableError, match="refused the API key"):
            answers_of(batch_engine(server), [text_request(1)])
        assert server.steps == 1


def test_nobody_listening_is_said_within_seconds():
    with pytest.raises(LLMUnavailableError, match="Nobody answers"):
        answers_of(batch_engine("http://127.0.0.1:9/v1"), [text_request(1)])


def test_a_batch_that_is_refused_as_a_whole_stops_the_run_with_the_servers_words():
    fate = Fate("failed", errors=[("model_not_found", "The model m does not exist.")])
    with FakeBatchServer(yes, fates=[fate]) as server:
        with pytest.raises(LLMUnavailableError, match=r"batch_0 .model_not_found: The model m does not exist"):
            answers_of(batch_engine(server), [text_request(1)])
        # It cost nothing, so the next run submits anew.
        outcomes, _ = answers_of(batch_engine(server), [text_request(1)])
    assert outcomes[1].answers == ("yes",)


def test_batches_that_the_queue_has_no_room_for_are_submitted_when_others_are_done():
    full = Fate("failed", errors=[("token_limit_exceeded", "Enqueued token limit reached for m.")])
    with FakeBatchServer(yes, fates=[Fate(), full, full, Fate(), full, Fate()]) as server:
        _, usage = answers_of(batch_engine(server, batch_max_requests=2), [text_request(n) for n in range(6)])
        assert [len(lines) for lines in server.submitted] == [2, 2, 2, 2, 2, 2]
        assert set(server.paid.values()) == {1}
    assert usage.answered == 6
    assert usage.resubmitted == {"over_limit": 6}


def test_a_queue_without_room_for_any_batch_stops_the_run():
    full = Fate("failed", errors=[("token_limit_exceeded", "Enqueued token limit reached for m.")])
    with (
        FakeBatchServer(yes, fates=[full]) as server,
        pytest.raises(LLMUnavailableError, match=r"accepts none .*batch_max_requests"),
    ):
        answers_of(batch_engine(server), [text_request(1)])


def test_no_credit_in_the_middle_keeps_what_was_answered_and_stops():
    broke = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with FakeBatchServer(yes, fates=[Fate(line_errors={2: (429, broke), 3: (429, broke)})]) as server:
        with pytest.raises(LLMUnavailableError, match=r"no credit left.* 2 answers are in the journal"):
            answers_of(batch_engine(server), [text_request(n) for n in range(4)])
        _, usage = answers_of(batch_engine(server), [text_request(n) for n in range(4)])
        assert set(server.paid.values()) == {1}
    assert (usage.cache_hits, usage.calls) == (2, 2)


def test_too_many_failures_stop_the_run():
    bad = {"error": {"message": "no"}}
    with (
        FakeBatchServer(yes, fates=[Fate(line_errors=dict.fromkeys(range(15), (400, bad)))]) as server,
        pytest.raises(TooManyFailuresError, match="15 of 2"),
    ):
        answers_of(batch_engine(server), [text_request(n) for n in range(22)])


@pytest.mark.parametrize("where", ["/files", "/batches"])
def test_calls_that_fail_for_a_while_are_made_again(where):
    failures = iter([Reply(drop=True), error(503, "busy"), error(429, "slow down")])

    def fail(method: str, path: str) -> Reply | None:
        # The first call of all finds out whether anybody answers, and is not made again for long.
        return next(failures, None) if path.startswith(where) and server.steps > 1 else None

    with FakeBatchServer(yes, fail=fail) as server:
        _, usage = answers_of(batch_engine(server), [text_request(n) for n in range(3)])
        assert set(server.paid.values()) == {1}
    assert usage.answered == 3


def test_a_lost_response_to_the_making_of_a_batch_does_not_make_another():
    with FakeBatchServer(yes, fates=[Fate(lose_created=True)]) as server:
        _, usage = answers_of(batch_engine(server), [text_request(n) for n in range(3)])
        assert len(server.submitted) == 1
        assert server.uploads == 1
    assert usage.answered == 3


def test_the_budget_is_checked_before_a_batch_is_submitted_and_settled_by_what_it_took():
    def requests():
        return [text_request(n, completion_tokens=20) for n in range(10)]

    with FakeBatchServer(yes) as server:
        outcomes, usage = answers_of(batch_engine(server, max_total_tokens=150), requests())
        first = len(server.submitted[0])
        assert 0 < first < 10
        # Each took less than was set aside for it, so that more fitted later.
        assert len(server.submitted) > 1
        assert usage.total_tokens <= 150
    assert usage.answered + usage.failures["budget"] == 10
    assert len(outcomes) == 10


def test_the_price_is_that_of_a_batch_in_plan_and_run():
    prices = {"price_per_1k_prompt": 1.0, "price_per_1k_completion": 100.0}
    with FakeBatchServer(yes) as server:
        requests = [text_request(n, completion_tokens=5) for n in range(3)]
        online, batch = engine_for(server, **prices), batch_engine(server, **prices)
        assert batch.plan(requests)["cost"] == pytest.approx(online.plan(requests)["cost"] / 2)
        answers_of(batch, requests)
    assert batch.figures()["cost"] == pytest.approx(3 * (10 + 200) / 1000 / 2)
    assert batch.figures()["batches"] == 1


def test_an_online_run_warns_of_batches_under_way():
    said: list[str] = []
    number = logger.add(lambda message: said.append(str(message)), level="WARNING")

    def fail(method: str, path: str) -> Reply | None:
        return error(400, "no") if method == "GET" else None

    try:
        with FakeBatchServer(yes, fail=fail) as server:
            with pytest.raises(LLMUnavailableError):
                answers_of(batch_engine(server), [text_request(1)])
            assert said == []
            answers_of(engine_for(server), [text_request(2)])
            answers_of(engine_for(server, cache_path=None), [text_request(3)])
    finally:
        logger.remove(number)
    assert len(said) == 1
    assert "1 batch is under way" in said[0]


def test_answers_to_what_nobody_asks_any_more_are_kept():
    stop = [True]

    def fail(method: str, path: str) -> Reply | None:
        return error(400, "no") if method == "GET" and stop[0] else None

    with FakeBatchServer(yes, fail=fail) as server:
        with pytest.raises(LLMUnavailableError):
            answers_of(batch_engine(server), [text_request(n) for n in range(4)])
        stop[0] = False
        # The batch has four requests, and two of them are asked now.
        answers_of(batch_engine(server), [text_request(n) for n in range(2)])
        _, usage = answers_of(engine_for(server), [text_request(n) for n in range(4)])
        assert (usage.calls, usage.cache_hits) == (0, 4)
        assert set(server.paid.values()) == {1}


def test_log_probabilities_come_in_batches_too():
    asked = [LLMRequest(n, ({"role": "user", "content": f"prompt {n}"},), json.loads) for n in range(3)]
    with FakeBatchServer(lambda _: logprobs_reply({"4": -0.5, "5": -1.5})) as server:
        engine = build_logprobs_engine(LLMSettings(model_params={"base_url": server.base_url}, **BATCH))
        outcomes, _ = answers_of(engine, asked)
        assert server.submitted[0][0]["url"] == "/v1/completions"
        assert server.submitted[0][0]["body"]["prompt"] == "prompt 0"
        online = build_logprobs_engine(LLMSettings(model_params={"base_url": server.base_url}))
        again, usage = answers_of(online, asked)
    assert outcomes == again
    assert outcomes[0].answers == ({"4": -0.5, "5": -1.5},)
    assert usage.calls == 0


def test_a_file_that_comes_without_its_end_is_fetched_again_and_not_paid_again():
    with FakeBatchServer(yes, fates=[Fate(cut=2)]) as server:
        _, usage = answers_of(batch_engine(server), [text_request(n) for n in range(5)])
        assert len(server.submitted) == 1
    assert usage.answered == 5
    with FakeBatchServer(yes, fates=[Fate(cut=99)]) as server:
        engine = batch_engine(server, model_params={"default_query": {"other": "1"}})
        with pytest.raises(LLMUnavailableError, match="has 5 responses, but its files hold 4"):
            answers_of(engine, [text_request(n) for n in range(5)])


def test_several_batches_of_a_round_learn_one_refusal():
    def answer(body: dict[str, Any]) -> Reply | str:
        return error(400, "Unsupported value", param="temperature") if "temperature" in body else "yes"

    requests = [text_request(n, schema={"type": "object"}) for n in range(6)]
    with FakeBatchServer(answer, json_modes=("json_object",)) as server:
        _, usage = answers_of(batch_engine(server, batch_max_requests=2), requests)
        forms = [line["body"].get("response_format", {}).get("type") for lines in server.submitted for line in lines]
        # Each form is tried by one round, and the first that is accepted stays.
        assert "json_object" in forms
        assert None not in forms
    assert usage.answered == 6


def test_batches_of_another_server_that_shares_the_journal_are_left_alone(tmp_path):
    journal = str(tmp_path / "shared.db")
    with FakeBatchServer(yes, fates=[Fate(lose_created=True)]) as first, FakeBatchServer(yes) as second:
        first.fail = lambda method, path: error(400, "no") if method == "GET" else None
        with pytest.raises(LLMUnavailableError):
            answers_of(batch_engine(first, cache_path=journal), [text_request(1)])
        answers_of(batch_engine(second, cache_path=journal), [text_request(1)])
        first.fail = lambda method, path: None
        answers_of(batch_engine(first, cache_path=journal), [text_request(1)])
        assert len(first.submitted) == 1
        assert set(first.paid.values()) == {1}


def test_an_answer_that_no_file_can_hold_does_not_stop_the_run():
    with FakeBatchServer(lambda _: "\ud800") as server:
        outcomes, usage = answers_of(batch_engine(server), [text_request(n) for n in range(3)])
    assert usage.cache_write_failures == 3
    assert outcomes[0].answers == ("\ud800",)


def test_answers_that_cannot_be_stored_now_are_read_again_later(tmp_path):
    journal = tmp_path / "answers.db"

    def broken(text: str) -> str:
        with closing(sqlite3.connect(journal)) as other:
            other.execute("DROP TABLE answers")
        return text

    with FakeBatchServer(yes) as server:
        engine = batch_engine(server, cache_path=str(journal))
        with pytest.raises(LLMUnavailableError, match=r"cannot be stored .* nothing is paid twice"):
            answers_of(engine, [text_request(1, parse=broken)])
        with closing(sqlite3.connect(journal)) as other:
            other.execute(
                "CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, prompt_tokens INTEGER, "
                "completion_tokens INTEGER, created_at REAL NOT NULL, model TEXT) WITHOUT ROWID"
            )
        outcomes, _ = answers_of(batch_engine(server, cache_path=str(journal)), [text_request(1)])
        assert len(server.submitted) == 1
    assert outcomes[1].answers == ("yes",)
