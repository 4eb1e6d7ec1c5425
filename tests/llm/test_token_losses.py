"""Losses of tokens, in blocks of words as from all logits at once."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from mergeit_ops.llm.token_losses import block_losses, logit_losses


@pytest.mark.parametrize("words", [7, 4_096, 9_000])
@pytest.mark.parametrize("with_bias", [True, False])
def test_blocks_of_words_give_the_losses_of_all_words(words, with_bias):
    drawn = torch.Generator().manual_seed(0)
    states = torch.randn(700, 8, generator=drawn)
    weight = torch.randn(words, 8, generator=drawn) * 5
    bias = torch.randn(words, generator=drawn) if with_bias else None
    targets = torch.randint(words, (700,), generator=drawn)
    logits = states.double() @ weight.double().T + (bias if with_bias else 0)
    expected = cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(block_losses(states, weight, bias, targets).double(), expected, atol=1e-4)
    losses, surprises = logit_losses(logits.float(), targets, surprise=False)
    assert torch.allclose(losses.double(), expected, atol=1e-4)
    assert surprises is None
    assert torch.allclose(logit_losses(logits.float(), targets, surprise=True)[0].double(), expected, atol=1e-4)


def test_a_model_that_is_broken_has_no_finite_loss():
    states = torch.tensor([[float("nan")], [float("inf")]])
    found = block_losses(states, torch.ones(5_000, 1), None, torch.tensor([0, 1]))
    assert not found.isfinite().any()
