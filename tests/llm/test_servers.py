"""Bodies that real servers sent, and what the client makes of them. docs/servers.md tells the versions."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from mergeit_ops.core.merging.prompts import MERGE_SCHEMA
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.retry import RetryPolicy
from mergeit_ops.llm.servers import echoed_tokens, prompt_logprobs
from tests.llm.conftest import FAST, answers_of, engine_for, merge_requests
from tests.llm_server import FakeLLMServer, Reply, merge_answer

LLAMA_CPP_LOADING = Reply(
    status=503,
    headers={"Connection": "close"},
    payload={"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}},
)
TOO_LONG = {
    "llama.cpp": {
        "error": {
            "code": 400,
            "message": "request (42021 tokens) exceeds the available context size (8192 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 42021,
            "n_ctx": 8192,
        }
    },
    "llama-cpp-python": {
        "error": {
            "message": "This model's maximum context length is 2048 tokens. However, you requested 42171 tokens "
            "(42021 in the messages, 150 in the completion). Please reduce the length of the messages or completion.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    },
    "LiteLLM": {
        "error": {
            "message": "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
            "OpenAIException - request (42021 tokens) exceeds the available context size (2048 tokens), try increasing "
            "it\nmodel=through-llama-cpp. context_window_fallbacks=None. fallbacks=None.",
            "type": "invalid_request_error",
            "param": None,
            "code": "400",
        }
    },
    "vLLM": {
        "error": {
            "message": "This model's maximum context length is 8192 tokens. However, your prompt contains at least "
            "8193 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of "
            "the input prompt. (parameter=input_tokens, value=8193)",
            "type": "BadRequestError",
            "param": "input_tokens",
            "code": 400,
        }
    },
}
UNKNOWN_MODEL = {
    "transformers": {"detail": "Server is pinned to 'tiny'; requested 'm'."},
    "LiteLLM": {
        "error": {
            "message": "/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view available "
            "models for your key.",
            "type": "invalid_request_error",
            "param": None,
            "code": "400",
        }
    },
    "llama-cpp-python": {
        "error": {
            "message": "The model `m` does not exist",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }
    },
}
LLAMA_CPP_PYTHON_NO_SCHEMA = {
    "error": {
        "message": "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), "
        "'msg': \"Input should be 'text' or 'json_object'\", 'input': 'json_schema'}",
        "type": "internal_server_error",
        "param": None,
        "code": None,
    }
}


def refusing(payload: Any, status: int = 400) -> Any:
    return lambda body: Reply(status=status, payload=payload)


def formats_of(server: FakeLLMServer) -> list[Any]:
    return [body.get("response_format") for body in server.requests]


@pytest.mark.parametrize("server_name", TOO_LONG)
def test_a_pair_that_does_not_fit_says_so_and_costs_one_request(server_name):
    def answer(body):
        long = "item 1." in body["messages"][-1]["content"]
        return Reply(status=400, payload=TOO_LONG[server_name]) if long else merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(4))
        assert usage.failures == {"too_long": 1}
        assert str(outcomes[1].error) == "too_long"
        assert len(server.requests) == 4


@pytest.mark.parametrize("server_name", TOO_LONG)
def test_a_first_pair_that_does_not_fit_neither_lowers_the_json_mode_nor_stops_the_run(server_name):
    def answer(body):
        number = int(body["messages"][-1]["content"].split("Explain item ")[1].split(".")[0])
        return Reply(status=400, payload=TOO_LONG[server_name]) if number < 4 else merge_answer(body)

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(10))
        assert (usage.failures, usage.answered) == ({"too_long": 4}, 6)
        assert {form["type"] for form in formats_of(server)} == {"json_schema"}


@pytest.mark.parametrize("server_name", UNKNOWN_MODEL)
def test_an_unknown_model_stops_at_the_first_request_and_names_those_there_are(server_name):
    with FakeLLMServer(refusing(UNKNOWN_MODEL[server_name])) as server:
        server.models = None
        with pytest.raises(
            LLMUnavailableError, match=r"does not know model 'm'.*the models there are 'made-up-answers'\.$"
        ):
            answers_of(engine_for(server), merge_requests(30))
        assert len(server.requests) == 1


def test_a_model_list_that_cannot_be_had_leaves_the_advice_as_it_was():
    class Listless(FakeLLMServer):
        def _reply(self, method, path, headers, raw):
            # `transformers serve` without a Hub cache.
            return (
                Reply(status=500, payload=b"Internal Server Error")
                if method == "GET"
                else super()._reply(method, path, headers, raw)
            )

    with Listless(refusing({"error": {"message": "model 'm' not found", "type": "not_found_error"}}, 404)) as server:
        with pytest.raises(LLMUnavailableError, match=r"check api_or_hf_model, api_endpoint and the base URL"):
            answers_of(engine_for(server), merge_requests(30))
        assert len(server.requests) == 1


def test_a_key_that_litellm_without_a_database_does_not_know_is_a_wrong_key():
    payload = {"error": {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}}
    with FakeLLMServer(refusing(payload)) as server:
        with pytest.raises(LLMUnavailableError, match="refused the API key"):
            answers_of(engine_for(server), merge_requests(30))
        assert len(server.requests) == 1


def test_a_field_that_a_server_does_not_know_stops_the_run_and_is_named():
    payload = {"detail": "Unexpected fields in the request: {'min_p'}"}
    with FakeLLMServer(refusing(payload, 422)) as server:
        with pytest.raises(LLMUnavailableError, match=r"refuses every request .*\{'min_p'\}.*sampling_params"):
            answers_of(engine_for(server, max_concurrency=1), merge_requests(30))
        assert len({json.dumps(body["messages"]) for body in server.requests}) == 3


def test_one_refusal_of_its_own_stops_nothing():
    def answer(body):
        text = body["messages"][-1]["content"]
        refused = any(f"item {number}." in text for number in range(2))
        return Reply(status=400, payload={"error": {"message": "filtered"}}) if refused else merge_answer(body)

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(10))
    assert (usage.failures, usage.answered) == ({"api_failed": 2}, 8)


def test_a_content_filter_in_front_of_the_model_is_a_refusal_and_stops_nothing():
    payload = {
        "error": {"message": "The prompt triggered the content policy.", "code": "content_filter", "status": 400}
    }

    def answer(body):
        text = body["messages"][-1]["content"]
        filtered = any(f"item {number}." in text for number in range(5))
        return Reply(status=400, payload=payload) if filtered else merge_answer(body)

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(12))
        assert (usage.failures, usage.answered) == ({"refused": 5}, 7)
        assert len(server.requests) == 12


def test_of_many_models_the_likest_are_named():
    names = (*(f"other-{number}" for number in range(50)), "m-large")
    named = r"the models there are 'm-large', .* and 43 more\.$"
    with FakeLLMServer(models=names) as server, pytest.raises(LLMUnavailableError, match=named):
        answers_of(engine_for(server), merge_requests(3))


def test_llama_cpp_python_is_held_to_the_schema_in_its_own_way():
    def answer(body):
        form = body.get("response_format") or {}
        return (
            Reply(status=500, payload=LLAMA_CPP_PYTHON_NO_SCHEMA)
            if form.get("type") == "json_schema"
            else merge_answer(body)
        )

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(3))
        assert usage.answered == 3
        assert formats_of(server)[1:] == [{"type": "json_object", "schema": MERGE_SCHEMA}] * 3


def test_a_server_that_loads_its_model_is_waited_for():
    with FakeLLMServer(lambda body: LLAMA_CPP_LOADING if len(server.requests) <= 20 else merge_answer(body)) as server:
        engine = engine_for(server, RetryPolicy(loading_s=0.001, refusal_s=0.001))
        _, usage = answers_of(engine, merge_requests(30))
        assert usage.answered == 30
        # One asks again and again while it loads, not thirty.
        assert len(server.requests) == 20 + 30
        assert {form["type"] for form in formats_of(server)} == {"json_schema"}


def test_a_server_that_is_started_again_in_the_middle_of_a_run_costs_no_pair(tmp_path):
    """Nobody listens for longer than the attempts of a call would last."""
    policy = RetryPolicy(attempts=2, base_s=0.001, cap_s=0.02, refusal_s=FAST.refusal_s)
    first = FakeLLMServer(merge_answer)
    rest: list[FakeLLMServer] = []
    started_again = threading.Event()

    def start_again():
        time.sleep(0.5)
        rest.append(FakeLLMServer(merge_answer, port=first.port).__enter__())
        started_again.set()

    def requests():
        for number, request in enumerate(merge_requests(40)):
            if number == 20:
                first.__exit__()
                threading.Thread(target=start_again).start()
            yield request

    first.__enter__()
    _, usage = answers_of(engine_for(first, policy, max_concurrency=1), requests())
    assert started_again.is_set()
    rest[0].__exit__()
    assert (usage.answered, usage.failures) == (40, {})
    assert usage.retries > policy.attempts
    # Answered requests are not sent again.
    sent = [json.dumps(body["messages"]) for server in (first, rest[0]) for body in server.requests]
    assert len(sent) - len(set(sent)) <= 2


def test_a_server_that_is_gone_for_good_stops_the_run_and_what_came_is_kept():
    policy = RetryPolicy(base_s=0.001, cap_s=0.01, total_s=0.2, refusal_s=FAST.refusal_s)
    server = FakeLLMServer(merge_answer)

    def requests():
        for number, request in enumerate(merge_requests(400)):
            if number == 300:
                server.__exit__()
            yield request

    server.__enter__()
    with pytest.raises(LLMUnavailableError, match="Nobody answers"):
        answers_of(engine_for(server, policy, max_concurrency=1), requests())
    with FakeLLMServer(merge_answer, port=server.port) as again:
        _, usage = answers_of(engine_for(again, policy), merge_requests(400))
    assert usage.answered == 400
    assert usage.cache_hits >= 297


def test_a_server_that_never_ends_loading_is_left_alone_in_the_end():
    with FakeLLMServer(lambda body: LLAMA_CPP_LOADING) as server:
        policy = RetryPolicy(loading_s=0.01, total_s=0.1, refusal_s=FAST.refusal_s)
        with pytest.raises(LLMUnavailableError, match="still loading its model"):
            answers_of(engine_for(server, policy), merge_requests(30))


class Counting(FakeLLMServer):
    """Knows no model, and counts who asks for its list, which takes a while."""

    def __init__(self):
        super().__init__(refusing({"error": {"message": "no such model", "code": "model_not_found"}}, 404))
        self.listings = 0

    def _reply(self, method, path, headers, raw):
        if method == "GET":
            self.listings += 1
            time.sleep(0.2)
        return super()._reply(method, path, headers, raw)


def test_the_list_of_models_is_asked_for_once_and_nothing_is_sent_meanwhile():
    with Counting() as server:
        with pytest.raises(LLMUnavailableError, match="the models there are 'made-up-answers'"):
            answers_of(engine_for(server), merge_requests(30))
        assert (len(server.requests), server.listings) == (1, 1)


def test_the_key_of_one_server_never_goes_to_the_list_of_another(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-for-the-asked-server")
    with Counting() as asked, Counting() as other:
        engine = engine_for(other, api_endpoint=f"{asked.base_url}/chat/completions")
        with pytest.raises(LLMUnavailableError, match="does not know model"):
            answers_of(engine, merge_requests(3))
        assert (len(asked.requests), asked.listings, other.listings) == (1, 0, 0)


def test_room_that_a_token_budget_sets_aside_makes_no_pair_too_long():
    """Servers that count prompt and `max_tokens` together refuse what would have fitted without a budget."""
    refused = []

    def answer(body):
        if body["max_tokens"] > 60:
            refused.append(body["max_tokens"])
            return Reply(status=400, payload=TOO_LONG["llama-cpp-python"])
        return merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, usage = answers_of(engine_for(server, max_total_tokens=10**6), merge_requests(10))
    assert refused
    assert (usage.failures, len(outcomes)) == ({}, 10)


def test_a_code_in_a_body_that_claims_to_be_good_counts_too():
    payload = {"error": {"message": "too many tokens", "code": "context_length_exceeded"}}

    def answer(body):
        return Reply(payload=payload) if "item 3." in body["messages"][-1]["content"] else merge_answer(body)

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server), merge_requests(10))
    assert (usage.failures, usage.answered) == ({"too_long": 1}, 9)


def test_a_single_refused_request_stops_nothing_where_nothing_is_to_stop_a_run():
    with FakeLLMServer(refusing({"error": {"message": "filtered"}})) as server:
        _, usage = answers_of(engine_for(server, max_failure_ratio=1.0), merge_requests(1))
    assert usage.failures == {"api_failed": 1}


def test_a_server_that_comes_back_and_never_gets_ready_stops_the_run():
    answered = []

    def answer(body):
        if len(answered) >= 5:
            return LLAMA_CPP_LOADING
        answered.append(body)
        return merge_answer(body)

    policy = RetryPolicy(base_s=0.001, cap_s=0.002, loading_s=0.02, total_s=0.1, refusal_s=1.0)
    with FakeLLMServer(answer) as server, pytest.raises(LLMUnavailableError, match="still loading its model"):
        answers_of(engine_for(server, policy, max_concurrency=1), merge_requests(40))


ECHOED = {
    "text": "Do 😀\nit",
    "logprobs": {
        "text_offset": [0, 1, 2, 3, 3, 3, 3, 4, 5, 6, 7],
        "token_logprobs": [None, -6.52, -8.42, -5.86, -3.56, -6.83, -6.14, -7.65, -8.55, -8.13, -3.07],
        "tokens": ["D", "o", " ", "", "", "", "", "\n", "i", "t", ""],
        "top_logprobs": [None, {"": -1.72, "o": -6.52}],
    },
}
"""Of llama-cpp-python, shortened; the last token is that of the completion."""


def test_the_tokens_of_an_echo_are_read_with_their_log_probabilities():
    found = echoed_tokens({"choices": [ECHOED]})
    assert found[:3] == [("D", None), ("o", -6.52), (" ", -8.42)]
    assert len(found) == 11


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"logprobs": None},
        {"logprobs": {"content": []}},
        {"logprobs": {"tokens": ["a"], "token_logprobs": []}},
        {"logprobs": {"tokens": "a", "token_logprobs": "b"}},
        {"prompt_logprobs": "x"},
        {"prompt_logprobs": None},
    ],
)
def test_what_holds_no_tokens_of_a_prompt_gives_none(choice):
    assert echoed_tokens({"choices": [choice]}) == []
    assert prompt_logprobs({"choices": [choice]}) == []


def test_the_token_of_the_prompt_is_told_from_the_likeliest_one():
    """By vLLM's documentation: the likeliest token has rank 1, and stands first or last, by version."""
    own, best = {"logprob": -2.0, "rank": 7, "decoded_token": "x"}, {"logprob": -0.1, "rank": 1, "decoded_token": "y"}
    listed = [None, {"1": own, "2": best}, {"2": best, "1": own}, {"2": best}, {}, {"3": None}]
    found = prompt_logprobs({"choices": [{"prompt_logprobs": listed}]})
    nothing = (None, None)
    assert found == [nothing, ("x", -2.0), ("x", -2.0), ("y", -0.1), nothing, nothing]
