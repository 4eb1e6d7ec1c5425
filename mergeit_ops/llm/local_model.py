"""A local causal language model that continues conversations in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.chat_prompt import PLAIN_STOP, chat_prompt, end_of_turn, without_thoughts
from mergeit_ops.llm.decoding import Draw, Ends
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.huggingface import (
    DTYPE_PARAMS,
    ModelNotLoadedError,
    context_length,
    default_device,
    default_dtype,
    in_halves,
    is_out_of_memory,
    load_causal_lm,
)
from mergeit_ops.llm.local_sampling import LocalSampling
from mergeit_ops.llm.responses import completion_problem

__all__ = ["TEMPLATE_PARAM", "LocalModel", "Prompt", "StoppedError"]

TEMPLATE_PARAM = "chat_template"
"""Name, among the arguments of `from_pretrained`, of a chat template that replaces the model's own."""

_LEAST_ROOM = 16
"""Fewest tokens that must be left for an answer."""

# From the model's own generation config. Sampling is done here, so `generate` must not apply them again.
_KEPT = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "cache_implementation",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "min_new_tokens",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
)

_DRAWN_HERE = ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "max_length")


class StoppedError(Exception):
    """A batch was stopped because nobody waits for it any more."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """A text for the model to continue.

    :param text: the conversation in the chat template.
    :param ids: token ids of the text.
    :param sampling: how to draw the answer.
    :param limit: most tokens of the answer, at least 1.
    """

    text: str
    ids: Sequence[int]
    sampling: LocalSampling
    limit: int

    @property
    def tokens(self) -> int:
        """Most tokens of prompt and answer together."""
        return len(self.ids) + self.limit


class LocalModel:
    """A causal language model and its tokenizer.

    :param name: name on the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`, and `TEMPLATE_PARAM`.
    :param device: where it runs; None takes a GPU if there is one.
    :raises LLMUnavailableError: if it cannot be loaded.
    """

    def __init__(self, name: str, model_params: Mapping[str, Any], device: str | None = None) -> None:
        device = device or default_device()
        dtype = None if set(DTYPE_PARAMS) & set(model_params) else default_dtype(device)
        params = {key: value for key, value in model_params.items() if key != TEMPLATE_PARAM}
        try:
            self._tokenizer, self._model = load_causal_lm(name, params, device, dtype)
        except ModelNotLoadedError as error:
            if error.__cause__ is not None and is_out_of_memory(error.__cause__):
                todo = "memory does not suffice for its weights; use a smaller model, or spread it with model_params: "
                raise LLMUnavailableError(
                    f"The model {name!r} cannot be loaded: {todo}{{device_map: auto}}."
                ) from error
            raise LLMUnavailableError(
                f"The model {name!r} cannot be loaded ({error}): check api_or_hf_model; a model of the Hugging Face "
                "Hub needs a connection or a local copy, and one that is not open to all a token in the environment "
                "variable HF_TOKEN."
            ) from error
        self._tokenizer.chat_template = model_params.get(TEMPLATE_PARAM) or self._tokenizer.chat_template
        self._read_config()
        self._lock = threading.Lock()
        self._is_stopped: Callable[[], bool] = lambda: False
        for layer in _layers(self._model):
            layer.register_forward_pre_hook(self._stop_here)
        self.most_tokens: int | None = None
        """Tokens of a batch, including padding and answers, that fitted into memory; None if every batch did so far."""
        logger.info(f"The model {name!r} runs on {self._model.device} in {str(self._model.dtype).rpartition('.')[2]}.")

    @property
    def is_on_gpu(self) -> bool:
        """Whether the model, or its first part, is on a GPU."""
        return bool(self._model.device.type == "cuda")

    def prompt(self, messages: Sequence[Mapping[str, str]], sampling: LocalSampling) -> Prompt:
        """Turn a conversation into a prompt.

        :param messages: chat turns.
        :param sampling: how to draw the answer.
        :raises CallFailedError: if it leaves no room for an answer in the model's context; nothing is ever cut.
        :raises LLMUnavailableError: if the chat template does not work.
        """
        text = chat_prompt(self._tokenizer, messages, sampling.template)
        # The chat template already contains the special tokens.
        plain = not self._tokenizer.chat_template
        ids = self._tokenizer(text, add_special_tokens=plain, verbose=False)["input_ids"]
        # A merge is about as long as the rows in its prompt. An answer longer than the whole prompt is degenerate.
        limit = len(ids) if sampling.max_tokens is None else sampling.max_tokens
        if self._context is not None:
            room = self._context - len(ids)
            if room < min(_LEAST_ROOM, limit):
                raise CallFailedError(
                    FailureKind.TOO_LONG,
                    f"a prompt of {len(ids):,} tokens leaves no room in the model's context of {self._context:,}",
                )
            limit = min(limit, room)
        return Prompt(text, ids, sampling, limit)

    def generate(
        self, prompts: Sequence[Prompt], is_stopped: Callable[[], bool] = lambda: False
    ) -> list[Completion | CallFailedError]:
        """Answer prompts in one batch, or in halves if memory does not suffice.

        :param prompts: prompts from `prompt` with equal `sampling.shared()`.
        :param is_stopped: function that is called several times per token; True stops the batch.
        :return: for each prompt its completion, or the failure of a prompt that alone exceeds the memory.
        :raises StoppedError: if the batch was stopped.
        """
        with self._lock:
            self._is_stopped = is_stopped
            return in_halves(prompts, self._one_or_many, self._learn)

    def _read_config(self) -> None:
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)
        text_config = self._model.config.get_text_config()
        self._context = context_length(text_config)
        config = self._model.generation_config
        ends = list(config.eos_token_id) if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        ends += [self._tokenizer.eos_token_id, end_of_turn(self._tokenizer)]
        self._end_ids = sorted({end for end in ends if end is not None})
        sampled = bool(config.do_sample)
        self._own = {name: getattr(config, name, None) for name in _DRAWN_HERE} if sampled else {"temperature": 0}
        stops = config.stop_strings or ()
        self._own_stops = (stops,) if isinstance(stops, str) else tuple(stops)
        # Its other settings, such as beams or several answers, do not suit a batch of conversations.
        kept = {name: getattr(config, name, None) for name in _KEPT}
        self._model.generation_config = type(config)(**{key: value for key, value in kept.items() if value is not None})

    def takes(self, prompts: Sequence[Prompt]) -> bool:
        """Return whether prompts fit into one batch, by the memory known to suffice and by the context of each row.

        Every row of a batch runs until the last one has ended, so the longest prompt may run up to the longest limit.

        :param prompts: at least one.
        """
        width, limit = max(len(prompt.ids) for prompt in prompts), max(prompt.limit for prompt in prompts)
        if self._context is not None and width + limit > self._context:
            return False
        most = self.most_tokens
        return most is None or len(prompts) * max(prompt.tokens for prompt in prompts) <= most

    def _stop_here(self, *_: Any) -> None:
        if self._is_stopped():
            raise StoppedError

    def _learn(self, prompts: Sequence[Prompt]) -> None:
        # The batch that filled the memory takes twice as much as its halves.
        self.most_tokens = len(prompts) * max(prompt.tokens for prompt in prompts) // 2
        logger.info(
            f"Memory does not suffice for {len(prompts)} conversations at once: continuing with smaller batches."
        )

    def _one_or_many(self, prompts: Sequence[Prompt]) -> list[Completion | CallFailedError]:
        try:
            return list(self._generate(prompts))
        except Exception as error:
            if len(prompts) > 1 or not is_out_of_memory(error):
                raise
        detail = f"memory does not suffice for a prompt of {len(prompts[0].ids):,} tokens, even alone"
        return [CallFailedError(FailureKind.TOO_LONG, detail)]

    def _generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        import torch

        sampling, device = prompts[0].sampling, self._model.device
        width = max(len(prompt.ids) for prompt in prompts)
        ids = torch.full((len(prompts), width), self._tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt.ids) :] = torch.tensor(prompt.ids)
            mask[row, width - len(prompt.ids) :] = 1
        stops = (*sampling.stop, *self._own_stops)
        stops = stops if self._tokenizer.chat_template else (*stops, PLAIN_STOP)
        ends = Ends([prompt.limit for prompt in prompts], self._end_ids, self._stop_criterion(stops), device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=max(prompt.limit for prompt in prompts),
                pad_token_id=self._tokenizer.pad_token_id,
                eos_token_id=self._end_ids or None,
                logits_processor=self._draw(prompts),
                stopping_criteria=_criteria(ends),
                **_penalties(sampling),
            )
        rows = zip(prompts, output[:, width:].tolist(), ends.lengths.tolist(), strict=True)
        return [self._completion(prompt, tokens[:length], stops) for prompt, tokens, length in rows]

    def _draw(self, prompts: Sequence[Prompt]) -> Any:
        from transformers import (
            LogitsProcessorList,
            MinPLogitsWarper,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        asked = prompts[0].sampling
        names = ("temperature", "top_p", "top_k", "min_p")
        temperature, top_p, top_k, min_p = (
            getattr(asked, name) if getattr(asked, name) is not None else self._own.get(name) for name in names
        )
        if temperature == 0:
            return LogitsProcessorList()
        warpers: list[Any] = [TemperatureLogitsWarper(float(temperature))] if temperature not in (None, 1) else []
        warpers += [TopKLogitsWarper(top_k)] if top_k else []
        warpers += [TopPLogitsWarper(float(top_p))] if top_p is not None and top_p < 1 else []
        warpers += [MinPLogitsWarper(float(min_p))] if min_p else []
        return LogitsProcessorList([Draw(warpers, [prompt.sampling.seed for prompt in prompts])])

    def _stop_criterion(self, stops: Sequence[str]) -> Any:
        if not stops:
            return None
        from transformers import StopStringCriteria

        return StopStringCriteria(self._tokenizer, list(stops))

    def _completion(self, prompt: Prompt, ids: Sequence[int], stops: Sequence[str]) -> Completion:
        ended = bool(ids) and ids[-1] in self._end_ids
        text = self._tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        found = [place for place in map(text.find, stops) if place >= 0]
        # A stop text that is a special token is no longer in the text, but it has ended the row early.
        finish = "stop" if ended or found or len(ids) < prompt.limit else "length"
        text = without_thoughts(prompt.text, text[: min(found, default=len(text))])
        return Completion(
            text=text,
            finish_reason=finish,
            prompt_tokens=len(prompt.ids),
            completion_tokens=len(ids),
            problem=completion_problem(text, finish),
        )


def _layers(model: Any) -> list[Any]:
    """Return the layers of a model: its longest list of modules."""
    from torch.nn import ModuleList

    return max((list(module) for module in model.modules() if isinstance(module, ModuleList)), key=len, default=[])


def _criteria(ends: Ends) -> Any:
    from transformers import StoppingCriteriaList

    return StoppingCriteriaList([ends])


def _penalties(sampling: LocalSampling) -> dict[str, Any]:
    """Return the settings that `generate` applies itself, if they are set; otherwise the model's generation config
    applies."""
    options = {
        "repetition_penalty": sampling.repetition_penalty,
        "no_repeat_ngram_size": sampling.no_repeat_ngram_size,
        "min_new_tokens": sampling.min_tokens,
    }
    return {name: value for name, value in options.items() if value is not None}
