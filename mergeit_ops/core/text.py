"""What a tokenizer can take."""

from __future__ import annotations


def encodable(text: str) -> str:
    """Return a text without lone surrogates.

    Tokenizers refuse them, and one such row must not cost the whole batch its scores.

    :param text: any text.
    """
    return text.encode("utf-8", errors="replace").decode("utf-8")
