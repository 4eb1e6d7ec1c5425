"""Rewards of a sequence classifier, against transformers asked pair by pair."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.ops import QualityGateFilter, SampleScoreFilter
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.reward_model import RewardModelScorer
from tests import tiny_models
from tests.recipe_runs import make_dataset

SAMPLES = [
    Sample("Name a colour.", "", "Red."),
    Sample("Add them.", "2 and 3", "5"),
    Sample("Say why the sky is blue.", "", "Light scatters."),
]


def scoring(**parameters) -> RewardModelScorer:
    return RewardModelScorer(**({"hf_model": tiny_models.reward_folder()} | parameters))


def reward_of(folder: str, *texts: str) -> float:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    return model(**tokenizer(*texts, return_tensors="pt")).logits[0].item()


def test_the_score_is_the_logit_of_question_and_answer_whatever_the_batch():
    questions = ["Name a colour.", "Add them.\n2 and 3", "Say why the sky is blue."]
    expected = [
        reward_of(tiny_models.reward_folder(), question, sample.output)
        for question, sample in zip(questions, SAMPLES, strict=True)
    ]
    together = [score.value for score in scoring().score(SAMPLES)]
    assert together == pytest.approx(expected, abs=1e-5)
    assert len(set(together)) == 3
    assert [scoring().score([sample])[0].value for sample in SAMPLES] == pytest.approx(together, abs=1e-5)


def test_a_chat_model_reads_the_conversation_in_its_own_template():
    scorer = RewardModelScorer(hf_model=tiny_models.chat_reward_folder(), prompt="chat")
    scores = [score.value for score in scorer.score(SAMPLES[:1] + SAMPLES[2:])]
    texts = [f"<user>{sample.instruction}\n<assistant>{sample.output}\n" for sample in (SAMPLES[0], SAMPLES[2])]
    assert scores == pytest.approx([reward_of(tiny_models.chat_reward_folder(), text) for text in texts], abs=1e-5)


@pytest.mark.parametrize("model", ["reward_folder", "chat_reward_folder"])
def test_the_end_of_a_long_answer_is_cut_and_a_question_that_fills_the_window_is_told(model):
    prompt = "chat" if model == "chat_reward_folder" else "pair"
    scorer = RewardModelScorer(hf_model=getattr(tiny_models, model)(), prompt=prompt, max_length=60)
    long, longer = (Sample("Count.", "", "one two three " * times) for times in (9, 40))
    (first,), (second,) = scorer.score([long]), scorer.score([longer])
    assert first.value == pytest.approx(second.value, abs=1e-5)
    assert scorer.score([Sample("x" * 200, "", "Done.")])[0].status == "instruction_too_long"


def test_rows_that_say_nothing_have_no_reward():
    scores = scoring().score([Sample("Do.", "", "..."), Sample(" ", "", "Done."), SAMPLES[0]])
    assert [score.status for score in scores] == ["empty_response", "empty_instruction", "ok"]


def test_a_model_with_several_outputs_is_no_reward_model():
    with pytest.raises(ScorerError, match="is not a reward model: it has 3 outputs"):
        scoring(hf_model=tiny_models.reward_folder(outputs=3)).score(SAMPLES)


def test_a_model_without_a_chat_template_says_so():
    with pytest.raises(ScorerError, match="has no chat template: set prompt to pair"):
        scoring(prompt="chat").score(SAMPLES)


def test_a_model_that_cannot_be_loaded_is_said_in_a_sentence():
    with pytest.raises(ScorerError, match="The reward model 'no/such' cannot be loaded"):
        RewardModelScorer(hf_model="no/such").score(SAMPLES)


@pytest.mark.parametrize(
    "parameters",
    [
        {"hf_model": " "},
        {"prompt": "plain"},
        {"dtype": "int8"},
        {"max_length": 7},
        {"model_params": "x"},
        {"model_params": {"torch_dtype": "bfloat16"}},
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters):
    with pytest.raises(RecipeError, match="reward_model"):
        build_scorer("reward_model", parameters)


def test_mods_keeps_the_rows_above_a_reward():
    scored = SampleScoreFilter(scorer="reward_model", scorer_params={"hf_model": tiny_models.reward_folder()})
    rows = [{"instruction": one.instruction, "input": one.input, "output": one.output} for one in SAMPLES]
    rewards = [row["__dj__stats__"]["reward_score"] for row in scored.run(make_dataset(rows))]
    kept = SampleScoreFilter(
        scorer="reward_model",
        scorer_params={"hf_model": tiny_models.reward_folder()},
        min_score=sorted(rewards)[0],
        min_closed_interval=False,
    ).run(make_dataset(rows))
    assert len(kept) == 2
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("scorer", "params"),
    [
        ("reward_model", {}),
        ("response_loss", {"measures": ["perplexity"]}),
        ("cascade", {"judge": "reward_model"}),
        ("cascade", {"cheap": {"scorer": "response_loss", "measures": ["perplexity"]}, "judge": "distilled"}),
    ],
)
def test_a_gate_that_compares_by_ratio_refuses_what_has_none(scorer, params):
    with pytest.raises(RecipeError, match=f"quality_gate_filter: the scorer '{scorer}' does not fit the gate"):
        QualityGateFilter(scorer=scorer, scorer_params=params)
    assert QualityGateFilter(scorer="response_loss")
