"""A Hugging Face chat model on this machine as a backend."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.huggingface import ModelNotLoadedError, in_halves, load_causal_lm, loaded_once
from mergeit_ops.llm.responses import completion_problem

__all__ = ["LocalModel", "LocalModelBackend", "LocalModelFactory"]

DEFAULT_MAX_NEW_TOKENS = 2048
BATCH_SIZE = 8

_RENAMED = {"max_tokens": "max_new_tokens", "max_completion_tokens": "max_new_tokens"}
_NOT_FOR_GENERATE = {"seed", "response_format", "extra_body", "stop"}
_ONLY_WHEN_SAMPLING = {"temperature", "top_p", "top_k", "min_p"}


@dataclass(frozen=True)
class LocalModelFactory:
    """Makes backends that share one copy of a model per process.

    :param model: name at the Hugging Face Hub, or a folder.
    :param model_params: arguments of `from_pretrained`, e.g. `revision` or `torch_dtype`.
    :param sampling_params: OpenAI's names or those of `generate`.
    :param device: `cpu`, `cuda`, ...; None takes a GPU where there is one.
    """

    model: str
    model_params: Mapping[str, Any] = field(default_factory=dict)
    sampling_params: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.25})
    device: str | None = None

    def identity(self) -> Mapping[str, Any]:
        """Return what names the answers: the model and how it is loaded."""
        return {"base_url": "transformers", "model": self.model, "model_params": dict(self.model_params)}

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make a backend, loading the model when this process has not yet.

        :param max_concurrency: bounds the batches.
        :raises LLMUnavailableError: when the model cannot be loaded.
        """
        return LocalModelBackend(self._load(), batch_size=min(BATCH_SIZE, max_concurrency))

    def _load(self) -> LocalModel:
        key = repr(("chat", self.model, sorted(self.model_params.items(), key=repr), self.device))
        return loaded_once(key, lambda: LocalModel(self.model, self.model_params, self.device))


class LocalModel:
    """A causal language model and its tokenizer.

    :param name: name at the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`.
    :param device: where it runs; None takes a GPU where there is one.
    :raises LLMUnavailableError: when it cannot be loaded.
    """

    def __init__(self, name: str, model_params: Mapping[str, Any], device: str | None = None) -> None:
        try:
            self._tokenizer, self._model = load_causal_lm(name, model_params, device)
        except ModelNotLoadedError as error:
            raise LLMUnavailableError(
                f"The model {name!r} cannot be loaded ({error}): check api_or_hf_model; a model of the Hugging Face "
                "Hub needs a connection or a local copy."
            ) from error
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return a conversation as the text the model continues.

        :param messages: chat turns; a model without a chat template gets the roles as plain tags.
        """
        turns = [dict(turn) for turn in messages]
        if self._tokenizer.chat_template:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        return "".join(f"### {turn['role']}\n{turn['content']}\n\n" for turn in turns) + "### assistant\n"

    def generate(self, prompts: Sequence[str], sampling_params: Mapping[str, Any]) -> list[Completion]:
        """Answer prompts in one batch, in halves where memory does not suffice.

        :param prompts: from `prompt`.
        :param sampling_params: OpenAI's names or those of `generate`.
        :return: one completion per prompt.
        """
        return in_halves(prompts, lambda some: self._generate(some, sampling_params))

    def _generate(self, prompts: Sequence[str], sampling_params: Mapping[str, Any]) -> list[Completion]:
        import torch

        # The chat template has written the special tokens already.
        tokens = self._tokenizer(
            list(prompts), return_tensors="pt", padding=True, add_special_tokens=not self._tokenizer.chat_template
        ).to(self._model.device)
        tokens.pop("token_type_ids", None)
        if isinstance(sampling_params.get("seed"), int):
            torch.manual_seed(sampling_params["seed"])
        options = _generate_options(sampling_params)
        with torch.inference_mode():
            output = self._model.generate(**tokens, pad_token_id=self._tokenizer.pad_token_id, **options)
        width = tokens["input_ids"].shape[1]
        lengths = tokens["attention_mask"].sum(dim=1).tolist()
        return [
            self._completion(row[width:].tolist(), int(length), options["max_new_tokens"])
            for row, length in zip(output, lengths, strict=True)
        ]

    def _completion(self, ids: list[int], prompt_tokens: int, limit: int) -> Completion:
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        count = next((position for position, token in enumerate(ids) if token in ends), len(ids))
        finish = "length" if count == len(ids) and count >= limit else "stop"
        text = self._tokenizer.decode(ids[:count], skip_special_tokens=True)
        return Completion(
            text=text,
            finish_reason=finish,
            prompt_tokens=prompt_tokens,
            completion_tokens=count,
            problem=completion_problem(text, finish),
        )


class LocalModelBackend:
    """Collects the conversations that are waiting and answers them in batches, one batch at a time.

    :param model: the model.
    :param batch_size: conversations per batch, at least 1.
    """

    def __init__(self, model: LocalModel, batch_size: int = BATCH_SIZE) -> None:
        self._model = model
        self._batch_size = batch_size
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mergeit-local-llm")

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for one answer.

        :param messages: chat turns.
        :param sampling_params: OpenAI's names or those of `generate`.
        :param schema: not used, a local model is held to JSON by its prompt alone.
        """
        entry = _Waiting(self._model.prompt(messages), sampling_params, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await entry.answer

    async def aclose(self) -> None:
        """Stop after the batch under way."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _work(self) -> None:
        # One turn of the loop, so that those who ask at the same time share a batch.
        await asyncio.sleep(0)
        while batch := self._next_batch():
            prompts, params = [entry.prompt for entry in batch], batch[0].sampling_params
            loop = asyncio.get_running_loop()
            try:
                answers = await loop.run_in_executor(self._thread, self._model.generate, prompts, params)
            except Exception as error:
                for entry in batch:
                    entry.fail(error)
                continue
            for entry, answer in zip(batch, answers, strict=True):
                entry.succeed(answer)

    def _next_batch(self) -> list[_Waiting]:
        """Take conversations of similar length and equal parameters: little padding."""
        self._waiting = [entry for entry in self._waiting if not entry.answer.done()]
        if not self._waiting:
            return []
        first = self._waiting[0]
        alike = [entry for entry in self._waiting if entry.sampling_params == first.sampling_params]
        alike.sort(key=lambda entry: abs(len(entry.prompt) - len(first.prompt)))
        batch = alike[: self._batch_size]
        self._waiting = [entry for entry in self._waiting if entry not in batch]
        return batch


@dataclass(eq=False)
class _Waiting:
    prompt: str
    sampling_params: Mapping[str, Any]
    answer: asyncio.Future[Completion]

    def succeed(self, completion: Completion) -> None:
        if not self.answer.done():
            self.answer.set_result(completion)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


def _generate_options(sampling_params: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        _RENAMED.get(name, name): value
        for name, value in sampling_params.items()
        if name not in _NOT_FOR_GENERATE and value is not None
    }
    options.setdefault("max_new_tokens", DEFAULT_MAX_NEW_TOKENS)
    if not options.get("temperature"):
        options = {name: value for name, value in options.items() if name not in _ONLY_WHEN_SAMPLING}
    return {"do_sample": "temperature" in options, **options}
