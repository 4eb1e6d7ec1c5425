"""The scripts of a text, which distinguish some languages without a model."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

__all__ = ["main_script", "script_shares", "shares_script"]

_ALIASES = {"HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA", "FULLWIDTH": "LATIN"}
_LEAST_SHARE = 0.2
_JAPANESE_SHARE = 0.05  # even a Japanese text with many ideographs has its particles in kana


def script_shares(text: str) -> dict[str, float]:
    """Return the share of each script among the letters of a text; empty if it has none.

    Hiragana and Katakana are one script. A text with a small share of them is Japanese, so its ideographs count as
    kana.

    :param text: any text.
    :return: maps scripts, by the first word of their Unicode names (such as `LATIN`, `CJK` and `KANA`), to shares that
        sum to 1.
    """
    counts = Counter(_script(char) for char in text if char.isalpha())
    total = counts.total()
    if counts["KANA"] >= _JAPANESE_SHARE * total:
        counts["KANA"] += counts.pop("CJK", 0) if counts["KANA"] else 0
    return {script: count / total for script, count in counts.items() if count}


def main_script(text: str) -> str | None:
    """Return the script of most letters of a text; None if it has no letters."""
    shares = script_shares(text)
    return max(shares, key=lambda script: (shares[script], script)) if shares else None


def shares_script(new: str, old: str) -> bool:
    """Return whether the main script of a text is the script of at least a fifth of the letters of another text.

    Languages with the same script, such as English and German, are not distinguished.

    A text without letters, such as a number or an emoji, belongs to every language.

    :param new: the text; if it has no letters, the result is true.
    :param old: the other text; if it has no letters, the result is true.
    """
    found, known = main_script(new), script_shares(old)
    return not known or found is None or known.get(found, 0.0) >= _LEAST_SHARE


@lru_cache(maxsize=8_192)
def _script(char: str) -> str:
    first = unicodedata.name(char, "UNKNOWN").split()[0]
    return _ALIASES.get(first, first)
