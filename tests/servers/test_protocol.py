"""The client with real servers: nothing is simulated."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mergeit_ops.core.merging.prompts import MERGE_SCHEMA
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.client import OpenAICompatibleFactory
from mergeit_ops.llm.engine import LLMEngine, build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from mergeit_ops.scorers.deita import DeitaScorer
from mergeit_ops.scorers.deita_api import DeitaApiScorer
from tests.llm.conftest import answers_of, merge_request, text_request

pytestmark = pytest.mark.servers

SAMPLING = {"temperature": 0.25, "max_tokens": 400}


def engine_at(server, **parameters: Any) -> LLMEngine:
    settings = {"api_or_hf_model": server.model, "sampling_params": SAMPLING, "cache_path": None, "max_concurrency": 2}
    return build_engine(LLMSettings(**settings | {"model_params": {"base_url": server.base_url}} | parameters))


def long_request(tag: Any) -> LLMRequest[str]:
    return text_request(tag, "a long story " * 4000)


def test_json_is_asked_for_in_the_best_way_that_the_server_takes(server):
    factory = OpenAICompatibleFactory(
        server.model, model_params={"base_url": server.base_url}, sampling_params=SAMPLING
    )

    async def ask() -> list[Completion]:
        client = factory.create(1)
        try:
            messages = [{"role": "user", "content": "Merge."}]
            return [await client.complete(messages, SAMPLING, MERGE_SCHEMA) for _ in range(8)]
        finally:
            await client.aclose()

    completions = asyncio.run(ask())
    assert all(completion.prompt_tokens and completion.completion_tokens for completion in completions)
    whole = [completion.text for completion in completions if completion.problem is None]
    assert whole
    if server.kind.json == "schema":
        assert all(set(json.loads(text)) == {"instruction", "input", "output"} for text in whole)
        # Only llama-cpp-python has its own form of the request.
        assert factory.modes.mode == (1 if server.kind.name == "llama-cpp-python" else 0)


def test_an_answer_that_is_cut_off_is_known_as_one(server):
    engine = engine_at(server, sampling_params={"temperature": 0.25, "max_tokens": 2}, max_failure_ratio=1, try_num=1)
    _, usage = answers_of(engine, [merge_request(number) for number in range(3)])
    wanted = {"truncated"} if server.kind.json == "schema" else {"truncated", "unparsable", "empty"}
    assert set(usage.failures) <= wanted
    assert usage.calls == 3


def test_a_prompt_beyond_the_window_costs_one_row(server):
    if not server.kind.bounds_prompts:
        pytest.skip("it answers, with a model that has never seen so long a text")
    outcomes, usage = answers_of(engine_at(server, try_num=9), [text_request(1), long_request(2), text_request(3)])
    assert str(outcomes[2].error) == "too_long"
    assert usage.failures == {"too_long": 1}


def test_a_prompt_beyond_the_window_comes_first(server):
    if not server.kind.bounds_prompts:
        pytest.skip("it answers, with a model that has never seen so long a text")
    engine = engine_at(server, max_concurrency=1, try_num=9)
    _, usage = answers_of(engine, [*(long_request(number) for number in range(4)), *map(text_request, range(4, 9))])
    assert usage.failures == {"too_long": 4}


def test_an_unknown_model_stops_the_run(server):
    if not server.kind.checks_model:
        _, usage = answers_of(engine_at(server, api_or_hf_model="nobody/none", try_num=9), [text_request(1)])
        assert usage.answered == 1
        return
    with pytest.raises(LLMUnavailableError, match="does not know model 'nobody/none'") as caught:
        answers_of(engine_at(server, api_or_hf_model="nobody/none"), map(text_request, range(30)))
    if server.kind.name == "litellm":
        assert str(caught.value).endswith("the models there are 'tiny'.")


def test_a_parameter_that_means_nothing_stops_the_run(server):
    engine = engine_at(server, sampling_params={"temperature": "hot"}, max_concurrency=1)
    with pytest.raises(LLMUnavailableError) as caught:
        answers_of(engine, map(text_request, range(30)))
    if server.kind.name != "transformers":
        assert "temperature" in str(caught.value)
    assert engine.total.calls <= 4


def test_a_field_that_only_some_servers_know(server):
    engine = engine_at(server, sampling_params={**SAMPLING, "min_p": 0.01}, max_concurrency=1, try_num=9)
    if server.kind.name == "transformers":
        with pytest.raises(LLMUnavailableError, match=r"refuses 'min_p' .*remove it from sampling_params"):
            answers_of(engine, map(text_request, range(30)))
    else:
        _, usage = answers_of(engine, map(text_request, range(3)))
        assert usage.answered == 3


def test_a_path_that_is_not_there_stops_the_run(server):
    with pytest.raises(LLMUnavailableError, match="often ends in /v1"):
        answers_of(engine_at(server, api_endpoint="/chat/complete"), map(text_request, range(30)))


def test_a_wrong_key_stops_the_run(server, monkeypatch):
    if not server.kind.key:
        pytest.skip("it asks for none")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    with pytest.raises(LLMUnavailableError, match="refused the API key") as caught:
        answers_of(engine_at(server), map(text_request, range(30)))
    assert "somebody" not in str(caught.value)


def test_an_answer_that_takes_too_long_is_given_up(server):
    engine = engine_at(server, timeout_s=0.05, sampling_params={"temperature": 0.25, "max_tokens": 8000})
    # On a busy machine, a server may not even accept a connection in this time.
    given_up = r"no complete answer within timeout_s.*max_concurrency|ConnectionTimeoutError"
    with pytest.raises(LLMUnavailableError, match=given_up):
        answers_of(engine, [text_request(number, "a story " * 1500) for number in range(4)])


def test_the_quality_score_is_that_of_the_model_itself(server, models):
    """The same weights run in two programs."""
    rows = [
        Sample("Name a fruit.", "", "Apple"),
        Sample("Name 3 fruits.", "Red ones.", "Apple, cherry and 1 more."),
        Sample("Why is the sky blue?", "", "Light is scattered: the shorter its wave, the more. " * 20),
    ]
    params = {"base_url": server.base_url}
    scorer = DeitaApiScorer(api_or_hf_model=server.model, model_params=params, cache_path=None, top_logprobs=50)
    if not server.kind.logprobs:
        with pytest.raises(LLMUnavailableError, match="without log-probabilities"):
            scorer.score(rows)
        return
    found = scorer.score(rows)
    assert [score.status for score in found] == ["ok"] * 3
    local = DeitaScorer(model=str(models / "hub"), device="cpu").score(rows)
    assert [score.value for score in found] == pytest.approx([score.value for score in local], abs=2e-3)


def test_a_row_beyond_the_window_has_no_score(server):
    if not (server.kind.logprobs and server.kind.bounds_prompts):
        pytest.skip("it gives no log-probabilities")
    params = {"base_url": server.base_url}
    scorer = DeitaApiScorer(api_or_hf_model=server.model, model_params=params, cache_path=None, top_logprobs=50)
    rows = [Sample("Name a fruit.", "", text) for text in ("Apple", "Apple " * 9000, "Pear")]
    assert [score.status for score in scorer.score(rows)] == ["ok", "too_long", "ok"]
