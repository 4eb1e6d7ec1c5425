"""Fit a static model to the default model's embeddings of some texts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mergeit_ops.embedding.sentence_encoder import SentenceEncoder
from mergeit_ops.embedding.static.encoder import WINDOW_CHARACTERS
from mergeit_ops.embedding.static.fitting import fit
from mergeit_ops.embedding.static.model import StaticModel
from mergeit_ops.embedding.static.token_counts import TokenCounts

__all__ = ["distilled", "few_enough"]

MOST_TEXTS = 8_000
"""Most texts that a model is fitted to; their linear system takes 256 MB."""

_FEW_TEXTS = 1_000  # fewer texts are all rows, so only the vectors of their own tokens are needed
_MOST_CHARACTERS = 2_000_000  # of all texts; they take a minute on one core. The texts of Alpaca have half as many


def few_enough(texts: Iterable[str]) -> list[str]:
    """Return the texts to which a model is fitted, each cut to a window.

    :param texts: texts in the order in which they should be taken.
    :return: different texts, none of them blank.
    """
    chosen: dict[str, None] = {}
    characters = 0
    for text in texts:
        shown = text[:WINDOW_CHARACTERS].strip()
        if not shown or shown in chosen:
            continue
        characters += len(shown)
        if len(chosen) == MOST_TEXTS or (chosen and characters > _MOST_CHARACTERS):
            break
        chosen[shown] = None
    return list(chosen)


def distilled(encoder: SentenceEncoder, texts: list[str], batch_size: int | None) -> StaticModel:
    """Fit a static model to some texts.

    :param encoder: the model to imitate.
    :param texts: see `few_enough`.
    :param batch_size: see `Encoder.encode`.
    """
    counts = TokenCounts(encoder.tokenizer, np.zeros(0, dtype=np.int64))
    numbers = np.arange(counts.num_tokens)
    if len(texts) < _FEW_TEXTS:
        numbers = np.unique(np.fromiter((token for text in counts.tokens(texts) for token in text), np.int64))
    alone = np.zeros((counts.num_tokens, encoder.width), dtype=np.float32)
    alone[numbers] = encoder.tokens_alone(numbers)
    return fit(counts.tokenizer, alone, texts, encoder.encode(texts, batch_size))
