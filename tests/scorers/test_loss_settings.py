"""The settings that all scorers by losses share."""

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.scorers.loss_settings import LossSettings
from tests.tiny_models import gpt2_folder


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"dtype": "int8"}, "mine: dtype must be"),
        ({"max_length": 1}, "mine: max_length must be"),
        ({"prompt": "prose"}, "mine: prompt must be"),
        ({"start_token": "cls"}, "mine: start_token must be"),
    ],
)
def test_a_bad_value_is_one_sentence_of_the_scorer(parameters, said):
    with pytest.raises(RecipeError, match=said):
        LossSettings("mine", **parameters)


def test_what_changes_a_loss_is_in_the_identity_and_the_device_is_not():
    folder = gpt2_folder()
    first = LossSettings("mine", folder).identity()
    assert LossSettings("mine", folder, device="cpu", cache_path=None).identity() == first
    for change in ({"dtype": "bfloat16"}, {"start_token": "eos"}, {"max_length": 64}, {"prompt": "alpaca"}):
        assert LossSettings("mine", folder, **change).identity() != first


def test_a_text_is_no_longer_than_the_model_can_read():
    settings = LossSettings("mine", gpt2_folder(64), max_length=1_000, cache_path=None)
    assert settings.most_tokens(settings.load()) == 64
    assert LossSettings("mine", gpt2_folder(64), max_length=32).most_tokens(settings.load()) == 32
