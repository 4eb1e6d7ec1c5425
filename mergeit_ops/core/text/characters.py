"""Text that tokenizers, pages and terminals can handle."""

from __future__ import annotations

import re

__all__ = ["UNSEEN", "encodable", "printable"]

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    # Selectors of variants: behind an ideograph they choose its form, elsewhere they can hide any text.
    "|(?<![\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"
)
"""Characters that act without being seen: control characters but tab and newline, those that break lines, those that
turn the direction of text or hide in it, and halves of surrogate pairs, which have no form in UTF-8. Soft hyphens and
the joiners that scripts and emoji need are none of them."""


def encodable(text: str) -> str:
    """Return a text without lone surrogates.

    Tokenizers refuse them, and one such row must not cost the whole batch its scores.

    :param text: any text.
    """
    return text.encode("utf-8", errors="replace").decode("utf-8")


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return a text for a terminal: characters that control the terminal or cannot be encoded are escaped.

    :param text: any text. Tabs and newlines stay.
    :param encoding: of the terminal.
    :return: the text with escapes as Python writes them, such as `\x1b` and `\u202e`.
    """
    seen = UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text.replace("\r\n", "\n"))
    return seen.encode(encoding, errors="backslashreplace").decode(encoding)
