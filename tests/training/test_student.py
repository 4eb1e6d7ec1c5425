"""The student: what is trained of it, that it begins anew each time, and that its losses are those of its model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import StudentError
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.fitting import train
from mergeit_ops.training.student import load_student
from tests.tiny_models import gpt2_folder
from tests.training.tiny_experiment import SETTINGS, encoded, rows, student, student_folder

SAMPLES = [Sample("a question", "", "an answer"), Sample("another", "", "of other length, a longer one")]


def plain_losses(folder, texts):
    """The losses of answers, text by text, as transformers gives logits."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for text in texts:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([text.tokens])).logits[0]
        ids = torch.tensor(text.tokens)
        found += [cross_entropy(logits[n - 1], ids[n]) for first, stop in text.answers for n in range(first, stop)]
    return torch.stack(found)


@pytest.mark.parametrize("trained", ["top", "full"])
@pytest.mark.parametrize("folder", [student_folder, gpt2_folder])
def test_losses_are_those_of_the_model(folder, trained):
    one = load_student(folder(), replace(SETTINGS, trained=trained), "cpu", bfloat16=False)
    encoder = RowEncoder(one.tokenizer, one.most_tokens)
    texts = [encoder.encode(sample).texts[0] for sample in SAMPLES]
    batch = one.batch(texts)
    for _ in range(2):  # the second time from the states that are kept
        assert torch.allclose(one.losses(batch), plain_losses(folder(), texts), atol=1e-4)
    assert one.reuses_lower_layers == (trained == "top")


def test_the_upper_layers_alone_are_trained(tmp_path):
    one = student()
    before = {name: weights.clone() for name, weights in one._model.named_parameters()}
    train(one, encoded(tmp_path, "rows", rows(20)).rows, 0)
    changed = {name for name, weights in one._model.named_parameters() if not torch.equal(weights, before[name])}
    assert changed
    assert all(name.startswith(("model.layers.1.", "model.norm.")) for name in changed)
    assert sum(before[name].numel() for name in changed) == one.trained_weights


def test_each_training_begins_from_the_same_weights(tmp_path):
    one = student()
    some, others = (encoded(tmp_path, f"rows{seed}", rows(20, seed)).rows for seed in (1, 2))
    train(one, some, 0)
    first = [weights.clone() for weights in one.trained]
    train(one, others, 0)
    train(one, some, 0)
    assert all(torch.equal(weights, same) for weights, same in zip(one.trained, first, strict=True))
    train(one, some, 1)
    assert not all(torch.equal(weights, same) for weights, same in zip(one.trained, first, strict=True))


def test_adapters_are_trained_and_begin_anew(tmp_path):
    pytest.importorskip("peft")
    one = student(replace(SETTINGS, trained="lora", lora_rank=2))
    some = encoded(tmp_path, "rows", rows(20)).rows
    batch = one.batch([some[0].texts[0]])
    untrained = one.losses(batch).detach()
    train(one, some, 0)
    first = [weights.clone() for weights in one.trained]
    assert not torch.equal(one.losses(batch).detach(), untrained)
    one.reset(0)
    assert torch.equal(one.losses(batch).detach(), untrained)
    train(one, some, 0)
    assert all(torch.equal(weights, same) for weights, same in zip(one.trained, first, strict=True))


def test_adapters_without_their_package_are_refused():
    import importlib.util

    if importlib.util.find_spec("peft"):
        pytest.skip("peft is installed")
    with pytest.raises(ImportError, match=r"pip install \"mergeit-ops\[train\]\""):
        student(replace(SETTINGS, trained="lora"))


def test_what_cannot_be_a_student_is_refused(tmp_path):
    with pytest.raises(StudentError, match=r"--layers: the student .* has 2 layers, got 3"):
        student(replace(SETTINGS, layers=3))
    with pytest.raises(StudentError, match="cannot be loaded"):
        load_student(str(tmp_path), SETTINGS, "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(StudentError, match="no GPU that torch can use"):
            load_student(student_folder(), SETTINGS, "cuda")


def test_the_context_of_the_student_bounds_its_texts():
    assert load_student(gpt2_folder(), replace(SETTINGS, max_length=4096), "cpu").most_tokens == 128


def test_parts_of_a_step_fit_into_memory(tmp_path, monkeypatch):
    one = student()
    texts = [row.texts[0] for row in encoded(tmp_path, "rows", rows(30)).rows]
    assert [len(part) for part in one.parts(texts)] == [30]
    monkeypatch.setattr("mergeit_ops.training.student._MOST_LOGITS", 40 * one._model.config.vocab_size)
    parts = list(one.parts(texts))
    assert len(parts) > 3
    assert [text for part in parts for text in part] == texts
    assert all(sum(text.answer_tokens for text in part) <= 40 for part in parts)
