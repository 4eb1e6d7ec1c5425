"""The number of tokens of a text, estimated without a tokenizer."""

from __future__ import annotations

from mergeit_ops.core.text.token_estimate import estimate_tokens


def test_the_estimate_grows_with_the_text_and_takes_any_text():
    assert estimate_tokens("") == 0
    assert estimate_tokens("word " * 100) == 125
    assert estimate_tokens("你好") == 2
    assert estimate_tokens("\ud800") == 1
