"""A local model behind the same engine: tiny ones, built here."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from mergeit_ops.core.merging.replies import FailureReason, parse_reply
from mergeit_ops.errors import LLMUnavailableError, TooManyFailuresError
from mergeit_ops.llm import huggingface
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.local import LocalModelBackend, LocalModelFactory
from mergeit_ops.llm.local_model import LocalModel, StoppedError
from mergeit_ops.llm.local_sampling import LocalSampling, read_sampling
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from mergeit_ops.worker import worker
from tests import tiny_models
from tests.llm.conftest import answers_of, parents, scripted_engine, text_request
from tests.llm.local_models import GREEDY, MERGES, generate, user

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("nothing_loaded")

FULL = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate")


def short_merges(count: int, num_candidates: int = 1) -> list[LLMRequest]:
    """Merges that are asked for in a few tokens."""
    return [
        LLMRequest(n, tuple(user(f"Merge {n}")), lambda text, n=n: parse_reply(text, parents(n)), num_candidates)
        for n in range(count)
    ]


def local_engine(folder: str, **parameters):
    return build_engine(LLMSettings(api_or_hf_model=folder, is_hf_model=True, **parameters), accelerator="cpu")


class Observed(LocalModel):
    """Notes the batches that it is given; those above a size are too much for it."""

    holds = 1000

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.batches: list[list[int]] = []

    def _generate(self, prompts):
        self.batches.append([len(prompt.ids) for prompt in prompts])
        if len(prompts) > self.holds:
            raise FULL
        return super()._generate(prompts)


@pytest.fixture
def observed(parrot_folder, monkeypatch) -> Observed:
    model = Observed(parrot_folder, {}, "cpu")
    monkeypatch.setattr("mergeit_ops.llm.local.LocalModel", lambda *_: model)
    return model


# What a model writes.


def test_the_end_tokens_are_those_of_generation_config_and_template(tmp_path, parrot_folder):
    folder = tiny_models.save_parrot(tmp_path, [["a", "<eot>", "b", "<end>", "c"]])
    config = transformers.GenerationConfig.from_pretrained(folder)
    config.eos_token_id = [1, chat_ids(folder)["<eot>"]]
    config.save_pretrained(folder)
    assert generate(LocalModel(folder, {}, "cpu"), ["x"], GREEDY)[0].text == "a"
    config.eos_token_id = 1
    config.save_pretrained(folder)
    Path(folder, "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['content'] }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert generate(LocalModel(folder, {}, "cpu"), ["x"], GREEDY)[0].text == "a<eot>b"


def chat_ids(folder: str) -> dict[str, int]:
    return transformers.AutoTokenizer.from_pretrained(folder).get_vocab()


def test_the_first_token_is_not_doubled(tmp_path):
    folder = tiny_models.save(tmp_path, "llama")
    model = LocalModel(folder, {}, "cpu")
    assert list(model.prompt(user("hi"), LocalSampling()).ids).count(1) == 1
    Path(folder, "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0]['content'] }}")
    model = LocalModel(folder, {}, "cpu")
    assert list(model.prompt(user("hi"), LocalSampling()).ids).count(1) == 1


# How it is loaded.


def test_the_type_of_the_weights_is_the_devices_unless_the_recipe_says_otherwise(rambler_folder):
    default = LocalModel(rambler_folder, {}, "cpu")._model.dtype
    assert default == getattr(torch, huggingface.default_dtype("cpu"))
    for name in ("dtype", "torch_dtype"):
        assert LocalModel(rambler_folder, {name: "float16"}, "cpu")._model.dtype == torch.float16


@pytest.mark.parametrize(
    ("bfloat16", "device", "dtype"),
    [
        (True, "cpu", "bfloat16"),
        (False, "cpu", "float32"),
        (True, "cuda", "bfloat16"),
        (False, "cuda", "float16"),
    ],
)
def test_narrow_types_only_where_the_device_computes_in_them(monkeypatch, bfloat16, device, dtype):
    monkeypatch.setattr("mergeit_ops.llm.huggingface.takes_bfloat16", lambda *_: bfloat16)
    assert huggingface.default_dtype(device) == dtype


def test_a_model_that_cannot_be_loaded_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers.T5Config(d_model=8, d_ff=8, num_layers=1, num_heads=1).save_pretrained(tmp_path / "t5")
    tiny_models.chat_tokenizer().save_pretrained(tmp_path / "t5")
    for name in ("nothing", "t5"):
        engine = local_engine(str(tmp_path / name))
        with pytest.raises(LLMUnavailableError, match="api_or_hf_model") as caught:
            answers_of(engine, [text_request(number) for number in range(30)])
        assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_are_one_sentence(rambler_folder, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(LLMUnavailableError, match="memory does not suffice for its weights"):
        LocalModel(rambler_folder, {}, "cpu")


def test_a_model_trained_anew_in_its_folder_is_another_model(tmp_path):
    folder = tiny_models.save_parrot(tmp_path, MERGES)
    factory = LocalModelFactory(folder)
    before = factory.identity()
    assert factory.identity() == before == LocalModelFactory(folder, {"device_map": "cpu"}).identity()
    tiny_models.save_parrot(tmp_path, MERGES[:2])
    assert factory.identity() != before
    assert "files" not in LocalModelFactory("some/name").identity()


# Batches.


def test_batches_are_full_and_of_like_lengths(observed):
    lengths = [1, 400, 2, 390, 3, 380, 4, 370] * 6

    async def scenario() -> None:
        backend = LocalModelBackend(observed, batch_size=4)
        await asyncio.gather(*(backend.complete(user("x" * size), GREEDY) for size in lengths))
        await backend.aclose()

    asyncio.run(scenario())
    assert [len(batch) for batch in observed.batches] == [4] * 12
    assert all(max(batch) - min(batch) <= 30 for batch in observed.batches)


def test_the_engine_keeps_four_times_a_batch_waiting():
    most = 4 * 2

    async def complete(*_):
        complete.waiting += 1
        if complete.waiting == most:
            complete.full.set()
        await asyncio.wait_for(complete.full.wait(), timeout=30)
        return Completion("hello")

    complete.waiting, complete.full = 0, asyncio.Event()
    engine = scripted_engine(complete, max_concurrency=2)
    engine.backend_factory.waiting_per_place = LocalModelFactory.waiting_per_place
    outcomes, _ = answers_of(engine, [text_request(n) for n in range(most)])
    assert all(outcome.error is None for outcome in outcomes.values())


def test_rows_of_different_limits_and_seeds_share_a_batch_but_not_those_drawn_otherwise(observed):
    async def scenario() -> None:
        backend = LocalModelBackend(observed, batch_size=8)
        params = [{"temperature": 0.5, "seed": n, "max_tokens": 9 + n} for n in range(3)] + [GREEDY] * 2
        await asyncio.gather(*(backend.complete(user("hi"), each) for each in params))
        await backend.aclose()

    asyncio.run(scenario())
    assert [len(batch) for batch in observed.batches] == [3, 2]


def test_out_of_memory_halves_the_batch_once_and_for_all(observed):
    observed.holds = 3
    engine = local_engine("m", max_concurrency=8, sampling_params=GREEDY, cache_path=None)
    outcomes, _ = answers_of(engine, [text_request(n) for n in range(40)])
    assert all(outcome.error is None for outcome in outcomes.values())
    # 8 and a half of it, 4, are too much; then 2 at a time.
    assert sum(len(batch) > observed.holds for batch in observed.batches) <= 3
    assert {len(batch) for batch in observed.batches[-4:]} <= {1, 2}


def test_one_prompt_that_is_too_much_for_the_memory_or_the_context_costs_only_its_pair(observed):
    observed.holds = 1000
    generate_batch = observed._generate

    def some_are_too_much(prompts):
        if any(len(prompt.ids) > 700 for prompt in prompts):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return generate_batch(prompts)

    observed._generate = some_are_too_much
    engine = local_engine("m", max_concurrency=4, sampling_params=GREEDY)
    sizes = {3: 900, 7: 20_000}
    outcomes, usage = answers_of(engine, [text_request(n, "x" * sizes.get(n, 5)) for n in range(12)])
    assert {tag for tag, outcome in outcomes.items() if outcome.error is FailureReason.TOO_LONG} == {3, 7}
    assert usage.failures == {"too_long": 2}
    assert usage.answered == 10
    # Not even offered: nothing is computed for it.
    assert max(max(batch) for batch in observed.batches) < 2_000


def test_a_run_of_nothing_but_such_prompts_says_why(observed):
    engine = local_engine("m", sampling_params=GREEDY)
    with pytest.raises(TooManyFailuresError, match="no room in the model's context of 16,384"):
        answers_of(engine, [text_request(n, "x" * 20_000) for n in range(3)])


def test_closing_gives_up_the_batch_under_way(observed):
    generate_batch, given_up = observed._generate, []

    def noted(prompts):
        try:
            return generate_batch(prompts)
        except StoppedError:
            given_up.append(len(prompts))
            raise

    async def scenario() -> None:
        backend = LocalModelBackend(observed, batch_size=2)
        endless = {"temperature": 0, "min_tokens": 15_000, "max_tokens": 15_000}
        calls = [asyncio.ensure_future(backend.complete(user("hi"), endless)) for _ in range(5)]
        while not observed.batches:
            await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        await backend.aclose()

    observed._generate = noted
    asyncio.run(scenario())
    assert given_up == [2]


def test_torch_failing_in_the_middle_is_one_sentence(observed):
    def broken(prompts):
        raise RuntimeError("CUDA error: device-side assert triggered\nand more")

    observed._generate = broken
    with pytest.raises(LLMUnavailableError, match="failed in the middle of an answer: CUDA error") as caught:
        answers_of(local_engine("m"), [text_request(n) for n in range(5)])
    assert "\n" not in str(caught.value)


# Behind the engine.


def test_merges_are_parsed_journaled_and_not_asked_for_again(parrot_folder):
    engine = local_engine(parrot_folder, max_concurrency=8, sampling_params=GREEDY)
    outcomes, usage = answers_of(engine, short_merges(9))
    assert {outcome.answers[0].output for outcome in outcomes.values()} == {"Done."}
    assert (usage.calls, usage.failures) == (9, {})
    assert usage.completion_tokens == 9 * (len(MERGES[0]) + 1)
    _, usage = answers_of(local_engine(parrot_folder, sampling_params=GREEDY), short_merges(10))
    assert (usage.calls, usage.cache_hits) == (1, 9)
    assert len(worker.models._values) == 1


def test_candidates_of_one_seed_differ_and_come_again(parrot_folder):
    def verbs() -> list[list[str]]:
        params = {"temperature": 1, "seed": 5}
        engine = local_engine(parrot_folder, sampling_params=params, cache_path=None)
        outcomes, _ = answers_of(engine, short_merges(3, num_candidates=6))
        return [[answer.instruction for answer in outcomes[n].answers] for n in range(3)]

    first = verbs()
    assert first == verbs()
    assert all(len(answers) == 6 and len(set(answers)) > 1 for answers in first)


def test_a_draw_that_cannot_be_used_is_asked_for_again(tmp_path):
    folder = tiny_models.save_parrot(tmp_path, [MERGES[0], ["no idea"]])
    params = {"temperature": 1, "seed": 0}
    outcomes, usage = answers_of(
        local_engine(folder, sampling_params=params, try_num=20, cache_path=None), short_merges(8, num_candidates=3)
    )
    assert usage.reasks > 0
    assert all(len(outcome.answers) == 3 for outcome in outcomes.values())


def test_a_budget_of_tokens_holds_and_batches_stay_together(observed):
    engine = local_engine("m", max_concurrency=4, max_total_tokens=2000, sampling_params=GREEDY, cache_path=None)
    outcomes, usage = answers_of(engine, [text_request(n) for n in range(100)])
    assert usage.failures.keys() == {"budget"}
    assert 0 < usage.total_tokens <= 2000
    assert max(len(batch) for batch in observed.batches) > 1
    assert len(outcomes) == 100


def test_prompts_of_unlike_lengths_do_not_run_beyond_the_context_together():
    """Every row of a batch goes on until the last has ended; learned positions have an end."""
    folder = tiny_models.gpt2_folder()
    model = LocalModel(folder, {}, "cpu")
    short, long = (model.prompt(user("x" * length), read_sampling(GREEDY)) for length in (15, 85))
    assert model.takes([short])
    assert model.takes([long])
    assert not model.takes([short, long])
    requests = [LLMRequest(n, tuple(user("x" * (10 * n))), str) for n in range(8)]
    outcomes, _ = answers_of(local_engine(folder, cache_path=None, max_failure_ratio=1.0), requests)
    assert len(outcomes) == 8


def test_a_stop_text_that_is_a_special_token_ends_an_answer(tmp_path):
    folder = tiny_models.save_parrot(tmp_path, [["a", "<eot>", "b"]])
    (answer,) = generate(LocalModel(folder, {}, "cpu"), ["hi"], {"stop": ["<eot>"], "max_tokens": 8, "temperature": 0})
    assert answer.finish_reason == "stop"
    assert "b" not in answer.text


@pytest.mark.parametrize(
    "wish",
    [{"num_beams": 3}, {"num_return_sequences": 2, "num_beams": 2}, {"return_dict_in_generate": True}],
)
def test_what_a_models_own_settings_ask_for_besides_one_answer_is_left_alone(rambler_folder, tmp_path, wish):
    shutil.copytree(rambler_folder, tmp_path / "model")
    settings = tmp_path / "model" / "generation_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | wish))
    mine, plain = (
        generate(LocalModel(str(folder), {"dtype": "float32"}, "cpu"), ["abc", "de"], GREEDY | {"max_tokens": 6})
        for folder in (tmp_path / "model", rambler_folder)
    )
    assert [answer.text for answer in mine] == [answer.text for answer in plain]


@pytest.mark.parametrize("params", [{"seed": 7}, {"extra_body": {"seed": 7, "top_k": 3}}])
def test_candidates_have_seeds_of_their_own_wherever_the_seed_stands(params):
    seeds = []

    async def complete(messages, params, schema):
        seeds.append(read_sampling(params).seed)
        return Completion("answer")

    answers_of(scripted_engine(complete, sampling_params=params, cache_path=None), [text_request(0, num_candidates=4)])
    assert sorted(seeds) == [7, 8, 9, 10]


def test_a_model_trained_anew_into_a_subfolder_is_another_model(tmp_path):
    tiny_models.save_parrot(tmp_path / "checkpoint", MERGES)
    engine = local_engine(str(tmp_path), model_params={"subfolder": "checkpoint"})
    before = engine.backend_factory.identity()
    shutil.rmtree(tmp_path / "checkpoint")
    tiny_models.save_parrot(tmp_path / "checkpoint", MERGES[:2])
    assert engine.backend_factory.identity() != before


def test_a_chat_template_of_the_recipe_stands_in_for_the_models_own(tmp_path):
    own = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}<assistant>"
    folder = tiny_models.save_parrot(tmp_path / "model", [["So."]])
    assert LocalModel(folder, {}, "cpu").prompt(user("a"), LocalSampling()).text == "<user>a<assistant>"
    assert LocalModel(folder, {"chat_template": own}, "cpu").prompt(user("a"), LocalSampling()).text == "[a]<assistant>"
    # Answers by another template are other answers.
    settings = [LLMSettings(folder, is_hf_model=True, model_params=given) for given in (None, {"chat_template": own})]
    assert len({repr(build_engine(one).backend_factory.identity()) for one in settings}) == 2
