"""Recognise refusals in plain words, because servers flag few of them."""

from __future__ import annotations

import re

__all__ = ["refuses", "refuses_to_help"]

_APOLOGY = (
    r"(?:(?:i['’]?\s?a?m\s+(?:very\s+|so\s+|truly\s+)?(?:sorry|afraid)|sorry|i\s+apologi[sz]e|unfortunately|regrettably)\b"
    r"[,.:;!]?\s*(?:but\s+|that\s+)?)"
)
_INABILITY = (
    r"i(?:['’]m|\s+am)?\s+(?:cannot|can['’]?t|can\s+not|could\s+not|won['’]?t|will\s+not|unable\s+to|not\s+able\s+to|"
    r"must\s+decline|have\s+to\s+decline|decline|refuse)\b"
)
# A refusal must name what it refuses: "I can't help but smile" and "I will not write again" are answers.
_TASK = (
    r"\s*(?:to\s+)?(?:(?:assist|help)(?:\s+you)?\s+with\s+(?:this|that|these|your|such)\b|"
    r"(?:comply\s+with|fulfill?)\s+(?:this|that|these|your|the|such)\b|"
    r"(?:merge|combine|process)\s+(?:these|those|the)\s+(?:two\s+)?(?:records?|requests?|instructions?|tasks?)\b|"
    r"(?:create|generate|produce|provide|write)\s+(?:this|that|such)\s+(?:content|material|information|an?\s+answer)\b)"
)
_AS_AN_AI = r"as\s+an?\s+(?:ai|artificial|language\s+model|large\s+language\s+model)\b"
_REFUSAL = re.compile(rf"{_APOLOGY}?{_INABILITY}|{_APOLOGY}|{_AS_AN_AI}", re.IGNORECASE)
_REFUSAL_TO_HELP = re.compile(rf"{_APOLOGY}?{_INABILITY}{_TASK}", re.IGNORECASE)
_BEFORE = " \t\r\n\"'“‘*_>"


def refuses(text: str) -> bool:
    """Return whether a text that should have been JSON starts like a refusal, in English.

    :param text: text that a model wrote instead of an answer.
    """
    return _REFUSAL.match(text.lstrip(_BEFORE)) is not None


def refuses_to_help(text: str) -> bool:
    """Return whether a text starts by refusing the task, in English.

    It is narrower than `refuses`, because good answers may start with an apology or with something that somebody cannot
    do. So the refusal has to name the request.

    :param text: the output of a row.
    """
    return _REFUSAL_TO_HELP.match(text.lstrip(_BEFORE)) is not None
