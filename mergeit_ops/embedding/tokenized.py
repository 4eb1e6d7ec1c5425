"""Texts as tokens of a sentence-transformers model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mergeit_ops.embedding.fixed_shapes import FixedBatch

_CHARACTERS_AT_ONCE = 1_000_000  # a tokenizer keeps a whole text in memory before it cuts it
_TEXTS_AT_ONCE = 250  # of similar length, so that few are padded much

_MASK = "attention_mask"


class TokenizedTexts:
    """The tokens of some texts, without padding.

    :param lengths: number of tokens of each text.
    :param starts: number of the first token of each text.
    :param values: for each feature of the model, such as `input_ids`, the values of all tokens, text after text.
    :param shared: features that all texts share, such as the length of the prompt.
    :param tokenizer: tokenizer that defines the padding.
    """

    def __init__(
        self,
        lengths: torch.Tensor,
        starts: torch.Tensor,
        values: Mapping[str, torch.Tensor],
        shared: Mapping[str, Any],
        tokenizer: Any,
    ) -> None:
        self.lengths = lengths
        self._starts = starts
        self._values = values
        self._shared = shared
        self._left = getattr(tokenizer, "padding_side", "right") == "left"
        self._fill = {
            "input_ids": getattr(tokenizer, "pad_token_id", None) or 0,
            "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0),
        }

    def features(self, batch: FixedBatch) -> dict[str, Any]:
        """Return a batch as model input, padded to its shape."""
        rows = torch.from_numpy(batch.positions)
        rows = torch.cat([rows, rows[:1].expand(batch.size - len(rows))])
        lengths = self.lengths[rows, None]
        if batch.padded:
            # A short row, to have padding in the batch.
            lengths[len(batch.positions) :] = lengths[0].clamp(max=1)
        tokens = torch.arange(batch.length)[None]
        if self._left:
            tokens = tokens - (batch.length - lengths)
        there = (tokens >= 0) & (tokens < lengths)
        where = (self._starts[rows, None] + tokens)[there]
        features = dict(self._shared)
        for name, values in self._values.items():
            features[name] = values.new_full((batch.size, batch.length), self._fill.get(name, 0))
            features[name][there] = values[where]
        return features


def tokenize(model: Any, texts: Sequence[str]) -> TokenizedTexts | None:
    """Return the tokens of texts; None if the model takes no padded tokens.

    :param model: a SentenceTransformer; its default prompt goes before each text.
    :param texts: at least one.
    """
    # Tokenizers spend most of their time on padding to the longest text of a part and on building lists.
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    texts = [texts[number] for number in order]
    parts: list[torch.Tensor] = []
    values: dict[str, list[torch.Tensor]] = {}
    shared: dict[str, Any] = {}
    start = 0
    while start < len(texts):
        end = _end_of_part(texts, start)
        features = _preprocess(model, list(texts[start:end]))
        mask, ids = features.get(_MASK), features.get("input_ids")
        if not isinstance(mask, torch.Tensor) or not isinstance(ids, torch.Tensor) or mask.ndim != 2:
            return None
        kept = mask.bool()
        parts.append(kept.sum(dim=1))
        for name, found in features.items():
            if isinstance(found, torch.Tensor) and found.shape == mask.shape:
                # For texts without tokens, transformers returns an empty matrix of floats.
                values.setdefault(name, []).append(found[kept] if found.numel() else found[kept].long())
            else:
                shared[name] = found
        start = end
    found_lengths = torch.cat(parts)
    lengths, starts = torch.empty_like(found_lengths), torch.empty_like(found_lengths)
    lengths[order] = found_lengths
    starts[order] = found_lengths.cumsum(0) - found_lengths
    joined = {name: torch.cat(tensors) for name, tensors in values.items()}
    return TokenizedTexts(lengths, starts, joined, shared, getattr(model, "tokenizer", None))


def _end_of_part(texts: Sequence[str], start: int) -> int:
    end, characters = start, 0
    while end < min(len(texts), start + _TEXTS_AT_ONCE):
        characters += len(texts[end])
        if end > start and characters > _CHARACTERS_AT_ONCE:
            break
        end += 1
    return end


def _preprocess(model: Any, texts: list[str]) -> dict[str, Any]:
    prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    if hasattr(model, "preprocess"):
        return dict(model.preprocess(texts, prompt=prompt))
    # Before sentence-transformers 5.x.
    features = dict(model.tokenize([f"{prompt or ''}{text}" for text in texts]))
    if prompt:
        features["prompt_length"] = model.tokenize([prompt])["input_ids"].shape[-1] - 1
    return features
