"""Mean token losses, against the loss that transformers itself reports."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.losses import load_loss_model
from tests import tiny_models


@pytest.fixture(scope="module")
def model():
    return load_loss_model(tiny_models.gpt2_folder(), {}, "cpu", "float32")


def test_losses_are_those_of_transformers_whatever_the_batch(model):
    reference = AutoModelForCausalLM.from_pretrained(tiny_models.gpt2_folder())
    texts = ["To be, or not to be", "ab", "that is the question:" * 5, "Whether 'tis nobler"]
    spans = [Span(tuple(ids), first) for ids in model.tokens(texts) for first in (1, len(ids) - 1)]
    found = model.mean_losses(spans)
    for span, loss in zip(spans, found, strict=True):
        labels = torch.tensor([[-100] * span.first + list(span.tokens[span.first :])])
        expected = reference(input_ids=torch.tensor([span.tokens]), labels=labels).loss.item()
        assert loss == pytest.approx(expected, abs=1e-4)


def test_a_tokenizer_that_puts_bos_first_is_told_from_one_that_does_not(model, tmp_path):
    assert model.start("released") == []
    assert model.start("bos") == model.start("eos") == [256]
    llama = load_loss_model(tiny_models.save(tmp_path, "llama"), {}, "cpu", "float32")
    assert llama.start("released") == llama.start("bos") == [1]
    assert llama.start("eos") == [2]
    assert model.most_positions == tiny_models.GPT2_POSITIONS


def test_text_that_cannot_be_encoded_costs_nobody_a_score(model):
    assert len(model.tokens(["\ud800", "ab"])) == 2


def test_a_model_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(LLMUnavailableError, match=r"cannot be loaded .*check hf_model") as error:
        load_loss_model(str(tmp_path / "none"), {}, "cpu", "float32")
    assert "\n" not in str(error.value)
