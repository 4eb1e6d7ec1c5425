"""Bad parameters are refused in one sentence, before anything is opened; good ones cost nothing to accept."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"api_or_hf_model": ""}, ["api_or_hf_model", "''"]),
        ({"try_num": 0}, ["try_num", "at least 1", "0"]),
        ({"try_num": 1.5}, ["try_num", "whole", "1.5"]),
        ({"try_num": True}, ["try_num", "True"]),
        ({"max_concurrency": 0}, ["max_concurrency", "[1, 10000]", "got 0"]),
        ({"max_concurrency": 10001}, ["max_concurrency", "10000", "10001"]),
        ({"timeout_s": 0}, ["timeout_s", "above 0"]),
        ({"timeout_s": float("inf")}, ["timeout_s", "inf"]),
        ({"max_failure_ratio": 1.1}, ["max_failure_ratio", "[0, 1]", "1.1"]),
        ({"max_failure_ratio": "half"}, ["max_failure_ratio", "'half'"]),
        ({"max_total_tokens": 0}, ["max_total_tokens", "at least 1"]),
        ({"cache_path": 3}, ["cache_path", "3"]),
        ({"model_params": ["x"]}, ["model_params", "mapping", "['x']"]),
        ({"model_params": {"base_url": "localhost:8000"}}, ["base_url", "http://", "localhost:8000"]),
        ({"model_params": {"max_retries": 3}}, ["model_params", "max_retries"]),
        ({"model_params": {"default_headers": "x"}}, ["default_headers", "mapping"]),
        ({"sampling_params": {"stream": True}}, ["sampling_params", "stream"]),
        ({"sampling_params": {"n": 2}}, ["sampling_params", "num_candidates"]),
        ({"sampling_params": {"temperature": float("nan")}}, ["sampling_params", "JSON"]),
        ({"sampling_params": {"extra_body": "x"}}, ["extra_body", "mapping", "got a text"]),
        ({"sampling_params": {"extra_body": {"model": "x"}}}, ["extra_body", "model", "api_or_hf_model"]),
        ({"sampling_params": {"extra_body": {"messages": []}}}, ["extra_body", "messages"]),
        ({"sampling_params": {"extra_body": {"n": 5}}}, ["extra_body", "num_candidates"]),
        ({"sampling_params": {"extra_body": {"stream": True}}}, ["extra_body", "stream"]),
        ({"response_path": "choices..0"}, ["response_path", "choices..0"]),
    ],
)
def test_bad_values(parameters, words):
    with pytest.raises(RecipeError) as caught:
        build_engine(LLMSettings(**{"api_or_hf_model": "m", **parameters}))
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"model_params": {"api_key": "hunter2"}}, "model_params.api_key"),
        ({"model_params": {"API_KEY": "hunter2"}}, "model_params.API_KEY"),
        ({"model_params": {"base_url": "http://me:hunter2@host/v1"}}, "model_params.base_url"),
        ({"model_params": {"base_url": "ftp://me:hunter2@host/v1"}}, "model_params.base_url"),
        ({"model_params": {"base_url": "http://host/v1?api_key=hunter2"}}, "model_params.base_url"),
        ({"model_params": {"default_query": {"api_key": "hunter2"}}}, "model_params.default_query"),
        ({"model_params": {"default_query": {"key": "hunter2"}}}, "model_params.default_query"),
        (
            {"model_params": {"default_headers": {"Authorization": "hunter2"}}},
            "model_params.default_headers.Authorization",
        ),
        ({"model_params": {"default_headers": {"X-Auth-Token": "hunter2"}}}, "default_headers.X-Auth-Token"),
        ({"model_params": {"default_headers": {"X-Any": "Bearer hunter2"}}}, "default_headers.X-Any"),
        ({"sampling_params": {"api_key": "hunter2"}}, "sampling_params.api_key"),
        ({"sampling_params": {"extra_body": {"api_key": "hunter2"}}}, "sampling_params.extra_body.api_key"),
        ({"sampling_params": {"user": "sk-hunter2hunter2hunter2"}}, "sampling_params.user"),
        ({"api_endpoint": "http://host/v1/chat?key=hunter2"}, "api_endpoint"),
    ],
)
def test_keys_in_a_recipe_are_refused_with_their_place_and_without_being_repeated(parameters, path):
    with pytest.raises(RecipeError, match="OPENAI_API_KEY") as caught:
        build_engine(LLMSettings(**{"api_or_hf_model": "m", **parameters}))
    assert path in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_tokens_of_the_hub_are_refused_too():
    with pytest.raises(RecipeError, match="HF_TOKEN"):
        build_engine(LLMSettings(api_or_hf_model="m", is_hf_model=True, model_params={"token": "x"}))


def test_nulls_are_defaults_and_whole_floats_are_numbers():
    settings = LLMSettings(
        api_or_hf_model="m",
        backend=None,
        api_endpoint=None,
        response_path=None,
        model_params=None,
        sampling_params=None,
        cache_path=None,
        max_total_tokens=None,
        try_num=2.0,
    )
    engine = build_engine(settings, accelerator=None)
    assert engine.settings.try_num == 2
    assert engine.backend_factory.sampling_params == {"temperature": 0.25}
    assert engine.settings.cache_path is None
    assert pickle.loads(pickle.dumps(engine)).model == "m"


def test_importing_and_building_load_no_client_and_no_model_library():
    script = (
        "import sys; from mergeit_ops.llm.engine import build_engine; import mergeit_ops.core.merging.prompts\n"
        "from mergeit_ops.llm.settings import LLMSettings\n"
        "build_engine(LLMSettings()); build_engine(LLMSettings(is_hf_model=True))\n"
        "heavy = {'openai', 'httpx', 'httpx2', 'aiohttp', 'torch', 'transformers', 'datasets', 'data_juicer'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
