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


def loss_of(reference, tokens, first, end) -> float:
    labels = torch.tensor([[-100] * first + list(tokens[first:end]) + [-100] * (len(tokens) - end)])
    return reference(input_ids=torch.tensor([tokens]), labels=labels).loss.item()


def test_spans_of_the_same_tokens_are_read_in_one_pass(model):
    reference = AutoModelForCausalLM.from_pretrained(tiny_models.gpt2_folder())
    tokens = tuple(model.tokens(["Who is it? It is I. And who else? Nobody."])[0])
    ranges = [(3, 9), (9, 12), (20, len(tokens)), (1, len(tokens))]
    read = []
    body = model.passes._model.base_model
    handle = body.register_forward_hook(lambda *call: read.append(call[-1].last_hidden_state.shape[0]))
    found = model.mean_losses([Span(tokens, first, end) for first, end in ranges])
    handle.remove()
    assert read == [1]
    assert found == pytest.approx([loss_of(reference, tokens, *part) for part in ranges], abs=1e-4)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_losses_are_those_of_the_model_also_where_it_changes_its_logits_at_the_end(tmp_path, softcap):
    """Gemma 2 caps its logits behind the head: then the model makes all of them itself."""
    from transformers import AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=257,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.5,
        final_logit_softcapping=softcap,
        max_position_embeddings=64,
    )
    reference = Gemma2ForCausalLM(config).eval()
    reference.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_models.gpt2_folder()).save_pretrained(tmp_path)
    model = load_loss_model(str(tmp_path), {}, "cpu", "float32")
    assert (model.passes._parts is None) == (softcap is not None)
    tokens = [(1, 2, 3, 4, 5, 6), (9, 8, 7)]
    found = model.losses([Span(tokens[0], 2), Span(tokens[1], 1)], surprise=True)
    expected = [loss_of(reference, tokens[0], 2, 6), loss_of(reference, tokens[1], 1, 3)]
    assert [loss for loss, _ in found] == pytest.approx(expected, abs=1e-4)
