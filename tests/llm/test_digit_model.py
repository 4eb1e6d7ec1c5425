"""The digits that a local model would write after a prompt."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mergeit_ops.errors import ScorerError
from mergeit_ops.llm.digit_model import DigitModel
from tests import tiny_models

DIGITS = range(1, 6)


def model(**changes):
    asked = {"name": tiny_models.gpt2_folder(), "model_params": {}, "device": "cpu", "dtype": "float32"}
    asked |= changes
    return DigitModel(**asked, digits=DIGITS, owner="scorer", role="rating model")


@pytest.fixture(scope="module")
def loaded():
    return model()


def test_logits_are_those_of_the_model_whatever_the_batch(loaded):
    texts = ["a", "rate this: ", "a much longer prompt than the others " * 2]
    prompts = loaded.tokens(texts)
    whole = loaded.digit_logits(prompts)
    plain = AutoModelForCausalLM.from_pretrained(tiny_models.gpt2_folder()).eval()
    ids = AutoTokenizer.from_pretrained(tiny_models.gpt2_folder()).convert_tokens_to_ids(list("12345"))
    for prompt, found in zip(prompts, whole, strict=True):
        with torch.inference_mode():
            expected = plain(torch.tensor([prompt])).logits[0, -1, ids].tolist()
        assert found == pytest.approx(expected, abs=1e-4)
        assert loaded.digit_logits([prompt])[0] == pytest.approx(found, abs=1e-4)


def test_tokens_end_where_their_characters_do(loaded):
    assert loaded.token_ends("abc") == [1, 2, 3]
    assert loaded.token_ends("") == []
    assert loaded.most_positions == tiny_models.GPT2_POSITIONS


def test_a_model_that_cannot_be_loaded_is_one_sentence():
    with pytest.raises(ScorerError, match=r"The rating model 'no/such' cannot be loaded.*HF_TOKEN") as caught:
        model(name="no/such")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_the_digits_is_no_rating_model(tmp_path):
    folder = Path(shutil.copytree(tiny_models.gpt2_folder(), tmp_path / "model"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = tokenizer["model"]["vocab"]
    pieces["three"] = pieces.pop("3")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(ScorerError, match="has no token '3', and the score is read off the tokens of the digits"):
        model(name=str(folder))
