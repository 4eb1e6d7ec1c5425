"""A toy vocabulary, and models over it."""

from __future__ import annotations

import numpy as np

from mergeit_ops.embedding.static.model import StaticModel

WORDS = ("[UNK]", "a", "b", "c", "d")


def tokenizer(ends: bool = False) -> str:
    """Whole words of a few letters, as JSON; with ends, each text begins with a token of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if ends:
        made.post_processor = processors.TemplateProcessing(single="[UNK] $A", special_tokens=[("[UNK]", 0)])
    return str(made.to_str())


def model(vectors: object, pairs: tuple[tuple[str, str], ...] = ()) -> StaticModel:
    """A model with these vectors of the words, and then of the pairs."""
    numbers = [WORDS.index(first) * len(WORDS) + WORDS.index(second) for first, second in pairs]
    return StaticModel(
        np.frombuffer(tokenizer().encode(), dtype=np.uint8),
        np.array(numbers, dtype=np.int64),
        np.asarray(vectors, dtype=np.float16),
    )
