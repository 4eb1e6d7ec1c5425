"""Text that tokenizers, pages and terminals can handle."""

from __future__ import annotations

import re

__all__ = ["UNSEEN", "encodable", "printable"]

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    # Variation selectors: after an ideograph they choose its form; elsewhere they can hide any text.
    "|(?<![\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"
)
"""Invisible characters with an effect: control characters except tab and newline, characters that break lines, change
the direction of text or hide in it, and halves of surrogate pairs, which have no form in UTF-8. Soft hyphens and the
joiners that scripts and emoji need are not included."""


def encodable(text: str) -> str:
    """Return a text without lone surrogates.

    Tokenizers refuse them, and one such row must not make a whole batch fail.

    :param text: any text.
    """
    return text.encode("utf-8", errors="replace").decode("utf-8")


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return a text for a terminal: characters that control the terminal or cannot be encoded are escaped.

    :param text: any text. Tabs and newlines stay.
    :param encoding: encoding of the terminal.
    :return: the text with Python's escapes, such as `\x1b` and `\u202e`.
    """
    seen = UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text.replace("\r\n", "\n"))
    return seen.encode(encoding, errors="backslashreplace").decode(encoding)
