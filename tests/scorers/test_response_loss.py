"""IFD and perplexity by a causal language model, against a model asked row by row."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.scoring.response_loss import MEASURES
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from tests import tiny_models

CUSTOM = {"without_input": "Q: {instruction} A: ", "with_input": "Q: {instruction} {input} A: "}


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
        {"prompt": "custom", "prompt_template": CUSTOM | {"later": "no field"}},
        {"turns": "sum"},
        {"cache_path": 1},
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
        {"turns": "max"},
    ):
        assert scoring(**change).identity() != known


CHAT = (Round("Who?", "I am."), Round("Why so?", "So it is."), Round("And?", "No."))
CONVERSATION = Sample("Who?\nWhy so?\nAnd?", "", "I am.\nSo it is.\nNo.", "Be brief.", CHAT)

BEFORE = {
    "plain": ["Who?\n", "\nWhy so?\n", "\nAnd?\n"],
    "vicuna": [
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. USER: Who? ASSISTANT:",
        " USER: Why so? ASSISTANT:",
        " USER: And? ASSISTANT:",
    ],
    "alpaca": [
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\nWho?\n\n### Response:",
        "\n\n### Instruction:\nWhy so?\n\n### Response:",
        "\n\n### Instruction:\nAnd?\n\n### Response:",
    ],
    "custom": ["Q: Who? A: ", "\n\nQ: Why so? A: ", "\n\nQ: And? A: "],
    "chat": ["<s>Be brief.;<u>Who?;<a>", ";<u>Why so?;<a>", ";<u>And?;<a>"],
}
ALONE = {"plain": "", "vicuna": "ASSISTANT:", "alpaca": "### Response:", "custom": "", "chat": "<a>"}


@pytest.fixture(scope="module")
def long_folder(tmp_path_factory) -> str:
    """A model that reads 1,024 tokens, whose chat template writes what was said as it was said."""
    folder = tmp_path_factory.mktemp("chat")
    tokenizer = AutoTokenizer.from_pretrained(tiny_models.gpt2_folder(1024))
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }};{% endfor %}"
        "{% if add_generation_prompt %}<a>{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(tiny_models.gpt2_folder(1024)).save_pretrained(folder)
    return str(folder)


def losses_by_hand(folder: str, before: str, response: str, start: str) -> tuple[float, int]:
    """The sum of the losses of a response behind a text, one text at a time, and how many there are."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(start + before + response, return_tensors="pt")["input_ids"]
    first = len(tokenizer(start + before)["input_ids"])
    logs = model(input_ids=ids).logits[0].double().log_softmax(-1)
    lost = [-logs[place - 1, ids[0, place]].item() for place in range(first, ids.shape[1])]
    return sum(lost), len(lost)


@pytest.mark.parametrize("prompt", list(BEFORE))
def test_every_turn_counts_given_all_turns_before_it(long_folder, prompt):
    start = "" if prompt == "chat" else "<|endoftext|>"
    read, given, alone = "", [], []
    for (_, answer), before in zip(CHAT, BEFORE[prompt], strict=True):
        read += before
        given.append(losses_by_hand(long_folder, read, answer, start))
        alone.append(losses_by_hand(long_folder, ALONE[prompt], answer, start))
        read += answer
    tokens = sum(count for _, count in given)
    means = [sum(loss for loss, _ in turns) / tokens for turns in (given, alone)]
    ratios = [a / b for (a, _), (b, _) in zip(given, alone, strict=True)]
    template = {"prompt_template": CUSTOM} if prompt == "custom" else {}
    settings = {"hf_model": long_folder, "prompt": prompt, **template}
    names = ["ifd", "ifd_loss_ratio", "perplexity", "sample_perplexity"]
    found = [score.value for score in scoring(measures=names, **settings).measure([CONVERSATION])[0]]
    unscored = "" if start else read[0]  # nothing stands before the first token of the chat
    whole, count = losses_by_hand(long_folder, unscored, read[len(unscored) :], start)
    assert found == pytest.approx(
        [math.exp(means[0] - means[1]), means[0] / means[1], math.exp(means[0]), math.exp(whole / count)], rel=1e-3
    )
    (largest,) = scoring(measures=["ifd_loss_ratio"], turns="max", **settings).score([CONVERSATION])
    assert largest.value == pytest.approx(max(ratios), rel=1e-3)


@pytest.mark.parametrize("prompt", ["plain", "chat"])
def test_a_conversation_is_read_once_for_all_its_turns(long_folder, prompt):
    scorer = scoring(hf_model=long_folder, measures=["perplexity", "sample_perplexity", "upd"], prompt=prompt)
    read = []
    body = scorer._settings.load().passes._model.base_model
    handle = body.register_forward_hook(lambda *call: read.append(call[-1].last_hidden_state.shape[0]))
    scorer.measure([CONVERSATION])
    handle.remove()
    assert sum(read) == 1


def test_a_template_that_rewrites_what_was_said_has_a_text_for_each_turn(tmp_path, long_folder):
    """As those do that leave out earlier thoughts: each turn stands behind what the template makes of the others."""
    tokenizer = AutoTokenizer.from_pretrained(long_folder)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role[0] }}>{{ m.content | upper }};{% endfor %}"
        "{% if add_generation_prompt %}<a>{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(long_folder).save_pretrained(tmp_path)
    prompts = ["<u>WHO?;<a>", "<u>WHO?;<a>I AM.;<u>WHY SO?;<a>"]
    lost = [losses_by_hand(long_folder, text, part.answer, "") for text, part in zip(prompts, CHAT[:2], strict=True)]
    mean = sum(loss for loss, _ in lost) / sum(count for _, count in lost)
    row = Sample("Who?\nWhy so?", "", "I am.\nSo it is.", rounds=CHAT[:2])
    (found,) = scoring(hf_model=str(tmp_path), measures=["perplexity"], prompt="chat").score([row])
    assert found.value == pytest.approx(math.exp(mean), rel=1e-3)


def test_a_round_alone_scores_as_a_row_does(samples):
    for sample in samples[:3]:
        question = f"{sample.instruction}\n{sample.input}" if sample.input else sample.instruction
        conversation = Sample("", "", "", rounds=(Round(question, sample.output),))
        alone, row = scoring().measure([conversation, sample])
        assert [score.value for score in alone] == pytest.approx([score.value for score in row], rel=1e-4)


def test_turns_behind_the_end_of_what_is_read_do_not_count():
    long = Sample("", "", "", rounds=(CHAT[0], Round("x" * 200, "So.")))
    short = Sample("", "", "", rounds=CHAT[:1])
    found, expected = scoring().measure([long, short])
    assert [score.value for score in found] == pytest.approx([score.value for score in expected], rel=1e-5)
    full = Sample("", "", "", rounds=(Round("x" * 200, "So."), CHAT[0]))
    assert {score.status for score in scoring().measure([full])[0]} == {"instruction_too_long"}


def test_the_reverse_takes_each_question_with_its_own_answer():
    parts = [Sample(part.question, "", part.answer) for part in CHAT]
    one = [scoring(measures=["reverse_ifd"]).score([part])[0].value for part in parts]
    (found,) = scoring(measures=["reverse_ifd"]).score([CONVERSATION])
    counts = [len(part.question) for part in CHAT]  # a token is a byte
    mean = sum(count * math.log(value) for count, value in zip(counts, one, strict=True)) / sum(counts)
    assert found.value == pytest.approx(math.exp(mean), rel=1e-3)
