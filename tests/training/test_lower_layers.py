"""Lower layers that are passed by: the model goes on as if it had computed them, whatever its architecture."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM, Qwen2Config, Qwen2ForCausalLM

from mergeit_ops.training.lower_layers import LowerLayers, decoder_layers
from tests.tiny_models import gpt2_folder, model

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}


def gemma2():
    return Gemma2ForCausalLM(Gemma2Config(**SHAPE, attn_implementation="eager"))


def qwen2_with_windows():
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=3, max_window_layers=2))


MODELS = {
    "llama": lambda: model("llama"),
    "mistral": lambda: model("mistral"),
    "gpt2": lambda: AutoModelForCausalLM.from_pretrained(gpt2_folder()),
    "gemma2": gemma2,
    "qwen2": qwen2_with_windows,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_model_goes_on_from_the_states(name):
    torch.manual_seed(0)
    whole = MODELS[name]().eval()
    ids = torch.arange(1, 11).reshape(2, 5)
    with torch.no_grad():
        expected = whole(input_ids=ids, use_cache=False).logits
        layers = decoder_layers(whole)
        lower = LowerLayers(layers, len(layers) // 2)
        assert torch.equal(whole(input_ids=ids, use_cache=False).logits, expected)
        states = lower.states(whole, ids)
        with lower.passed_by(states):
            assert torch.allclose(whole(input_ids=ids, use_cache=False).logits, expected, atol=1e-5)
        with lower.passed_by(torch.zeros_like(states)):
            assert not torch.allclose(whole(input_ids=ids, use_cache=False).logits, expected, atol=1e-2)
        assert torch.equal(whole(input_ids=ids, use_cache=False).logits, expected)


def test_no_layer_above_is_run_for_the_states():
    whole = model("llama").eval()
    layers = decoder_layers(whole)
    lower = LowerLayers(layers, 1)
    ran = []
    layers[1].register_forward_hook(lambda *_: ran.append(1))
    lower.states(whole, torch.tensor([[1, 2, 3]]))
    assert not ran


def test_a_model_whose_layers_cannot_be_told_has_none():
    whole = model("llama")
    whole.twin = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    assert decoder_layers(whole) is None
