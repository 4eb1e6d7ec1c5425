"""IFD and perplexity by a causal language model, against a model asked row by row."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.response_loss import MEASURES
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from tests import tiny_models


def scoring(**parameters) -> ResponseLossScorer:
    given = {"hf_model": tiny_models.gpt2_folder(), "measures": list(MEASURES), "cache_path": None}
    return ResponseLossScorer(**(given | parameters))


@pytest.fixture(scope="module")
def samples(sample_rows) -> list[Sample]:
    room = tiny_models.GPT2_POSITIONS  # a token is a byte
    rows = [row for row in sample_rows if len(f"{row['instruction']}{row['input']}{row['output']}".encode()) < room - 4]
    return [Sample(row["instruction"], row["input"], row["output"]) for row in rows[:12]]


def reference(sample: Sample, start: str) -> dict[str, float]:
    """What the papers define, from transformers' own loss, one text at a time."""
    folder = tiny_models.gpt2_folder()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)

    def loss(text: str, unscored: int) -> float:
        ids = tokenizer(start + text, return_tensors="pt")["input_ids"]
        labels = ids.clone()
        labels[0, :unscored] = -100
        return model(input_ids=ids, labels=labels).loss.item()

    prompt = sample.instruction + "\n" + (sample.input + "\n" if sample.input else "")
    given = loss(prompt + sample.output, len(tokenizer(start + prompt)["input_ids"]))
    alone, whole = loss(sample.output, 0), loss(prompt + sample.output, 0)
    question = sample.instruction + ("\n" + sample.input if sample.input else "")
    room = tiny_models.GPT2_POSITIONS - len(tokenizer(start + question)["input_ids"])
    answer = (sample.output + "\n")[-room:]
    question_given = loss(answer + question, len(tokenizer(start + answer)["input_ids"]))
    ids = tokenizer(start + prompt + sample.output, return_tensors="pt")["input_ids"]
    first = len(tokenizer(start + prompt)["input_ids"])
    found = model(input_ids=ids).logits[0, first - 1 : -1].double().softmax(-1)
    lost = -found.log()[range(len(found)), ids[0, first:]]
    sure = 1 + (found * found.log()).sum(-1) / math.log(found.shape[-1])
    return {
        "reverse_ifd": math.exp(question_given - loss(question, 0)),
        "upd": (lost.sigmoid() * sure).mean().item(),
        "ifd": math.exp(given) / math.exp(alone),
        "ifd_loss_ratio": given / alone,
        "perplexity": math.exp(given),
        "sample_perplexity": math.exp(whole),
    }


@pytest.mark.parametrize(
    ("start_token", "start"), [("bos", "<|endoftext|>"), ("eos", "<|endoftext|>"), ("released", "")]
)
def test_every_measure_of_one_pass_is_that_of_the_definition(samples, start_token, start):
    scorer = scoring(start_token=start_token)
    for sample, scores in zip(samples, scorer.measure(samples), strict=True):
        expected = reference(sample, start)
        for measure, score in zip(scorer.measures, scores, strict=True):
            assert score.value == pytest.approx(expected[measure], rel=1e-3)


def test_the_score_is_the_first_measure_and_does_not_depend_on_the_others(samples):
    several = scoring(measures=["perplexity", "ifd"])
    alone = [score.value for score in scoring(measures=["perplexity"]).score(samples)]
    assert [score.value for score in several.score(samples)] == pytest.approx(alone, rel=1e-4)
    assert [found[0].value for found in several.measure(samples)] == pytest.approx(alone, rel=1e-4)


def test_a_prompt_changes_what_stands_before_and_nothing_else(samples):
    plain = scoring(measures=["ifd", "reverse_ifd"])
    same = {"without_input": "{instruction}\n", "with_input": "{instruction}\n{input}\n", "reverse": "{response}\n"}
    custom = scoring(measures=["ifd", "reverse_ifd"], prompt="custom", prompt_template=same)
    short = samples[:4]
    assert custom.measure(short) == plain.measure(short)
    other = scoring(measures=["ifd", "reverse_ifd"], prompt="custom", prompt_template=same | {"alone": "Answer: "})
    for before, after in zip(plain.measure(short), other.measure(short), strict=True):
        assert before[0] != after[0]
        assert before[1] == after[1]


def test_the_models_own_template_stands_before_the_response(tmp_path):
    """Given is the whole chat, alone is the heading of the answer: checked by a template of one's own."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_models.gpt2_folder())
    turns = "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }};{% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}<a>{% endif %}"
    AutoModelForCausalLM.from_pretrained(tiny_models.gpt2_folder()).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    row = Sample("Do.", "this", "Done.", "Be brief.")
    chat = scoring(hf_model=str(tmp_path), prompt="chat", measures=["ifd"]).measure([row])
    text = "<s>Be brief.;<u>{instruction}\n{input};<a>"
    template = {"without_input": text, "with_input": text, "alone": "<a>"}
    custom = scoring(prompt="custom", prompt_template=template, start_token="released", measures=["ifd"])
    assert chat == custom.measure([row])


def test_a_tokenizer_without_bos_takes_eos_for_it(tmp_path, samples):
    tokenizer = AutoTokenizer.from_pretrained(tiny_models.gpt2_folder())
    tokenizer.bos_token = None
    AutoModelForCausalLM.from_pretrained(tiny_models.gpt2_folder()).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    without = scoring(hf_model=str(tmp_path), start_token="bos").score(samples[:3])
    assert without == scoring(start_token="eos").score(samples[:3])


def test_one_token_has_a_score_only_behind_a_start_token():
    one = [Sample("Say it.", "", "y")]
    assert scoring(start_token="released").score(one)[0].status == "response_too_short"
    assert scoring(start_token="bos").score(one)[0].value > 0


def test_rows_without_a_score_say_why():
    rows = [Sample("Do.", "", "  "), Sample("x" * 200, "", "Done."), Sample("Do.", "", "Done.")]
    found = scoring().measure(rows)
    assert [[score.status for score in scores] for scores in found] == [
        ["empty_response"] * len(MEASURES),
        ["instruction_too_long"] * len(MEASURES),
        ["ok"] * len(MEASURES),
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        {"measures": []},
        {"measures": "ifd"},
        {"measures": ["ppl_ratio"]},
        {"measures": ["ifd", "ifd"]},
        {"hf_model": ""},
        {"dtype": "int8"},
        {"start_token": "none"},
        {"max_length": 1},
        {"prompt": "llama"},
        {"prompt": "custom"},
        {"prompt_template": {"without_input": "{instruction}", "with_input": "{instruction}"}},
        {"prompt": "custom", "prompt_template": {"without_input": "x", "with_input": "y"}},
        {"model_params": "x"},
        {"model_params": {"dtype": "bfloat16"}},
        {"model_params": {"token": "hf_" + "a" * 34}},
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters):
    with pytest.raises(RecipeError, match=r"response_loss|model_params"):
        build_scorer("response_loss", parameters)


def test_a_model_that_cannot_be_loaded_is_said_in_a_sentence():
    with pytest.raises(LLMUnavailableError, match="The model 'no/such' cannot be loaded"):
        ResponseLossScorer(hf_model="no/such").score([Sample("Do.", "", "Done.")])
    assert torch.is_grad_enabled()


def test_what_changes_a_score_is_part_of_its_identity():
    known = scoring().identity()
    for change in (
        {"dtype": "bfloat16"},
        {"start_token": "eos"},
        {"max_length": 64},
        {"hf_model": "gpt2"},
        {"prompt": "alpaca"},
    ):
        assert scoring(**change).identity() != known
