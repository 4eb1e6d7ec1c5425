"""A local Hugging Face chat model as a backend."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeit_ops.constraints import OPTIONAL_TEXT, check, refuse_secrets
from mergeit_ops.embedding.defaults import HUB_VARIABLES
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.client_params import CLIENT_PARAMS
from mergeit_ops.llm.failures import shorten
from mergeit_ops.llm.huggingface import loaded_once
from mergeit_ops.llm.local_model import TEMPLATE_PARAM, LocalModel, Prompt
from mergeit_ops.llm.local_sampling import read_sampling
from mergeit_ops.llm.model_files import answering_params, files_digest

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = ["LocalModelBackend", "LocalModelFactory"]

_CPU_BATCH = 8
"""Most conversations per batch on a CPU. A larger batch is not faster, and a lack of memory would end the process
without an exception."""

_GATHER_S = 0.2
"""Seconds after the last arrival at which a batch that is not full starts; longer than the first call of a run is
alone."""


@dataclass(frozen=True)
class LocalModelFactory:
    """Makes backends that share one copy of a model per process.

    :param model: name on the Hugging Face Hub, or a folder.
    :param model_params: arguments of `from_pretrained`, e.g. `revision` or `torch_dtype`, and `chat_template`.
    :param sampling_params: as accepted by `read_sampling`.
    :param device: `cpu`, `cuda`, ...; None takes a GPU if there is one.
    """

    model: str
    model_params: Mapping[str, Any] = field(default_factory=dict)
    sampling_params: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None

    waiting_per_place = 4
    """Waiting conversations per place in a batch. With more of them, conversations of similar length share a batch: for
    4,000 Alpaca pairs in batches of 64, the share of computed tokens that belong to an answer is 33 % with 1, 43 % with
    2, and 48 % with 4."""

    environment = HUB_VARIABLES

    @classmethod
    def from_settings(cls, settings: LLMSettings, accelerator: str | None = None) -> LocalModelFactory:
        """See `BackendFactory`."""
        params, sampling = dict(settings.model_params or {}), dict(settings.sampling_params or {})
        refuse_secrets({"model_params": params, "sampling_params": sampling}, variable="HF_TOKEN")
        given = {"api_endpoint": settings.api_endpoint, "response_path": settings.response_path, **params}
        for name in ("api_endpoint", "response_path", *CLIENT_PARAMS):
            if given.get(name) is not None:
                raise RecipeError(
                    f"{name} belongs to a server, but the recipe asks for a local model (is_hf_model or backend): "
                    "remove it."
                )
        template = f"{TEMPLATE_PARAM} in model_params"
        check({template: OPTIONAL_TEXT}, {template: params.get(TEMPLATE_PARAM)})
        read_sampling(sampling)
        device = accelerator if accelerator in ("cpu", "cuda") else None
        return cls(settings.api_or_hf_model, params, sampling, device)

    def identity(self) -> Mapping[str, Any]:
        """Return what identifies the answers: the model, how it is loaded, and the files in its folder."""
        named = {
            "base_url": "transformers",
            "model": self.model,
            "model_params": answering_params(self.model_params),
        }
        digest = self._files()
        return named if digest is None else {**named, "files": digest}

    def _files(self) -> str | None:
        return files_digest(str(Path(self.model, str(self.model_params.get("subfolder") or ""))))

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make a backend; load the model if this process has not yet.

        :param max_concurrency: most conversations in a batch.
        :raises LLMUnavailableError: if the model cannot be loaded.
        """
        key = repr(("chat", self.model, self._files(), sorted(self.model_params.items(), key=repr), self.device))
        model = loaded_once(key, lambda: LocalModel(self.model, self.model_params, self.device))
        return LocalModelBackend(model, max_concurrency if model.is_on_gpu else min(_CPU_BATCH, max_concurrency))


class LocalModelBackend:
    """Collects waiting conversations, and answers them in batches, one batch at a time.

    :param model: the model.
    :param batch_size: most conversations per batch, at least 1.
    """

    def __init__(self, model: LocalModel, batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mergeit-local-llm")
        self._closed = threading.Event()

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for one answer.

        :param messages: chat turns.
        :param sampling_params: as accepted by `read_sampling`.
        :param schema: not used, because only the prompt asks a local model for JSON.
        :raises CallFailedError: for a conversation that exceeds the model's context or the memory.
        :raises LLMUnavailableError: if the model fails.
        """
        prompt = self._model.prompt(messages, read_sampling(sampling_params))
        entry = _Waiting(prompt, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await entry.answer

    async def aclose(self) -> None:
        """Stop the current batch, within one layer of the model."""
        self._closed.set()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._gather()
            batch = self._next_batch()
            if not batch:
                return
            prompts = [entry.prompt for entry in batch]
            try:
                answers = await loop.run_in_executor(self._thread, self._model.generate, prompts, self._closed.is_set)
            except Exception as error:
                for entry in batch:
                    entry.settle(_sentence(error))
                continue
            for entry, answer in zip(batch, answers, strict=True):
                entry.settle(answer)

    async def _gather(self) -> None:
        """Wait as long as more conversations arrive, up to a full batch."""
        known = -1
        while known < len(self._waiting) < self._batch_size:
            known = len(self._waiting)
            await asyncio.sleep(_GATHER_S)

    def _next_batch(self) -> list[_Waiting]:
        """Take conversations of similar length with the same sampling, beginning with the oldest, so that there is
        little padding."""
        self._waiting = [entry for entry in self._waiting if not entry.answer.done()]
        if not self._waiting:
            return []
        oldest = self._waiting[0].prompt
        shared = oldest.sampling.shared()
        alike = [entry for entry in self._waiting if entry.prompt.sampling.shared() == shared]
        alike.sort(key=lambda entry: abs(len(entry.prompt.ids) - len(oldest.ids)))
        batch: list[_Waiting] = []
        for entry in alike[: self._batch_size]:
            if batch and not self._model.takes([other.prompt for other in [*batch, entry]]):
                break
            batch.append(entry)
        self._waiting = [entry for entry in self._waiting if entry not in batch]
        return batch


@dataclass(eq=False)
class _Waiting:
    prompt: Prompt
    answer: asyncio.Future[Completion]

    def settle(self, result: Completion | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


def _sentence(error: Exception) -> Exception:
    """Return a failure of the model as a sentence for the user; bugs are returned unchanged."""
    if isinstance(error, RuntimeError):  # torch's own
        failed = LLMUnavailableError(f"The local model failed in the middle of an answer: {shorten(str(error))}")
        failed.__cause__ = error
        return failed
    return error
