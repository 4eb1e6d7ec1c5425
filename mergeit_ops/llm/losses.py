"""Mean token losses of a causal language model of Hugging Face."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.core.text.characters import encodable
from mergeit_ops.embedding.batches import batches_of_like_lengths
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.chat_prompt import answer_heading, chat_prompt
from mergeit_ops.llm.huggingface import (
    ModelNotLoadedError,
    context_length,
    in_halves,
    is_out_of_memory,
    load_causal_lm,
    loaded_once,
)

__all__ = ["START_TOKENS", "LossModel", "ReadText", "load_loss_model"]

START_TOKENS = ("bos", "eos", "released")
"""What can stand before a text: a token of the tokenizer, or what the tokenizer puts there by itself."""

# Each token has a logit for every word there is: a batch of these, of 50,000 words, takes 400 MB and 1.6 GB.
_CPU_TOKENS = 2_048
_GPU_TOKENS = 8_192
_PROGRESS_FROM = 256  # spans


def load_loss_model(name: str, model_params: Mapping[str, Any], device: str, dtype: str) -> LossModel:
    """Return a model, loading it when this process has not yet.

    :param name: name at the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`.
    :param device: where it runs.
    :param dtype: of its weights.
    :raises LLMUnavailableError: when it cannot be loaded.
    """
    key = repr(("losses", name, sorted(model_params.items(), key=repr), device, dtype))
    return loaded_once(key, lambda: LossModel(name, model_params, device, dtype))


@contextmanager
def _telling_of_memory() -> Iterator[None]:
    """Turn the lack of memory into a sentence.

    :raises LLMUnavailableError: when memory does not suffice.
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


@dataclass(frozen=True, eq=False)
class ReadText:
    """A text that a model has read, for texts that stand behind it; see `LossModel.read`.

    :param tokens: its token ids.
    :param cache: what the model remembers of it; None: this model remembers nothing.
    """

    tokens: tuple[int, ...]
    cache: Any | None


class LossModel:
    """A causal language model that is asked how likely it finds texts; see `load_loss_model`."""

    def __init__(self, name: str, model_params: Mapping[str, Any], device: str, dtype: str) -> None:
        self._name = name
        try:
            self._tokenizer, self._model = load_causal_lm(name, model_params, device, dtype)
        except ModelNotLoadedError as error:
            raise LLMUnavailableError(
                f"The model {name!r} cannot be loaded ({error}): check hf_model; a model of the Hugging Face Hub needs "
                "a connection or a local copy, and, if it is not public, a token in the environment variable HF_TOKEN."
            ) from error
        accepted = inspect.signature(type(self._model).forward).parameters
        self._takes_cache_flag = "use_cache" in accepted
        self._takes_cache = "past_key_values" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        self.most_tokens = _GPU_TOKENS if self._model.device.type == "cuda" else _CPU_TOKENS
        """Tokens of a batch at most, padding included."""
        self.most_positions = context_length(self._model.config)
        """Tokens that the model can read at most; None where it does not say."""
        first = list(self._tokenizer("a", verbose=False)["input_ids"])[:1]
        self._own_start: list[int] = first if first and first[0] == self._tokenizer.bos_token_id else []

    def start(self, token: str) -> list[int]:
        """Return the token ids that stand before a text.

        :param token: `released`: what the tokenizer puts there, BOS or nothing; `bos`: BOS, or EOS where there is no
            BOS; `eos`: EOS, or BOS where there is no EOS.
        :raises LLMUnavailableError: when the tokenizer has neither.
        """
        if token == "released":
            return self._own_start
        ids = [self._tokenizer.bos_token_id, self._tokenizer.eos_token_id]
        known = [number for number in (ids if token == "bos" else reversed(ids)) if number is not None]
        if not known:
            raise LLMUnavailableError(
                f"The tokenizer of the model {self._name!r} has neither BOS nor EOS: set start_token to released."
            )
        return known[:1]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, without special tokens."""
        if not texts:
            return []
        readable = [encodable(text) for text in texts]
        return [list(ids) for ids in self._tokenizer(readable, add_special_tokens=False, verbose=False)["input_ids"]]

    def chat_texts(self, question: str, system: str = "") -> tuple[str, str]:
        """Return what stands before an answer in the model's own chat template: with the question, and without it.

        :param question: what the user asks.
        :param system: the system prompt; empty: none.
        :raises LLMUnavailableError: when the template fails.
        """
        turns = [{"role": "system", "content": system}] if system.strip() else []
        turns.append({"role": "user", "content": question})
        return chat_prompt(self._tokenizer, turns, {}), answer_heading(self._tokenizer, turns)

    @property
    def writes_start(self) -> bool:
        """Whether the chat template writes what stands before a text itself."""
        return bool(self._tokenizer.chat_template)

    def mean_losses(self, spans: Sequence[Span]) -> list[float]:
        """Return the mean loss per token of each span, natural logarithm, in float32; see `losses`."""
        return [loss for loss, _ in self.losses(spans)]

    def losses(self, spans: Sequence[Span], surprise: bool = False) -> list[tuple[float, float]]:
        """Return the mean loss per token of each span, natural logarithm, in float32, and its mean surprise.

        The surprise of a token is sigmoid(loss) * max(0, 1 - H / ln V), with H the entropy of the model's prediction
        over its V words: high where the model was sure and wrong (UPD of D3, arXiv 2503.11441).

        Spans of like length share a batch, the longest first: what does not fit into memory shows at once.

        :param spans: n spans.
        :param surprise: whether it is wanted; else it is NaN.
        :raises LLMUnavailableError: when one span alone does not fit into memory.
        """
        losses = [(0.0, math.nan)] * len(spans)
        batches = batches_of_like_lengths([len(span.tokens) for span in spans], most_tokens=self.most_tokens)
        with tqdm(total=len(spans), desc="losses", unit=" texts", disable=len(spans) < _PROGRESS_FROM) as bar:
            for batch in batches:
                found = self._of_batch([spans[number] for number in batch], surprise)
                for number, loss in zip(batch.tolist(), found, strict=True):
                    losses[number] = loss
                bar.update(len(batch))
        return losses

    def read(self, tokens: Sequence[int]) -> ReadText:
        """Read a text once, for `mean_losses_behind`.

        :param tokens: token ids, at least one.
        """
        import torch

        cache = None
        if self._takes_cache and self._takes_cache_flag:
            ids = torch.tensor([list(tokens)], device=self._model.device)
            options = {"logits_to_keep": 1} if self._takes_logits_to_keep else {}
            with _telling_of_memory(), torch.inference_mode():
                cache = self._model(input_ids=ids, use_cache=True, **options).past_key_values
        # A model of another kind, such as one without attention, has no cache that could be repeated.
        return ReadText(tuple(tokens), cache if hasattr(cache, "batch_repeat_interleave") else None)

    def mean_losses_behind(self, before: ReadText, spans: Sequence[Span]) -> list[float]:
        """Return the mean loss per token of each span behind a text; see `losses`.

        :param before: what stands before each span.
        :param spans: a batch of them.
        :raises LLMUnavailableError: when one span alone does not fit into memory.
        """
        if before.cache is None:
            length = len(before.tokens)
            return self.mean_losses([Span((*before.tokens, *span.tokens), length + span.first) for span in spans])
        return [loss for loss, _ in self._of_batch(spans, False, before)]

    def _of_batch(
        self, spans: Sequence[Span], surprise: bool, before: ReadText | None = None
    ) -> list[tuple[float, float]]:
        with _telling_of_memory():
            return in_halves(spans, partial(self._forward, surprise=surprise, before=before))

    def _forward(
        self, spans: Sequence[Span], surprise: bool, before: ReadText | None = None
    ) -> list[tuple[float, float]]:
        import torch
        from torch.nn.functional import cross_entropy, log_softmax

        def of_span(logits: Any, targets: Any) -> tuple[float, float]:
            logits = logits.float()
            if not surprise:
                return cross_entropy(logits, targets).item(), math.nan
            logs = log_softmax(logits, dim=-1)
            losses = -logs.gather(1, targets[:, None])[:, 0]
            # A word of probability 0 adds nothing to the entropy, not NaN.
            entropy = -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(dim=-1)
            sure = (1 - entropy / math.log(logits.shape[-1])).clamp(min=0)
            return losses.mean().item(), (losses.sigmoid() * sure).mean().item()

        width = max(len(span.tokens) for span in spans)
        ids = torch.zeros((len(spans), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        # Padded on the right, where no token of the text ever looks.
        for row, span in enumerate(spans):
            ids[row, : len(span.tokens)] = torch.tensor(span.tokens)
            mask[row, : len(span.tokens)] = 1
        device = self._model.device
        options: dict[str, Any] = {"use_cache": False} if self._takes_cache_flag else {}
        if before is not None:
            # The model writes into a cache.
            cache: Any = copy.deepcopy(before.cache)
            cache.batch_repeat_interleave(len(spans))
            options = {"past_key_values": cache, "use_cache": True}
            mask = torch.cat([torch.ones((len(spans), len(before.tokens)), dtype=torch.long), mask], dim=1)
        with torch.inference_mode():
            logits = self._model(input_ids=ids.to(device), attention_mask=mask.to(device), **options).logits
            return [
                of_span(
                    logits[row, span.first - 1 : len(span.tokens) - 1],
                    ids[row, span.first : len(span.tokens)].to(logits.device),
                )
                for row, span in enumerate(spans)
            ]
