"""Body and head of a model: only where they give the logits of the model."""

from __future__ import annotations

import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from mergeit_ops.llm.model_parts import body_and_head
from tests.tiny_models import model


def test_both_parts_give_the_logits_of_the_model():
    whole = model("llama").eval()
    body, head = body_and_head(whole)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(head(body(input_ids=ids).last_hidden_state), whole(input_ids=ids).logits)


def test_a_model_that_changes_its_logits_has_no_parts():
    config = Gemma2Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.01,
        attn_implementation="eager",
    )
    assert body_and_head(Gemma2ForCausalLM(config).eval()) is None
