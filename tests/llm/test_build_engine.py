"""Bad parameters are refused in one sentence, before anything is opened; good ones cost nothing to accept."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import build_engine


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"api_or_hf_model": ""}, ["api_or_hf_model", "''"]),
        ({"try_num": 0}, ["try_num", "at least 1", "0"]),
        ({"try_num": 1.5}, ["try_num", "whole", "1.5"]),
        ({"try_num": True}, ["try_num", "True"]),
        ({"max_concurrency": 0}, ["max_concurrency", "at least 1"]),
        ({"max_concurrency": 1001}, ["max_concurrency", "1000", "1001"]),
        ({"timeout_s": 0}, ["timeout_s", "above 0"]),
        ({"timeout_s": float("inf")}, ["timeout_s", "inf"]),
        ({"max_failure_ratio": 1.1}, ["max_failure_ratio", "at most 1", "1.1"]),
        ({"max_failure_ratio": "half"}, ["max_failure_ratio", "'half'"]),
        ({"max_total_tokens": 0}, ["max_total_tokens", "at least 1"]),
        ({"cache_path": 3}, ["cache_path", "3"]),
        ({"model_params": ["x"]}, ["model_params", "mapping", "list"]),
        ({"model_params": {"base_url": "localhost:8000"}}, ["base_url", "http://", "localhost:8000"]),
        ({"model_params": {"max_retries": 3}}, ["model_params", "max_retries"]),
        ({"model_params": {"default_headers": "x"}}, ["default_headers", "mapping"]),
        ({"sampling_params": {"stream": True}}, ["sampling_params", "stream"]),
        ({"sampling_params": {"n": 2}}, ["sampling_params", "num_candidates"]),
        ({"response_path": "choices..0"}, ["response_path", "choices..0"]),
    ],
)
def test_bad_values(parameters, words):
    with pytest.raises(RecipeError) as caught:
        build_engine(**{"api_or_hf_model": "m", **parameters})
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


@pytest.mark.parametrize(
    "model_params",
    [
        {"api_key": "the-secret"},
        {"API_KEY": "the-secret"},
        {"default_headers": {"Authorization": "Bearer the-secret"}},
        {"default_headers": {"api-key": "the-secret"}},
    ],
)
def test_keys_in_a_recipe_are_refused_without_being_repeated(model_params):
    with pytest.raises(RecipeError, match="OPENAI_API_KEY") as caught:
        build_engine(api_or_hf_model="m", model_params=model_params)
    assert "the-secret" not in str(caught.value)


def test_tokens_of_the_hub_are_refused_too():
    with pytest.raises(RecipeError, match="HF_TOKEN"):
        build_engine(api_or_hf_model="m", is_hf_model=True, model_params={"token": "x"})


def test_nulls_are_defaults_and_whole_floats_are_numbers():
    engine = build_engine(
        api_or_hf_model="m",
        api_endpoint=None,
        response_path=None,
        model_params=None,
        sampling_params=None,
        cache_path=None,
        max_total_tokens=None,
        accelerator=None,
        try_num=2.0,
    )
    assert engine.settings.try_num == 2
    assert engine.backend_factory.sampling_params == {"temperature": 0.25}
    assert engine.settings.cache_path is None
    assert pickle.loads(pickle.dumps(engine)).model == "m"


def test_importing_and_building_load_no_client_and_no_model_library():
    script = (
        "import sys; from mergeit_ops.llm import build_engine; import mergeit_ops.core.prompts\n"
        "build_engine(api_or_hf_model='m'); build_engine(api_or_hf_model='m', is_hf_model=True)\n"
        "heavy = {'openai', 'httpx', 'httpx2', 'tenacity', 'torch', 'transformers', 'datasets', 'data_juicer'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
