"""SelectIT by a local model and by a server: against the model asked text by text, and rows without a score."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.selectit import RATING_PROMPTS, prompt_parts, sentence_score, token_score
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.ops import SampleScoreFilter
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.selectit import SelectitScorer
from tests import tiny_models
from tests.recipe_runs import make_dataset

ROWS = [Sample("Name a fruit.", "It is red.", "Apple"), Sample("Count to three.", "", "one two three")]


def scorer(**parameters) -> SelectitScorer:
    return build_scorer("selectit", {"hf_model": tiny_models.gpt2_folder(1024), **parameters})


def test_scores_are_those_of_the_model_asked_text_by_text():
    folder = tiny_models.gpt2_folder(1024)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    digits = tokenizer.convert_tokens_to_ids(list("12345"))
    for sample, score in zip(ROWS, scorer(batch_size=3).score(ROWS), strict=True):
        each = []
        for prompt in RATING_PROMPTS:
            before, behind = prompt_parts(prompt, sample.query)
            ids = tokenizer(before + sample.output + behind, return_tensors="pt")["input_ids"]
            with torch.inference_mode():
                each.append(token_score(model(ids).logits[0, -1, digits].tolist()))
        assert score.value == pytest.approx(sentence_score(each, 0.2), abs=1e-5)


def test_fewer_prompts_and_prompts_of_ones_own():
    own = scorer(rating_prompts=list(RATING_PROMPTS[:2]))
    assert own.score(ROWS) == scorer(num_prompts=2).score(ROWS)
    assert own.score(ROWS) != scorer().score(ROWS)
    assert own.identity() == scorer(num_prompts=2).identity() != scorer().identity()


def test_rows_without_a_score_say_why_and_long_responses_lose_their_end():
    long, longer = Sample("Say it.", "", "y" * 600), Sample("Say it.", "", "y" * 700)
    rows = [Sample("Do.", "", " .. "), Sample(" ", "", "x"), Sample("x" * 900, "", "y"), long, longer]
    found = scorer(max_length=400).score(rows)
    assert [score.status for score in found[:3]] == ["empty_response", "empty_instruction", "instruction_too_long"]
    assert found[3].value == pytest.approx(found[4].value, abs=1e-6)


def test_the_score_goes_to_the_stats():
    params = {"hf_model": tiny_models.gpt2_folder(1024), "num_prompts": 1}
    operator = SampleScoreFilter(scorer="selectit", scorer_params=params)
    (row,) = operator.run(make_dataset([{"instruction": "Do.", "input": "", "output": "Done."}]))
    assert 0 < row[STATS]["selectit_score"] < 1.2789


@pytest.mark.parametrize("name", ["selectit", "selectit_api"])
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"num_prompts": 6}, "num_prompts must not exceed the 5 prompts that are built in"),
        (
            {"rating_prompts": ["Rate it."], "num_prompts": 2},
            "num_prompts must not exceed the 1 prompts in rating_prompts",
        ),
        ({"rating_prompts": []}, "rating_prompts must hold at least one prompt"),
        ({"num_prompts": 0}, "num_prompts must be"),
        ({"alpha": -1}, "alpha must be"),
        ({"rating_prompts": "Rate it."}, "rating_prompts must be"),
    ],
)
def test_parameters_that_cannot_work_are_refused(name, parameters, said):
    model = {"hf_model": "m"} if name == "selectit" else {"api_or_hf_model": "m"}
    with pytest.raises(RecipeError, match=f"{name}: {said}"):
        build_scorer(name, model | parameters)


def test_a_model_must_be_named():
    with pytest.raises(RecipeError, match="missing a required argument: 'hf_model'"):
        build_scorer("selectit", {})


def test_a_model_that_cannot_be_loaded_is_said_in_a_sentence():
    with pytest.raises(ScorerError, match="The rating model 'no/such' cannot be loaded"):
        scorer(hf_model="no/such").score(ROWS)
