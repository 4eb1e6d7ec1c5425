"""Forward passes of a Hugging Face causal language model for the losses of tokens."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.huggingface import (
    ModelNotLoadedError,
    context_length,
    in_halves,
    is_out_of_memory,
    load_causal_lm,
)
from mergeit_ops.llm.model_parts import body_and_head
from mergeit_ops.llm.token_losses import block_losses, logit_losses

__all__ = ["LossPasses", "Losses"]

Losses = tuple[float, float]
"""The mean loss of the tokens of a span, and their mean surprise, NaN if it is not wanted."""

_GPU_TOKENS = 8_192
# On a CPU, the output of a layer for a batch should fit into the caches of its cores. With the shape of GPT-2 and one
# core, batches of 256 tokens take three quarters of the time of batches of 2,048.
_CPU_TOKENS_PER_CORE = 128
_LEAST_CPU_TOKENS, _MOST_CPU_TOKENS = 256, 2_048
# Logits at a time. Each token has one logit for every word, so the logits of all tokens of a batch would take 400 MB
# and 1.6 GB. On a CPU, few logits are also faster, because they stay in its caches.
_CPU_LOGITS = 8_000_000
_GPU_LOGITS = 100_000_000


@contextmanager
def _telling_of_memory() -> Iterator[None]:
    """Turn a lack of memory into a sentence.

    :raises LLMUnavailableError: if memory does not suffice.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise LLMUnavailableError(
            "Memory does not suffice for one sample at a time: lower max_length, or spread the model with "
            "model_params: {device_map: auto}."
        ) from error


@dataclass(frozen=True)
class _Text:
    """A text that is read only once.

    :param tokens: its token ids.
    :param spans: numbers of its spans.
    """

    tokens: Sequence[int]
    spans: Sequence[int]


def _cpu_tokens() -> int:
    import torch

    return min(_MOST_CPU_TOKENS, max(_LEAST_CPU_TOKENS, _CPU_TOKENS_PER_CORE * torch.get_num_threads()))


class LossPasses:
    """A causal language model and its tokenizer.

    :param name: name on the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`.
    :param device: where it runs.
    :param dtype: of its weights.
    :raises LLMUnavailableError: if it cannot be loaded.
    """

    def __init__(self, name: str, model_params: Mapping[str, Any], device: str, dtype: str) -> None:
        self.name = name
        try:
            self.tokenizer, self._model = load_causal_lm(name, model_params, device, dtype)
        except ModelNotLoadedError as error:
            raise LLMUnavailableError(
                f"The model {name!r} cannot be loaded ({error}): check hf_model; a model of the Hugging Face Hub needs "
                "a connection or a local copy, and, if it is not public, a token in the environment variable HF_TOKEN."
            ) from error
        accepted = inspect.signature(type(self._model).forward).parameters
        self._takes_cache_flag = "use_cache" in accepted
        self._takes_cache = "past_key_values" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        on_gpu = self._model.device.type == "cuda"
        self.most_tokens = _GPU_TOKENS if on_gpu else _cpu_tokens()
        """Most tokens of a batch, including padding."""
        self._most_logits = _GPU_LOGITS if on_gpu else _CPU_LOGITS
        self.most_positions = context_length(self._model.config)
        """Most tokens that the model can read; None if it does not say."""
        self._parts = body_and_head(self._model)

    def read(self, tokens: Sequence[int]) -> Any | None:
        """Return the model's cache of a text that precedes others; None if it has no cache.

        :param tokens: token ids, at least one.
        """
        import torch

        if not (self._takes_cache and self._takes_cache_flag):
            return None
        ids = torch.tensor([list(tokens)], device=self._model.device)
        options = {"logits_to_keep": 1} if self._takes_logits_to_keep else {}
        with _telling_of_memory(), torch.inference_mode():
            cache = self._model(input_ids=ids, use_cache=True, **options).past_key_values
        # Other kinds of models, such as those without attention, have no cache that can be repeated.
        return cache if hasattr(cache, "batch_repeat_interleave") else None

    def of_batch(self, spans: Sequence[Span], surprise: bool, before: tuple[int, Any] | None = None) -> list[Losses]:
        """Return the losses of spans; spans of the same tokens share one pass.

        :param spans: n spans of a batch.
        :param surprise: whether it is wanted.
        :param before: number of tokens before each span, and the result of `read` for them.
        :raises LLMUnavailableError: if one text alone does not fit into memory.
        """
        texts: dict[tuple[int, ...], list[int]] = {}
        for number, span in enumerate(spans):
            texts.setdefault(span.tokens, []).append(number)
        found: list[Losses] = [(math.nan, math.nan)] * len(spans)
        run = partial(self._forward, spans=spans, surprise=surprise, before=before)
        asked = [
            _Text(tokens[: max(spans[number].stop for number in numbers)], numbers) for tokens, numbers in texts.items()
        ]
        with _telling_of_memory():
            for text, losses in zip(asked, in_halves(asked, run), strict=True):
                for number, loss in zip(text.spans, losses, strict=True):
                    found[number] = loss
        return found

    def _forward(
        self, texts: Sequence[_Text], *, spans: Sequence[Span], surprise: bool, before: tuple[int, Any] | None
    ) -> list[list[Losses]]:
        import torch

        width = max(len(text.tokens) for text in texts)
        ids = torch.zeros((len(texts), width), dtype=torch.long)
        wanted = torch.zeros((len(texts), width), dtype=torch.bool)
        for row, text in enumerate(texts):
            ids[row, : len(text.tokens)] = torch.tensor(text.tokens)
            for number in text.spans:
                wanted[row, spans[number].first - 1 : spans[number].stop - 1] = True
        options: dict[str, Any] = {"use_cache": False} if self._takes_cache_flag else {}
        known = 0
        if before is not None:
            known, read = before
            # The model writes into the cache.
            cache: Any = copy.deepcopy(read)
            cache.batch_repeat_interleave(len(texts))
            options = {"past_key_values": cache, "use_cache": True}
        # Padded on the right, which no token of a text attends to. A mask without gaps is faster.
        mask = torch.ones((len(texts), known + width), dtype=torch.long, device=self._model.device)
        targets = ids.roll(-1, 1)[wanted]
        with torch.inference_mode():
            losses, surprises = self._of_tokens(ids.to(self._model.device), mask, wanted, targets, options, surprise)
        lost = torch.zeros(ids.shape)
        lost[wanted] = losses
        sure = torch.full(ids.shape, math.nan)
        if surprises is not None:
            sure[wanted] = surprises

        def of_span(row: int, span: Span) -> Losses:
            part = (row, slice(span.first - 1, span.stop - 1))
            return lost[part].mean().item(), sure[part].mean().item()

        return [[of_span(row, spans[number]) for number in text.spans] for row, text in enumerate(texts)]

    def _of_tokens(
        self, ids: Any, mask: Any, wanted: Any, targets: Any, options: Mapping[str, Any], surprise: bool
    ) -> tuple[Any, Any | None]:
        """Return the loss and the surprise of the token after each wanted position, (m,) each."""
        import torch

        if self._parts is None:
            logits = self._model(input_ids=ids, attention_mask=mask, **options).logits
            found, head = logits[wanted.to(logits.device)], None
        else:
            body, head = self._parts
            states = body(input_ids=ids, attention_mask=mask, **options).last_hidden_state
            found = states[wanted.to(states.device)]
            if not surprise and self._is_plain_on_cpu(head):
                return block_losses(found, head.weight, head.bias, targets), None
        most = max(1, self._most_logits // max(1, int(self._model.config.get_text_config().vocab_size)))
        parts = []
        for part, target in zip(found.split(most), targets.split(most), strict=True):
            logits = (part if head is None else head(part)).float()
            parts.append(logit_losses(logits, target.to(logits.device), surprise))
        losses, surprises = zip(*parts, strict=True)
        return torch.cat(losses).cpu(), torch.cat(surprises).cpu() if surprise else None

    @staticmethod
    def _is_plain_on_cpu(head: Any) -> bool:
        """Return whether a head is only the product with its weights, and not, for example, quantized or hooked."""
        import torch

        if type(head) is not torch.nn.Linear or hasattr(head, "_hf_hook"):
            return False
        return head.weight.device.type == "cpu"
