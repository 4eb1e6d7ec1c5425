"""The log-probabilities of the digits "1" to "6" among those that a server lists for one position."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.scoring.deita import SCORES

__all__ = ["digit_logprobs", "parse_digit_logprobs"]

# Token ids of the digits in the vocabularies of the published Deita scorers: LLaMA and Mistral.
_VOCABULARIES = ((29896, 29906, 29941, 29946, 29945, 29953), (28740, 28750, 28770, 28781, 28782, 28784))

_LARGEST = 1e300

_SPELLINGS: tuple[tuple[str, ...], ...] = (
    tuple(f"{score}" for score in SCORES),
    tuple(f"▁{score}" for score in SCORES),
    tuple(f" {score}" for score in SCORES),
    *(tuple(f"token_id:{number}" for number in vocabulary) for vocabulary in _VOCABULARIES),
)


def digit_logprobs(logprobs: Mapping[str, float], highest: int = SCORES[-1]) -> tuple[float, ...] | None:
    """Return the log-probabilities of the digits.

    All digits must be listed in one spelling: the bare digit, the digit after a blank (`▁1`, ` 1`), or the `token_id:`
    by which a server of a LLaMA or Mistral scorer may name it. The bare digit has priority. The prompt ends in a blank,
    so the scorer was trained to write the bare digit. A token with another blank is a different answer with its own
    weight. For the same reason spellings are never mixed.

    :param logprobs: maps tokens to log-probabilities.
    :param highest: the last digit, at most 6.
    :return: a number for each digit from "1" on; None if one is missing.
    """
    for spelling in (known[:highest] for known in _SPELLINGS):
        if all(token in logprobs for token in spelling):
            return tuple(logprobs[token] for token in spelling)
    return None


def parse_digit_logprobs(text: str, highest: int = SCORES[-1]) -> tuple[float, ...]:
    """Read the digits from an answer of the log-probability client.

    :param text: a JSON object of tokens and log-probabilities.
    :param highest: the last digit, at most 6.
    :return: a number for each digit from "1" on.
    :raises ReplyError: `digits_missing` if a digit is missing; `unparsable` if the text is not such an object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(map(_is_number, found.values())):
        raise ReplyError(FailureReason.UNPARSABLE)
    digits = digit_logprobs(found, highest)
    if digits is None:
        raise ReplyError(FailureReason.DIGITS_MISSING)
    return digits


def _is_number(value: object) -> bool:
    # A JSON integer may be too large for a float.
    return isinstance(value, (int, float)) and abs(value) < _LARGEST
