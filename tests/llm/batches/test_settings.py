"""What a recipe may say about batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.batches.settings import BatchSettings
from mergeit_ops.llm.engine import build_engine, build_logprobs_engine, build_prompt_logprobs_engine
from mergeit_ops.llm.settings import BATCH_FOLDER_VARIABLE, LLMSettings


def test_the_limits_are_those_of_openai():
    batching = BatchSettings.of(LLMSettings(api_mode="batch"))
    assert (batching.max_requests, batching.max_bytes) == (50_000, 200_000_000)
    assert (batching.completion_window, batching.folder) == ("24h", None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"api_mode": "offline"}, "api_mode must be .*online.*batch.*'offline'"),
        ({"is_hf_model": True}, "api_mode: batch is for servers"),
        ({"backend": "huggingface"}, "api_mode: batch is for servers"),
        ({"cache_path": None}, "api_mode: batch needs a journal"),
        ({"api_mode": "online", "batch_folder": "x"}, "batch_folder needs api_mode: batch"),
        ({"batch_max_requests": 0}, "batch_max_requests must be"),
        ({"batch_max_mb": 0}, "batch_max_mb must be"),
        ({"batch_poll_interval": 0}, "batch_poll_interval must be"),
        ({"batch_price_ratio": -1}, "batch_price_ratio must be"),
        ({"api_endpoint": "/responses"}, "api_mode: batch needs the endpoint /chat/completions"),
        ({"api_endpoint": "http://x/v1/chat/completions"}, "api_mode: batch needs the endpoint"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(RecipeError, match=sentence):
        build_engine(LLMSettings(**{"api_mode": "batch", **given}))


def test_log_probabilities_of_an_answer_come_in_batches_and_those_of_a_prompt_do_not():
    settings = LLMSettings(api_mode="batch")
    assert build_logprobs_engine(settings).backend_factory.line(({"content": "p"},), {})["prompt"] == "p"
    with pytest.raises(RecipeError, match="no batch API gives the log-probabilities of prompts"):
        build_prompt_logprobs_engine(settings)


def test_a_variable_stands_for_mode_and_folder_of_operators_that_ask_a_server(monkeypatch, tmp_path):
    monkeypatch.setenv(BATCH_FOLDER_VARIABLE, str(tmp_path))
    assert BatchSettings.of(LLMSettings()).folder == Path(tmp_path)
    assert LLMSettings().api_mode == "batch"
    assert LLMSettings(is_hf_model=True).api_mode == "online"


def test_the_price_of_a_batch_is_a_share_of_the_price():
    prices = {"price_per_1k_prompt": 2.0, "price_per_1k_completion": 8.0, "price_per_1k_cached_prompt": 1.0}
    batch = LLMSettings(api_mode="batch", batch_price_ratio=0.25, **prices).prices
    assert batch is not None
    assert (batch.per_1k_prompt, batch.per_1k_completion, batch.per_1k_cached_prompt) == (0.5, 2.0, 0.25)
