"""Estimate the tokens of a text without a tokenizer."""

from __future__ import annotations

import math

__all__ = ["estimate_tokens"]

_BYTES_PER_TOKEN = 4


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text from its length in UTF-8 bytes.

    :param text: any text.
    :return: one token per four bytes, which suits English; other languages come out within a factor of two.
    """
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)
