"""Prompt uncertainty by a causal language model: against the definition, in any order, and rows without a score."""

import math

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.prompt_uncertainty import with_words_dropped
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import SampleScoreFilter
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.prompt_uncertainty import PromptUncertaintyScorer
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from tests import tiny_models
from tests.recipe_runs import make_dataset

SAMPLES = [
    Sample("Name three large cities.", "of Asia", "Tokyo"),
    Sample("What is the capital of France?", "", "Paris"),
    Sample("Go", "", "Away"),
]


def scorer(**parameters) -> PromptUncertaintyScorer:
    return build_scorer("prompt_uncertainty", {"hf_model": tiny_models.gpt2_folder(), **parameters})


def test_scores_are_those_of_the_definition():
    """Each perturbed row is scored as a row of its own, by another scorer."""
    losses = ResponseLossScorer(hf_model=tiny_models.gpt2_folder(), measures=["perplexity"])
    for sample, (uncertainty, probability) in zip(SAMPLES, scorer().measure(SAMPLES), strict=True):
        texts = [sample.instruction, *with_words_dropped(sample, 10, 0.2, 42)]
        rows = [Sample(text, sample.input, sample.output) for text in texts]
        first, *others = [1 / score.value for score in losses.score(rows)]
        assert probability.value == pytest.approx(first, rel=1e-4)
        assert uncertainty.value == pytest.approx(sum(abs(p - first) for p in others) / 10, rel=1e-3, abs=1e-7)
    assert uncertainty.value == 0


def test_the_rows_around_change_nothing():
    alone = [scorer().measure([sample])[0] for sample in SAMPLES]
    for first, second in zip(alone, scorer().measure(SAMPLES[::-1])[::-1], strict=True):
        assert [score.value for score in first] == pytest.approx([score.value for score in second], abs=1e-6)


def test_rows_without_a_score_say_why():
    long = Sample("Say it.", "", "y" * 300)
    rows = [Sample(" ", "x", "y"), Sample("Do.", "", " "), Sample("x " * 100, "", "y"), long]
    found = scorer().measure(rows)
    reasons = ["empty_instruction", "empty_response", "instruction_too_long", "ok"]
    assert [[score.status for score in row] for row in found] == [[reason] * 2 for reason in reasons]
    assert all(math.isfinite(score.value) for score in found[3])


def test_both_measures_go_to_the_stats():
    operator = SampleScoreFilter(scorer="prompt_uncertainty", scorer_params={"hf_model": tiny_models.gpt2_folder()})
    (row,) = operator.run(make_dataset([{"instruction": "Name three cities.", "input": "", "output": "Rome"}]))
    assert 0 < row[STATS]["prompt_uncertainty"] < 1
    assert 0 < row[STATS]["prompt_probability"] < 1


@pytest.mark.parametrize(
    "parameters",
    [{"num_perturbations": 0}, {"drop_rate": 1}, {"drop_rate": 0}, {"seed": 0.5}, {"prompt": "chat"}, {"hf_model": ""}],
)
def test_parameters_that_cannot_work_are_refused(parameters):
    with pytest.raises(RecipeError, match="prompt_uncertainty: "):
        scorer(**parameters)


def test_what_changes_a_score_is_part_of_its_identity():
    known = scorer().identity()
    for change in ({"seed": 1}, {"drop_rate": 0.3}, {"num_perturbations": 3}, {"prompt": "alpaca"}):
        assert scorer(**change).identity() != known
