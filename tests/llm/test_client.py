"""One client for servers that differ: negotiation of JSON, odd responses, keys."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.client import OpenAICompatibleFactory
from mergeit_ops.llm.connection import is_http_url
from mergeit_ops.llm.failures import CallFailedError
from mergeit_ops.llm.responses import read_completion
from tests.llm_server import FakeLLMServer, Reply, error

MESSAGES = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object"}


def ask(url: str, times: int = 1, schema: Any = SCHEMA, sampling: Any = None, **spec: Any) -> list[Completion]:
    async def scenario() -> list[Completion]:
        client = OpenAICompatibleFactory("m", model_params={"base_url": url}, **spec).create(4)
        try:
            return [await client.complete(MESSAGES, sampling or {}, schema) for _ in range(times)]
        finally:
            await client.aclose()

    return asyncio.run(scenario())


def modes_of(server: FakeLLMServer) -> list[str | None]:
    return [(body.get("response_format") or {}).get("type") for body in server.requests]


@pytest.mark.parametrize(
    ("understood", "tried"),
    [
        (("json_schema", "json_object"), ["json_schema", "json_schema", "json_schema"]),
        (("json_object",), ["json_schema", "json_object", "json_object", "json_object"]),
        ((), ["json_schema", "json_object", "json_object", None, None, None]),
    ],
)
def test_the_strictest_mode_the_server_takes_is_found_once(understood, tried):
    with FakeLLMServer(json_modes=understood) as server:
        assert len(ask(server.base_url, times=3)) == 3
        assert modes_of(server) == tried


@pytest.mark.parametrize("status", [400, 500])
def test_a_request_that_fails_after_a_success_does_not_change_the_mode(status):
    replies = iter([Reply("a"), error(status), Reply("b")])

    async def scenario(url: str) -> None:
        client = OpenAICompatibleFactory("m", model_params={"base_url": url}).create(1)
        await client.complete(MESSAGES, {}, SCHEMA)
        with pytest.raises(CallFailedError):
            await client.complete(MESSAGES, {}, SCHEMA)
        await client.complete(MESSAGES, {}, SCHEMA)
        await client.aclose()

    with FakeLLMServer(lambda body: next(replies)) as server:
        asyncio.run(scenario(server.base_url))
        assert modes_of(server) == ["json_schema"] * 3


def test_a_request_that_fails_in_every_mode_leaves_the_mode_as_it_was():
    def answer(body: dict[str, Any]) -> str | Reply:
        return error(400, "no such thing") if len(server.requests) <= 4 else "fine"

    async def scenario(url: str) -> None:
        client = OpenAICompatibleFactory("m", model_params={"base_url": url}).create(1)
        with pytest.raises(CallFailedError):
            await client.complete(MESSAGES, {}, SCHEMA)
        await client.complete(MESSAGES, {}, SCHEMA)
        await client.aclose()

    with FakeLLMServer(answer) as server:
        asyncio.run(scenario(server.base_url))
        assert modes_of(server) == ["json_schema", "json_object", "json_object", None, "json_schema"]


def test_own_response_format_ends_the_search_and_no_schema_asks_for_none():
    with FakeLLMServer(json_modes=("json_object",)) as server:
        ask(server.base_url, sampling={"response_format": {"type": "json_object"}})
        ask(server.base_url, schema=None)
        assert modes_of(server) == ["json_object", None]
        with pytest.raises(CallFailedError):
            ask(server.base_url, sampling={"response_format": {"type": "json_schema"}})
        assert len(server.requests) == 3


def test_the_body_is_model_messages_and_sampling_parameters():
    with FakeLLMServer() as server:
        ask(server.base_url, schema=None, sampling={"temperature": 0.1, "extra_body": {"min_p": 0.2}})
        assert server.requests == [{"model": "m", "messages": MESSAGES, "temperature": 0.1, "min_p": 0.2}]
        assert server.paths == ["/v1/chat/completions"]


def test_another_endpoint_and_response_path():
    reply = Reply(payload={"result": {"texts": ["zero", "one"]}})
    with FakeLLMServer(lambda body: reply) as server:
        spec = {"api_endpoint": "/generate", "response_path": "result.texts.1"}
        (completion,) = ask(server.base_url, **spec)
        assert completion.text == "one"
        assert completion.problem is None
        assert server.paths == ["/v1/generate"]


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({"choices": []}, "no_choices"),
        ({"choices": None}, "no_choices"),
        ({}, "no_choices"),
        ([], "no_choices"),
        (None, "no_choices"),
        ("text", "no_choices"),
        ({"error": {"message": "x"}}, "no_choices"),
        ({"choices": [{"message": {"content": None}}]}, "empty"),
        ({"choices": [{"message": {"content": " "}}]}, "empty"),
        ({"choices": [{"message": {"content": {"a": 1}}}]}, "empty"),
        ({"choices": [{"message": {"content": None, "refusal": "no"}}]}, "refused"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}, "refused"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}, "truncated"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}, None),
        ({"choices": [{"message": {"content": "x", "refusal": ""}}]}, None),
    ],
)
def test_what_a_response_means(payload, problem):
    found = read_completion(payload, "choices.0.message.content").problem
    assert (found and found.value) == problem


def test_text_in_parts_and_usage_under_other_names():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    payload = {"choices": [{"message": {"content": parts}}], "usage": {"input_tokens": 3, "output_tokens": True}}
    completion = read_completion(payload, "choices.0.message.content")
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("ab", 3, None)


@pytest.mark.parametrize("count", [10**30, -1, 2**63, True, 1.5, "7", None])
def test_absurd_counts_are_no_counts(count):
    payload = {"choices": [], "usage": {"prompt_tokens": count, "completion_tokens": 7}}
    completion = read_completion(payload, "choices.0.message.content")
    assert (completion.prompt_tokens, completion.completion_tokens) == (None, 7)


def test_a_server_that_fails_over_the_response_format_is_asked_without():
    def answer(body: dict[str, Any]) -> str | Reply:
        return error(500, "internal") if "response_format" in body else "fine"

    with FakeLLMServer(answer) as server:
        assert [completion.text for completion in ask(server.base_url, times=2)] == ["fine", "fine"]
        assert modes_of(server) == ["json_schema", "json_object", "json_object", None, None]


@pytest.mark.parametrize("reply", [error(503), error(502), error(500, retry_after="1")])
def test_a_server_that_is_out_of_order_says_nothing_about_the_response_format(reply):
    with FakeLLMServer(lambda body: reply) as server:
        with pytest.raises(CallFailedError):
            ask(server.base_url)
        assert modes_of(server) == ["json_schema"]


def test_a_model_that_wants_the_newer_name_of_the_cap_gets_it():
    def answer(body: dict[str, Any]) -> str | Reply:
        return error(400, "use another", param="max_tokens") if "max_tokens" in body else "fine"

    with FakeLLMServer(answer) as server:
        ask(server.base_url, times=2, sampling={"max_tokens": 9})
        assert [body.get("max_completion_tokens") for body in server.requests] == [None, 9, 9]


def test_keyless_servers_get_a_placeholder_and_others_the_key(monkeypatch):
    with FakeLLMServer() as server:
        ask(server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "  real-key\n")
        ask(server.base_url)
        sent = [headers["authorization"] for headers in server.headers]
    assert sent == ["Bearer no-key", "Bearer real-key"]


def test_the_base_url_may_come_from_the_environment(monkeypatch):
    with FakeLLMServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        factory = OpenAICompatibleFactory("m")
        assert factory.identity()["base_url"] == server.base_url

        async def scenario() -> None:
            client = factory.create(1)
            await client.complete(MESSAGES, {})
            await client.aclose()

        asyncio.run(scenario())
        assert len(server.requests) == 1


def test_without_key_and_server_both_variables_are_named():
    with pytest.raises(LLMUnavailableError, match=r"OPENAI_API_KEY.*OPENAI_BASE_URL"):
        OpenAICompatibleFactory("m").create(1)


def test_unusable_environment_is_said_without_repeating_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
    with pytest.raises(LLMUnavailableError) as caught:
        OpenAICompatibleFactory("m").create(1)
    assert "schl" not in str(caught.value)
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(LLMUnavailableError, match="http://"):
        OpenAICompatibleFactory("m").create(1)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "http://x:99999", "http://[::1"])
def test_what_is_no_http_address(url):
    assert not is_http_url(url)


def test_non_ascii_text_arrives_unchanged():
    with FakeLLMServer(lambda body: json.dumps({"seen": body["messages"][0]["content"]})) as server:

        async def scenario() -> str:
            client = OpenAICompatibleFactory("m", model_params={"base_url": server.base_url}).create(1)
            completion = await client.complete([{"role": "user", "content": "你好 😀 ü"}], {})
            await client.aclose()
            return completion.text

        assert json.loads(asyncio.run(scenario()))["seen"] == "你好 😀 ü"
