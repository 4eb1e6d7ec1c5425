"""Forward passes: losses are those of the model's own logits, whatever is read together or before."""

from __future__ import annotations

import math

import pytest
import torch

from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.loss_passes import LossPasses
from tests import tiny_models


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def passes(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    folder = tiny_models.gpt2_folder() if request.param == "gpt2" else tiny_models.save(folder, request.param)
    return LossPasses(folder, {}, "cpu", "float32")


def expected(passes, span):
    """The mean loss of a span and its mean surprise, from all logits of one text alone."""
    with torch.inference_mode():
        logs = passes._model(input_ids=torch.tensor([span.tokens])).logits[0].float().log_softmax(-1)
    places = range(span.first - 1, span.stop - 1)
    losses = [-logs[place, span.tokens[place + 1]].item() for place in places]
    sure = [1 + (logs[place].exp() * logs[place]).sum().item() / math.log(logs.shape[-1]) for place in places]
    surprise = [max(0.0, one) / (1 + math.exp(-loss)) for loss, one in zip(losses, sure, strict=True)]
    return sum(losses) / len(losses), sum(surprise) / len(surprise)


SPANS = [
    Span((5, 9, 3, 3, 7, 1), 1),
    Span((5, 9, 3, 3, 7, 1), 2, 4),
    Span((8, 2), 1),
    Span((4,) * 20, 19),
]


def test_losses_and_surprise_are_those_of_each_text_alone(passes):
    found = passes.of_batch(SPANS, surprise=True)
    for span, losses in zip(SPANS, found, strict=True):
        assert losses == pytest.approx(expected(passes, span), abs=1e-4)


def test_surprise_that_is_not_wanted_is_not_a_number_and_changes_no_loss(passes):
    plain, both = passes.of_batch(SPANS, surprise=False), passes.of_batch(SPANS, surprise=True)
    assert [loss for loss, _ in plain] == pytest.approx([loss for loss, _ in both], abs=1e-5)
    assert all(math.isnan(surprise) for _, surprise in plain)


def test_what_was_read_before_need_not_be_read_again(passes):
    start = (6, 2, 8)
    before = passes.read(start)
    assert before is not None
    behind = [Span((5, 9, 3), 1), Span((7, 7), 1)]
    found = passes.of_batch(behind, surprise=False, before=(len(start), before))
    again = passes.of_batch(behind, surprise=False, before=(len(start), before))
    whole = [Span(start + span.tokens, len(start) + span.first) for span in behind]
    assert [loss for loss, _ in found] == pytest.approx([expected(passes, span)[0] for span in whole], abs=1e-4)
    assert [loss for loss, _ in again] == [loss for loss, _ in found]


def test_few_logits_at_a_time_give_the_same_losses(passes, monkeypatch):
    whole = passes.of_batch(SPANS, surprise=True)
    monkeypatch.setattr(passes, "_most_logits", 1)
    for one, other in zip(passes.of_batch(SPANS, surprise=True), whole, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_text_that_does_not_fit_alone_is_a_sentence_and_others_are_read_in_halves(passes, monkeypatch):
    forward = passes._forward
    most = {"texts": 1}

    def small_memory(texts, **options):
        if len(texts) > most["texts"]:
            raise torch.OutOfMemoryError("out of memory")
        return forward(texts, **options)

    monkeypatch.setattr(passes, "_forward", small_memory)
    found = passes.of_batch(SPANS, surprise=False)
    assert [loss for loss, _ in found] == pytest.approx([expected(passes, span)[0] for span in SPANS], abs=1e-4)
    most["texts"] = 0
    with pytest.raises(LLMUnavailableError, match="lower max_length"):
        passes.of_batch(SPANS, surprise=False)


def test_a_model_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(LLMUnavailableError, match=r"cannot be loaded .*check hf_model"):
        LossPasses(str(tmp_path / "none"), {}, "cpu", "float32")
