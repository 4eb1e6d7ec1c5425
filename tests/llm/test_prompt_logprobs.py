"""Log-probabilities of prompts over HTTP: how a server is asked, and which servers are refused."""

from __future__ import annotations

from typing import Any

import pytest

from mergeit_ops.core.scoring.prompt_tokens import tokens_of
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.engine import LLMEngine, build_prompt_logprobs_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from tests.llm.conftest import FAST, answers_of
from tests.llm_server import FakeLLMServer, Reply, error, listed_prompt_reply

WORDS = [("Do", None), (".", -1.0), ("\n", -2.0), ("Done", -3.0)]
VLLM = [
    None,
    {"13": {"logprob": -1.0, "rank": 1, "decoded_token": "."}},
    # The likeliest token stands beside the one of the prompt, in either order.
    {
        "5": {"logprob": -0.1, "rank": 1, "decoded_token": "!"},
        "198": {"logprob": -2.0, "rank": 7, "decoded_token": "\n"},
    },
    {
        "9": {"logprob": -3.0, "rank": 2, "decoded_token": "Done"},
        "7": {"logprob": -0.2, "rank": 1, "decoded_token": "It"},
    },
]


def engine_for(server: FakeLLMServer, **parameters: Any) -> LLMEngine:
    settings = LLMSettings(api_or_hf_model="m", model_params={"base_url": server.base_url}, **parameters)
    engine = build_prompt_logprobs_engine(settings)
    engine.policy = FAST
    return engine


def request(tag: Any, before: str = "Do.\n", behind: str = "Done") -> LLMRequest[Any]:
    messages = ({"role": "user", "content": before}, {"role": "user", "content": behind})
    return LLMRequest(tag, messages, tokens_of, completion_tokens=1)


def without_echo(body: dict[str, Any]) -> Reply:
    """Refuse `echo`, and know `prompt_logprobs`."""
    if body.get("echo"):
        return error(400, "Only no echo is supported", type="invalid_request_error")
    return listed_prompt_reply([], usage=(4, 1), prompt_logprobs=VLLM)


def test_the_prompt_goes_out_as_it_is_and_its_tokens_come_back():
    with FakeLLMServer(lambda body: listed_prompt_reply(WORDS)) as server:
        outcomes, usage = answers_of(engine_for(server), [request(0)])
        assert server.paths == ["/v1/completions"]
        common = {"model": "m", "prompt": "Do.\nDone", "max_tokens": 1, "temperature": 0}
        assert server.requests == [{**common, "echo": True, "logprobs": 1}]
    tokens, logprobs = outcomes[0].answers[0]
    assert list(zip(tokens, logprobs, strict=True)) == WORDS
    assert (usage.prompt_tokens, usage.completion_tokens) == (4, 1)


@pytest.mark.parametrize(
    "answer",
    [without_echo, lambda body: listed_prompt_reply([], usage=(4, 1), prompt_logprobs=VLLM)],
    ids=["refuses", "ignores"],
)
def test_a_server_without_echo_is_asked_by_prompt_logprobs_from_then_on(answer):
    def ask(body: dict[str, Any]) -> Reply:
        return answer(body) if "prompt_logprobs" not in body else without_echo(body)

    with FakeLLMServer(ask) as server:
        outcomes, usage = answers_of(engine_for(server), map(request, range(5)))
        asked = ["echo" in body for body in server.requests]
        assert server.requests[-1]["prompt_logprobs"] == 1
    assert asked == [True] + [False] * len(asked[1:])
    tokens, logprobs = outcomes[4].answers[0]
    assert (tokens, logprobs) == ([None, ".", "\n", "Done"], [None, -1.0, -2.0, -3.0])
    assert usage.answered == 5


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        # Older versions of llama.cpp's own server; newer ones, and LiteLLM before them; llama-cpp-python without
        # logits_all; one that takes no field it does not know.
        (
            lambda body: error(400, "Only no echo is supported") if "echo" in body else listed_prompt_reply([]),
            r"echo: .*Only no echo is supported.*; prompt_logprobs: it answers without them\)",
        ),
        (lambda body: listed_prompt_reply([]), "echo: it answers without them; prompt_logprobs: it answers without"),
        (
            lambda body: (
                error(500, "logprobs is not supported for models created with logits_all=False")
                if "logprobs" in body
                else listed_prompt_reply([])
            ),
            r"logits_all=False.*llama-cpp-python with logits_all",
        ),
        (lambda body: error(422, "Unexpected fields in the request"), "Unexpected fields.*Unexpected fields"),
    ],
    ids=["refuses", "ignores", "logits_all", "unknown fields"],
)
def test_a_server_that_gives_none_stops_the_run_at_the_first_row(answer, said):
    with FakeLLMServer(answer) as server:
        with pytest.raises(LLMUnavailableError, match=f"gives no log-probabilities of a prompt .*{said}"):
            answers_of(engine_for(server), map(request, range(30)))
        assert len(server.requests) == 2


def test_log_probabilities_that_are_one_token_late_stop_the_run():
    """As llama-cpp-python lists them where it puts no BOS in front: the token of the completion is missing."""
    late = listed_prompt_reply(WORDS, completion=[], usage=(4, 1))
    with FakeLLMServer(lambda body: late) as server:
        with pytest.raises(LLMUnavailableError, match=r"one token late.*begin start_text with the text of the BOS"):
            answers_of(engine_for(server), map(request, range(30)))
        assert len(server.requests) == 1


def test_without_a_token_of_the_completion_they_may_be_late():
    with FakeLLMServer(lambda body: listed_prompt_reply(WORDS, completion=[], usage=(4, 0))) as server:
        outcomes, _ = answers_of(engine_for(server, max_failure_ratio=1), [request(0)])
    assert str(outcomes[0].error) == "no_logprobs"
    # With one token fewer than the prompt has, a BOS is left out, and all is in its place.
    with FakeLLMServer(lambda body: listed_prompt_reply(WORDS, completion=[], usage=(5, 0))) as server:
        outcomes, _ = answers_of(engine_for(server, cache_path=None), [request(0)])
    assert outcomes[0].error is None


def test_a_first_token_without_a_loss_stops_the_run():
    def answer(body: dict[str, Any]) -> Reply:
        return listed_prompt_reply([("Done", None), (" it", -1.0)])

    with FakeLLMServer(answer) as server:
        with pytest.raises(LLMUnavailableError, match=r'first token of a text .*set start_text .*"\\n" in double'):
            answers_of(engine_for(server), (request(number, "", "Done it") for number in range(30)))
        assert len(server.requests) == 1


def test_later_on_an_answer_without_them_costs_one_row():
    def answer(body: dict[str, Any]) -> Reply:
        return listed_prompt_reply([]) if body["prompt"].startswith("bad") else listed_prompt_reply(WORDS)

    with FakeLLMServer(answer) as server:
        requests = [request(0), request(1, "bad"), request(2, "Do.\n", "Done")]
        outcomes, _ = answers_of(engine_for(server, max_concurrency=1), requests)
    assert [str(outcomes[number].error) for number in range(3)] == ["None", "no_logprobs", "None"]


def test_a_temperature_that_is_refused_is_left_out():
    def answer(body: dict[str, Any]) -> Reply:
        if "temperature" in body:
            return error(400, "Unsupported parameter: 'temperature'", param="temperature")
        return listed_prompt_reply(WORDS)

    with FakeLLMServer(answer) as server:
        outcomes, _ = answers_of(engine_for(server), [request(0), request(1, "Do.\n", "Done")])
    assert outcomes[1].error is None


def test_a_prompt_beyond_the_window_says_nothing_of_the_server():
    def answer(body: dict[str, Any]) -> Reply:
        if len(body["prompt"]) > 1000:
            return error(400, "This model's maximum context length is 1024 tokens.")
        return listed_prompt_reply(WORDS)

    with FakeLLMServer(answer) as server:
        outcomes, _ = answers_of(engine_for(server, max_concurrency=1), [request(0, "x" * 2000), request(1)])
        assert all("echo" in body for body in server.requests)
    assert str(outcomes[0].error) == "too_long"
    assert outcomes[1].error is None


@pytest.mark.parametrize(
    "listed",
    [
        [("Do", None), (".", "x")],
        [("Do", None), (7, -1.0)],
        [("Do", None), (".", 10**400)],
        [("Do", None), (".", True)],
    ],
)
def test_numbers_and_tokens_of_any_kind_are_no_answer_and_no_crash(listed):
    with FakeLLMServer(lambda body: listed_prompt_reply(listed)) as server:
        outcomes, _ = answers_of(engine_for(server, max_failure_ratio=1), [request(0)])
    (answer,) = outcomes[0].answers
    assert None in answer[0][1:] or None in answer[1][1:]
