"""The Deita scorer on tiny models of the published shapes, against the formula and against plain generation."""

from __future__ import annotations

import math
import pickle
import shutil
from importlib.util import find_spec

import pytest
from loguru import logger

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import complexity_prompt, quality_prompt
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.llm import digit_model
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper
from mergeit_ops.scorers import Score, build_scorer
from mergeit_ops.scorers.deita import DeitaScorer
from mergeit_ops.worker import Kept, worker
from tests import tiny_models
from tests.recipe_runs import make_dataset
from tests.tiny_models import DIGIT_IDS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROWS = [
    Sample("Name a colour.", "", "Blue."),
    Sample("Add the numbers.", "12 and 30", "12 + 30 = 42"),
    Sample("Explain tides.", "", "The moon pulls at the sea. " * 12),
    Sample("Translate to French.", "cat {instruction}", "chat é 猫 {output}"),
    Sample("What is 6 times 7?", "", "6 6 6"),
]


@pytest.fixture(scope="module", params=sorted(DIGIT_IDS))
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory) -> str:
    return tiny_models.save(tmp_path_factory.mktemp(family), family)


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> str:
    return tiny_models.save(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch):
    monkeypatch.setattr(worker, "models", Kept(2))


@pytest.fixture
def log():
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


class Reference:
    """The score the plain way: transformers alone, one row at a time."""

    def __init__(self, folder: str, family: str) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.digits = DIGIT_IDS[family]

    def length(self, prompt: str) -> int:
        return len(self.tokenizer(prompt)["input_ids"])

    def by_forward(self, prompt: str) -> float:
        with torch.no_grad():
            logits = self.model(**self.tokenizer(prompt, return_tensors="pt")).logits[0, -1]
        return self.by_formula([float(logits[token]) for token in self.digits])

    def by_generation(self, prompt: str) -> float:
        tokens = self.tokenizer(prompt, return_tensors="pt")
        answer = self.model.generate(
            **tokens, max_new_tokens=2, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        return self.by_formula([float(answer.scores[0][0, token]) for token in self.digits])

    @staticmethod
    def by_formula(logits: list[float]) -> float:
        powers = [math.exp(logit) for logit in logits]
        return sum(k * power for k, power in zip(range(1, 7), powers, strict=True)) / sum(powers)


@pytest.fixture(scope="module")
def reference(folder, family) -> Reference:
    return Reference(folder, family)


@pytest.fixture(scope="module")
def llama_reference(llama) -> Reference:
    return Reference(llama, "llama")


def values(scores: list[Score]) -> list[float | None]:
    return [score.value for score in scores]


def close_to(expected: list[float]):
    return pytest.approx(expected, abs=1e-4)


def test_a_score_is_the_formula_on_the_logits_of_a_plain_forward_pass(folder, reference):
    scores = build_scorer("deita", {"model": folder, "device": "cpu"}).score(ROWS)
    expected = [reference.by_forward(quality_prompt(row.query, row.output)) for row in ROWS]
    assert values(scores) == close_to(expected)
    assert {score.status for score in scores} == {"ok"}
    assert max(expected) - min(expected) > 0.5  # else any constant would pass


def test_a_score_is_what_generating_two_tokens_gives(folder, reference):
    scores = DeitaScorer(model=folder, device="cpu").score(ROWS)
    expected = [reference.by_generation(quality_prompt(row.query, row.output)) for row in ROWS]
    assert values(scores) == close_to(expected)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_neither_batches_nor_order_change_a_score(folder, batch_size):
    alone = [DeitaScorer(model=folder, device="cpu").score([row])[0].value for row in ROWS]
    scorer = DeitaScorer(model=folder, device="cpu", batch_size=batch_size)
    assert values(scorer.score(ROWS)) == close_to(alone)
    assert values(scorer.score(ROWS[::-1])) == close_to(alone[::-1])


def test_rows_of_like_length_share_a_batch(llama, monkeypatch):
    forward, batches = digit_model.DigitModel._forward, []

    def watched(self, prompts):
        batches.append([len(prompt) for prompt in prompts])
        return forward(self, prompts)

    monkeypatch.setattr(digit_model.DigitModel, "_forward", watched)
    DeitaScorer(model=llama, device="cpu", batch_size=2).score(ROWS)
    lengths = [length for batch in batches for length in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(batch) for batch in batches] == [2, 2, 1]


def test_the_input_is_part_of_the_question_unless_asked_otherwise(llama, llama_reference):
    row = ROWS[1]
    (with_input,) = DeitaScorer(model=llama, device="cpu").score([row])
    (without,) = DeitaScorer(model=llama, device="cpu", with_input=False).score([row])
    with_prompt = quality_prompt("Add the numbers. 12 and 30", row.output)
    without_prompt = quality_prompt("Add the numbers.", row.output)
    assert values([with_input, without]) == close_to([*map(llama_reference.by_forward, (with_prompt, without_prompt))])
    assert abs(with_input.value - without.value) > 1e-2


def test_complexity_is_scored_from_the_question_alone(llama, llama_reference):
    rows = [*ROWS, Sample("Name a colour.", "", "")]
    scores = DeitaScorer(model=llama, device="cpu", kind="complexity").score(rows)
    assert values(scores) == close_to([llama_reference.by_forward(complexity_prompt(row.query)) for row in rows])
    assert scores[0].value == pytest.approx(scores[-1].value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Sample("Say it.", "", " \n"), "empty_response"),
        (Sample("Say it.", "", "..."), "empty_response"),
        (Sample(" ", "\t", "Said."), "empty_instruction"),
    ],
)
def test_a_row_that_says_nothing_has_no_score_and_loads_no_model(row, reason):
    assert DeitaScorer(model="nobody/no-such-model").score([row]) == [Score.missing(reason)]
    assert not worker.models._values


def test_without_the_input_a_blank_instruction_is_a_blank_question():
    row = Sample(" ", "12 and 30", "42")
    assert DeitaScorer(model="nobody/no-such-model", with_input=False).score([row])[0].status == "empty_instruction"


def test_the_end_of_a_long_response_is_cut_and_the_closing_line_stays(folder, reference, log):
    limit = 300
    long = "The 1st answer is no answer, says the 2nd; " * 20
    rows = [ROWS[0], Sample("Why?", "", long), ROWS[1], Sample("Why?", "", long + " And more."), ROWS[4]]
    scorer = DeitaScorer(model=folder, device="cpu", max_length=limit)
    scores = scorer.score(rows)
    fits = [n for n in range(len(long)) if reference.length(quality_prompt("Why?", long[:n])) <= limit]
    longest = quality_prompt("Why?", long[: max(fits)])
    assert longest.endswith(" \n##Quality: ")
    assert values(scores)[1] == pytest.approx(reference.by_forward(longest), abs=1e-4)
    assert scores[3].value == pytest.approx(scores[1].value, abs=1e-4)  # what differs was cut
    assert values(scores)[::2] == close_to(values(DeitaScorer(model=folder, device="cpu").score(rows[::2])))
    assert scorer.cut_rows.cut == 2
    scorer.finish()
    (line,) = log
    assert line.startswith("deita: 2 of 5 rows")


def test_what_the_model_cannot_read_is_cut_too():
    short = tiny_models.gpt2_folder(256)
    rows = [Sample("Why?", "", "Because. " * length) for length in (40, 80)]
    scores = DeitaScorer(model=short, device="cpu").score(rows)
    assert scores[0].value == pytest.approx(scores[1].value, abs=1e-4)


@pytest.mark.parametrize("response", ["猫" * 400, "é 猫 " * 150, " " * 30 + "a" * 900])
def test_a_response_is_cut_between_whole_characters(llama, llama_reference, response):
    (score,) = DeitaScorer(model=llama, device="cpu", max_length=256).score([Sample("Why?", "", response)])
    fits = [n for n in range(len(response)) if llama_reference.length(quality_prompt("Why?", response[:n])) <= 256]
    # A character of several bytes, or one that its successor would join, may be left out at the very end.
    near = [llama_reference.by_forward(quality_prompt("Why?", response[: max(fits) - n])) for n in (0, 1)]
    assert min(abs(score.value - expected) for expected in near) < 1e-4


def test_a_prompt_of_just_the_greatest_length_is_not_cut(llama, llama_reference):
    prompt = quality_prompt(ROWS[2].query, ROWS[2].output)
    scorer = DeitaScorer(model=llama, device="cpu", max_length=llama_reference.length(prompt))
    assert values(scorer.score([ROWS[2]])) == close_to([llama_reference.by_forward(prompt)])
    assert scorer.cut_rows.cut == 0


@pytest.mark.parametrize("kind", ["quality", "complexity"])
def test_a_question_that_leaves_no_room_gives_no_score(llama, kind):
    scorer = DeitaScorer(model=llama, device="cpu", max_length=200, kind=kind)
    scores = scorer.score([Sample("why " * 200, "", "Because."), ROWS[0]])
    assert scores[0] == Score.missing("instruction_too_long")
    assert scores[1].status == "ok"
    assert scorer.cut_rows.cut == 0


def test_lone_surrogates_do_not_cost_the_batch_its_scores(llama):
    scores = DeitaScorer(model=llama, device="cpu").score([ROWS[0], Sample("a \ud800", "", "b \udfff c")])
    assert [score.status for score in scores] == ["ok", "ok"]


def test_half_precision_gives_nearly_the_same_scores(llama):
    full = DeitaScorer(model=llama, device="cpu")
    half = DeitaScorer(model=llama, device="cpu", dtype="bfloat16")
    expected, rounded = values(full.score(ROWS)), values(half.score(ROWS))
    assert rounded == pytest.approx(expected, abs=0.1)
    assert rounded != expected
    assert {str(model._model.dtype) for model in worker.models._values.values()} == {"torch.float32", "torch.bfloat16"}


def test_logits_that_are_no_numbers_give_no_score(llama, tmp_path):
    broken = shutil.copytree(llama, tmp_path / "broken")
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    with torch.no_grad():
        model.lm_head.weight[DIGIT_IDS["llama"][3]] = math.nan
    model.save_pretrained(broken)
    assert DeitaScorer(model=str(broken), device="cpu").score(ROWS[:2]) == [Score.missing("not_finite")] * 2


def test_a_batch_that_does_not_fit_into_memory_is_halved(llama, monkeypatch):
    expected = values(DeitaScorer(model=llama, device="cpu").score(ROWS))
    forward, sizes = digit_model.DigitModel._forward, []

    def small_memory(self, prompts):
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise torch.cuda.OutOfMemoryError("full")
        return forward(self, prompts)

    monkeypatch.setattr(digit_model.DigitModel, "_forward", small_memory)
    assert values(DeitaScorer(model=llama, device="cpu").score(ROWS)) == close_to(expected)
    assert sizes == [5, 2, 3, 1, 2]


def test_a_row_that_does_not_fit_into_memory_by_itself_is_one_sentence(llama, monkeypatch):
    def no_memory(self, prompts):
        raise torch.cuda.OutOfMemoryError("full")

    monkeypatch.setattr(digit_model.DigitModel, "_forward", no_memory)
    with pytest.raises(ScorerError, match="lower max_length"):
        DeitaScorer(model=llama, device="cpu").score(ROWS)


def test_scorers_of_one_process_share_the_model_and_travel_without_it(llama):
    first = DeitaScorer(model=llama, device="cpu")
    expected = first.score(ROWS)
    pickled = pickle.dumps(first)
    assert len(pickled) < 10_000
    assert pickle.loads(pickled).score(ROWS) == expected
    assert len(worker.models._values) == 1


def test_a_model_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ScorerError, match=r"'nobody/no-such-model' cannot be loaded .* HF_TOKEN") as caught:
        DeitaScorer(model="nobody/no-such-model").score(ROWS)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="sentencepiece is installed")
def test_a_tokenizer_that_needs_sentencepiece_says_so(llama, tmp_path):
    copy = shutil.copytree(llama, tmp_path / "copy")
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}', encoding="utf-8")
    (copy / "tokenizer.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    with pytest.raises(ScorerError, match="pip install sentencepiece"):
        DeitaScorer(model=str(copy)).score(ROWS)


def test_a_model_without_tokens_for_the_digits_is_refused(llama, tmp_path):
    copy = shutil.copytree(llama, tmp_path / "copy")
    tiny_models.tokenizer("llama", without="35").save_pretrained(copy)
    with pytest.raises(ScorerError, match="is no Deita scorer: its tokenizer has no token '3', '5'"):
        DeitaScorer(model=str(copy)).score(ROWS)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"kind": "beauty"}, "kind"),
        ({"kind": ["quality"]}, "kind"),
        ({"with_input": 1}, "with_input"),
        ({"model": " "}, "model"),
        ({"device": 0}, "device"),
        ({"dtype": "int8"}, "dtype"),
        ({"dtype": "float16", "model_params": {"torch_dtype": "auto"}}, "dtype"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_length": 0.5}, "max_length"),
        ({"model_params": ["revision"]}, "model_params"),
    ],
)
def test_a_bad_parameter_is_named(parameters, named):
    with pytest.raises(RecipeError, match=f"deita: {named}"):
        DeitaScorer(**parameters)


def test_a_token_in_the_recipe_is_refused_and_not_repeated():
    for build in (DeitaScorer, lambda **params: QualityGateFilter(scorer="deita", scorer_params=params)):
        with pytest.raises(RecipeError, match="HF_TOKEN") as caught:
            build(model_params={"token": "hf_abcdefgh"})
        assert "hf_abcdefgh" not in str(caught.value)


def test_the_published_model_of_each_kind_is_the_default():
    assert DeitaScorer().model == "hkust-nlp/deita-quality-scorer"
    assert DeitaScorer(kind="complexity").model == "hkust-nlp/deita-complexity-scorer"


@pytest.mark.parametrize(("more", "device"), [({}, None), ({"accelerator": "cpu"}, "cpu")])
def test_the_scorer_chooses_its_device_unless_the_recipe_does(more, device):
    assert QualityGateFilter(scorer="deita", **more)._scorer.device == device


def test_the_gate_decides_by_the_scores_of_the_model(llama, llama_reference, embedded_rows):
    topics = TopicClusterGrouper(num_clusters=3).run(make_dataset(embedded_rows))
    merged = LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4).run(topics)
    gate = QualityGateFilter(scorer="deita", scorer_params={"model": llama, "device": "cpu"}, gamma=1.0)
    rows = list(gate.run(merged))
    by_status: dict[str, list[dict]] = {}
    for row in rows:
        by_status.setdefault(row[META]["merge_status"], []).append(row)
    assert by_status["merged"]
    assert by_status["restored"]
    assert len(by_status["original"]) + len(by_status["restored"]) + 2 * len(by_status["merged"]) == len(embedded_rows)
    for row in (*by_status["merged"][:3], *by_status["restored"][:3]):
        question = f"{row['instruction']} {row['input']}".strip()
        expected = llama_reference.by_forward(quality_prompt(question, row["output"]))
        assert row[STATS]["quality_score"] == pytest.approx(expected, abs=1e-4)
    for status, passed in (("merged", True), ("restored", False)):
        for stats in (row[STATS] for row in by_status[status]):
            assert (stats["merge_quality_after"] > stats["merge_quality_before"]) is passed
