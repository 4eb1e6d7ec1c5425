"""The form in which tags are compared: lower case, only letters and digits, words in the singular."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["rule_form", "singular"]

_SHORTEST_PLURAL = 4
_NOT_PLURAL = ("ss", "us", "is", "atics", "istics", "omics", "onics", "physics")
_SAME_IN_PLURAL = frozenset(("ethics", "news", "politics", "series", "species"))
_WITH_ES = ("sses", "xes", "ches", "shes", "zzes")


@lru_cache(maxsize=2**16)
def rule_form(tag: str) -> str:
    """Return the form that all spellings of a tag share.

    :param tag: any text.
    :return: the tag in lower case, with characters other than letters, digits and accents as one space, and words in
        the singular. Empty for a tag of symbols only.
    """
    # Vowel signs of Indian scripts are marks that belong to the word.
    spaced = "".join([character if unicodedata.category(character)[0] in "LMN" else " " for character in tag.lower()])
    return " ".join(map(singular, spaced.split()))


def singular(word: str) -> str:
    """Return an English word without its plural ending; `analysis`, `class` and `mathematics` stay.

    :param word: word in lower case.
    """
    if len(word) < _SHORTEST_PLURAL or not word.endswith("s") or word.endswith(_NOT_PLURAL) or word in _SAME_IN_PLURAL:
        return word
    if word.endswith("ies") and len(word) > _SHORTEST_PLURAL:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_WITH_ES) else word[:-1]
