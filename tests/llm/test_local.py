"""A local model behind the same engine: a tiny random one, built here."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mergeit_ops.core.replies import FailureReason
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm import huggingface, local
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.local import LocalModel, LocalModelBackend
from tests.llm.conftest import answers_of, text_request

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"
CHAT = [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def model(model_folder):
    return LocalModel(model_folder, {}, "cpu")


def test_the_chat_template_is_used_and_replaced_where_there_is_none(model):
    assert model.prompt(CHAT) == "<system>s<user>hello<assistant>"
    model._tokenizer.chat_template = None
    assert model.prompt(CHAT) == "### system\ns\n\n### user\nhello\n\n### assistant\n"


def test_an_answer_does_not_depend_on_its_batch(model):
    params = {"temperature": 0, "max_tokens": 6}
    prompts = ["a", "a much longer prompt than the first one", "middle one"]
    alone = [model.generate([prompt], params)[0] for prompt in prompts]
    assert [c.text for c in model.generate(prompts, params)] == [c.text for c in alone]
    assert [c.prompt_tokens for c in alone] == [len(prompt) for prompt in prompts]


def test_a_cut_off_answer_is_truncated(model):
    (completion,) = model.generate(["abc"], {"temperature": 0, "max_tokens": 3})
    assert completion.finish_reason == "length"
    assert completion.completion_tokens == 3
    assert completion.problem is FailureReason.TRUNCATED


def test_a_seed_repeats_a_drawn_answer(model):
    params = {"temperature": 1.5, "seed": 7, "max_tokens": 12}
    assert model.generate(["abc"], params) == model.generate(["abc"], params)


def test_it_runs_behind_the_engine_and_its_answers_are_kept(model_folder, monkeypatch):
    monkeypatch.setattr(huggingface, "_loaded", {})
    # A random model never stops by itself: let its cut-off answers pass.
    monkeypatch.setattr(local, "completion_problem", lambda text, finish: None)
    engine = build_engine(
        api_or_hf_model=model_folder,
        is_hf_model=True,
        accelerator="cpu",
        sampling_params={"temperature": 0, "max_tokens": 4},
        max_concurrency=8,
    )
    requests = [text_request(number, parse=lambda text: (text,)) for number in range(5)]
    outcomes, usage = answers_of(engine, requests)
    assert all(outcome.error is None for outcome in outcomes.values())
    assert (usage.calls, usage.completion_tokens) == (5, 20)
    _, usage = answers_of(engine, requests)
    assert (usage.calls, usage.cache_hits) == (0, 5)
    assert len(huggingface._loaded) == 1


def test_waiting_conversations_share_batches_of_similar_length():
    batches: list[list[str]] = []

    class Echo:
        def prompt(self, messages):
            return messages[-1]["content"]

        def generate(self, prompts, params):
            assert threading.current_thread() is not threading.main_thread()
            batches.append(list(prompts))
            return [Completion(prompt) for prompt in prompts]

    async def scenario() -> list[Completion]:
        backend = LocalModelBackend(Echo(), batch_size=3)
        texts = ["a", "bbbbbbbb", "cc", "dddddddd", "e"]
        answers = await asyncio.gather(*(backend.complete([{"role": "user", "content": t}], {}) for t in texts))
        await backend.aclose()
        assert [answer.text for answer in answers] == texts
        return answers

    asyncio.run(scenario())
    assert [sorted(batch) for batch in batches] == [["a", "cc", "e"], ["bbbbbbbb", "dddddddd"]]


def test_out_of_memory_halves_the_batch(model, monkeypatch):
    import torch

    sizes: list[int] = []

    def generate(prompts, params):
        sizes.append(len(prompts))
        if len(prompts) > 1:
            raise torch.cuda.OutOfMemoryError("full")
        return [Completion(prompts[0])]

    monkeypatch.setattr(model, "_generate", generate)
    assert [c.text for c in model.generate(["a", "b", "c"], {})] == ["a", "b", "c"]
    assert sizes == [3, 1, 2, 1, 1]


def test_a_model_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    engine = build_engine(api_or_hf_model=str(tmp_path / "nothing"), is_hf_model=True)
    with pytest.raises(LLMUnavailableError, match="api_or_hf_model") as caught:
        answers_of(engine, [text_request(1)])
    assert "\n" not in str(caught.value)
