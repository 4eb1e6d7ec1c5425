"""The places of tokens in a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["token_places"]

_CHARACTERS_AT_ONCE = 1_000_000


def token_places(tokenizer: Any, texts: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
    """Yield the start and the end (exclusive) of each token in characters, text by text.

    :param tokenizer: a fast tokenizer of transformers. Special tokens and prompts are left out.
    :param texts: the texts, of any length.
    """
    part: list[str] = []
    characters = 0
    for text in texts:
        part.append(text)
        characters += len(text)
        if characters >= _CHARACTERS_AT_ONCE:
            yield from _places(tokenizer, part)
            part, characters = [], 0
    if part:
        yield from _places(tokenizer, part)


def _places(tokenizer: Any, texts: list[str]) -> list[list[tuple[int, int]]]:
    found = tokenizer(
        texts,
        add_special_tokens=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        padding=False,
        verbose=False,
    )
    places: list[list[tuple[int, int]]] = found["offset_mapping"]
    return places
