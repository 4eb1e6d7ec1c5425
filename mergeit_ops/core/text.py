"""Text that tokenizers, pages and terminals can handle."""

from __future__ import annotations

import re

__all__ = ["UNSEEN", "encodable", "printable"]

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that act without being seen: control characters but tab and newline, those that break lines or turn the
direction of all that follows, and halves of surrogate pairs, which have no form in UTF-8."""


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
