"""Sampling parameters of a recipe, read for a local model: taken or refused, never dropped."""

from __future__ import annotations

import math
import random

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.decoding import Draw
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.local_sampling import LocalSampling, read_sampling
from mergeit_ops.llm.settings import LLMSettings


def test_names_of_openai_vllm_and_transformers_are_understood():
    asked = {"temperature": 0.5, "max_completion_tokens": 9, "stop": "x", "seed": 3, "top_p": None}
    assert read_sampling(asked) == LocalSampling(temperature=0.5, max_tokens=9, stop=("x",), seed=3)
    assert read_sampling({"max_new_tokens": 9, "min_new_tokens": 2}) == LocalSampling(max_tokens=9, min_tokens=2)
    body = {"extra_body": {"top_k": 20, "chat_template_kwargs": {"enable_thinking": True}}}
    assert read_sampling(body) == LocalSampling(top_k=20, template={"enable_thinking": True})


@pytest.mark.parametrize(
    "params",
    [
        {"presence_penalty": 0.5},
        {"response_format": {"type": "json_object"}},
        {"logit_bias": {"1": 2}},
        {"num_beams": 4},
        {"extra_body": {"guided_json": {}}},
        {"temperature": -1},
        {"temperature": math.nan},
        {"temperature": True},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": 2.5},
        {"max_tokens": 0},
        {"seed": "7"},
        {"stop": [""]},
        {"stop": 5},
        {"chat_template_kwargs": "no"},
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_loaded(params):
    name = next(iter(params.get("extra_body", params)))
    with pytest.raises(RecipeError, match=name):
        build_engine(LLMSettings(is_hf_model=True, sampling_params=params))


@pytest.mark.parametrize(
    "place", [{"api_endpoint": "/x"}, {"response_path": "a.b"}, {"model_params": {"base_url": "http://x"}}]
)
def test_parameters_of_a_server_are_refused(place):
    with pytest.raises(RecipeError, match="belongs to a server"):
        build_engine(LLMSettings(is_hf_model=True, **place))


def test_tokens_are_drawn_by_their_probabilities_with_numbers_of_each_rows_own():
    torch = pytest.importorskip("torch")
    shares, rounds, rows = torch.tensor([0.2, 0.5, 0.0, 0.3]), 500, 8
    draw = Draw([], list(range(rows)))
    scores = shares.log().repeat(rows, 1)
    drawn = torch.stack([draw(None, scores).argmax(dim=-1) for _ in range(rounds)])
    assert (torch.bincount(drawn.flatten(), minlength=4) / drawn.numel()).tolist() == pytest.approx(shares, abs=0.03)
    # By hand: the first token whose share, added to those before it, exceeds the random number.
    for row in range(rows):
        source = random.Random(row)
        numbers = [source.random() for _ in range(rounds)]
        by_hand = [0 if number < 0.2 else 1 if number < 0.7 else 3 for number in numbers]
        assert drawn[:, row].tolist() == by_hand
