"""The texts around instruction and response, as recipes give them."""

import pytest

from mergeit_ops.core.scoring.loss_prompts import LOSS_PROMPTS
from mergeit_ops.errors import RecipeError
from mergeit_ops.scorers.loss_template import loss_template, no_ratio

TEXTS = {"without_input": "{instruction}: ", "with_input": "{instruction} {input}: ", "alone": ""}


@pytest.mark.parametrize("name", list(LOSS_PROMPTS))
def test_a_prompt_has_the_texts_of_its_name(name):
    assert loss_template("owner", name, None, reverse=True) is LOSS_PROMPTS[name]


def test_the_chat_template_of_the_model_has_no_texts_here():
    assert loss_template("owner", "chat", None, reverse=False) is None


@pytest.mark.parametrize(("prompt", "texts"), [("custom", None), ("plain", TEXTS)])
def test_texts_belong_to_a_prompt_of_ones_own_and_to_no_other(prompt, texts):
    with pytest.raises(RecipeError, match="owner: `prompt: custom` needs a prompt_template"):
        loss_template("owner", prompt, texts, reverse=False)


def test_the_reverse_needs_a_text_with_the_response():
    assert loss_template("owner", "custom", TEXTS, reverse=False) is not None
    with pytest.raises(RecipeError, match="for reverse_ifd the prompt_template needs the field 'reverse'"):
        loss_template("owner", "custom", TEXTS, reverse=True)


def test_a_field_that_is_not_known_is_refused():
    with pytest.raises(RecipeError, match="owner: the prompt_template"):
        loss_template("owner", "custom", TEXTS | {"beside": "x"}, reverse=False)


@pytest.mark.parametrize(
    ("measure", "lower"),
    [("perplexity", True), ("sample_perplexity", True), ("reverse_ifd", True), ("ifd", False), ("upd", False)],
)
def test_measures_that_are_better_when_lower_have_no_ratio(measure, lower):
    assert bool(no_ratio(measure)) is lower
