"""The losses of a text, from the tokens and log-probabilities that a server lists for it.

A server splits a text into tokens itself, and returns them as texts. This module finds where the part whose loss is
wanted begins in this list. If that is not certain, there is no loss.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, product
from operator import or_

from mergeit_ops.core.merging.replies import FailureReason, ReplyError

__all__ = [
    "ACROSS_BORDER",
    "TextLosses",
    "Tokens",
    "first_token_behind",
    "losses_of",
    "spells",
    "tokens_as_text",
    "tokens_of",
]

ACROSS_BORDER = "token_across_border"
"""Reason for a row in which no token begins at the start of the part whose loss is wanted."""

_PARTIAL = "\ufffd"
_BYTES = "bytes:"  # OpenAI's notation for a token that is not text
_MARK = re.compile(r"<[^<>\s]{1,40}>|\[[^\[\]\s]{1,40}\]")
_IMPOSSIBLE = -9999.0
"""vLLM's notation for minus infinity."""
_LARGEST = 1e300

Tokens = Sequence["str | None"]
"""Texts of tokens; None for a first token that the server does not return."""


@dataclass(frozen=True)
class TextLosses:
    """Mean losses of the tokens of a text, natural logarithm, or why there is none.

    :param behind: mean loss of the part whose loss is wanted.
    :param whole: mean loss of all tokens after the start text.
    :param tokens: identifier of the tokens of the part; equal for parts with the same tokens.
    :param count: number of tokens of the part.
    """

    behind: float | str
    whole: float | str
    tokens: str
    count: int = 0


def tokens_as_text(tokens: Tokens, logprobs: Sequence[float | None]) -> str:
    """Return tokens and their log-probabilities as text for the journal."""
    return json.dumps({"tokens": list(tokens), "logprobs": list(logprobs)}, separators=(",", ":"))


def tokens_of(answer: str) -> tuple[list[str | None], list[float | None]]:
    """Read tokens and log-probabilities from the journal's text.

    :param answer: text from `tokens_as_text`.
    :raises ReplyError: `unparsable` if it is not such a text.
    """
    try:
        found = json.loads(answer)
        tokens, logprobs = found["tokens"], found["logprobs"]
    except (ValueError, RecursionError, TypeError, KeyError):
        tokens = logprobs = None
    if not (
        isinstance(tokens, list)
        and isinstance(logprobs, list)
        and len(tokens) == len(logprobs)
        and all(token is None or isinstance(token, str) for token in tokens)
        and all(number is None or _is_number(number) for number in logprobs)
    ):
        raise ReplyError(FailureReason.UNPARSABLE)
    return tokens, logprobs


def losses_of(answer: str, start: str, before: str, behind: str) -> TextLosses:
    """Return the losses of a text.

    :param answer: tokens and log-probabilities of `start + before + behind`, as text from `tokens_as_text`.
    :param start: the text before every text; it is never scored.
    :param before: the text before the part whose loss is wanted.
    :param behind: the part whose loss is wanted, not empty.
    :return: the losses; if there is none, the reason: `token_across_border`, `no_logprobs` or `response_too_short`.
    :raises ReplyError: `unparsable` if the answer cannot be read.
    """
    tokens, logprobs = tokens_of(answer)
    starts = _starts(tokens, start + before + behind)
    first = _first_from(starts, tokens, len(start))
    if first is not None and not start:
        # The very first token has a loss only if the server puts BOS before it.
        first += logprobs[first] is None
    border = _first_from(starts, tokens, len(start + before))
    name = "" if border is None else hashlib.sha256(json.dumps(tokens[border:]).encode()).hexdigest()[:32]
    count = 0 if border is None else len(tokens) - border
    return TextLosses(_mean_loss(logprobs, border), _mean_loss(logprobs, first), name, count)


def first_token_behind(tokens: Tokens, before: str, behind: str) -> int | None:
    """Return the position of the first token of the second of two texts.

    Tokens are compared with the text from both ends, because the texts of some tokens are incomplete: bytes of a
    character appear as nothing or as a replacement character, marks such as `</s>` as nothing, and blanks before a word
    may be missing. The first token may be the server's own, such as BOS.

    :param tokens: texts of the tokens of `before + behind`, in order.
    :param before: the first text.
    :param behind: the second text, not empty.
    :return: the position; None if no token begins at the start of the second text, or if this is not certain.
    """
    return _first_from(_starts(tokens, before + behind), tokens, len(before))


def spells(tokens: Tokens, text: str) -> bool:
    """Return whether tokens can be those of a text.

    :param tokens: their texts.
    :param text: the text.
    """
    return _starts(tokens, text) is not None


def _first_from(starts: Sequence[int] | None, tokens: Tokens, position: int) -> int | None:
    """Return the first token that begins at a position of a text; None if it is uncertain."""
    if starts is None:
        return None
    border = 1 << position
    if position:
        first = next((number for number, found in enumerate(starts[:-1]) if found & border), None)
        return first if first is not None and starts[first] == border else None
    if not starts[1] & 1:
        return 0
    # A token without text may be a part of the first character or a mark of the server.
    return 1 if starts[1] == border and tokens[0] != "" else None


def _starts(tokens: Tokens, text: str) -> Sequence[int] | None:
    """Return the possible starts of each token in a text, and the end of the last one; None if they do not spell the
    text.

    A set of positions is an integer whose bit n stands for position n, so a text of a thousand bytes takes almost no
    time.
    """
    found = _spelled_out(tokens, text)
    for blanks, own in product((False, True), repeat=2):
        found = found or _aligned(tokens, _Spellings(text, blanks, own))
    return found


def _spelled_out(tokens: Tokens, text: str) -> Sequence[int] | None:
    """Return the same for tokens with complete texts, the usual case, which can be placed in only one way."""
    shown = [token for token in tokens if token and _PARTIAL not in token]
    joined = "".join(shown)
    if len(shown) < len(tokens) or not joined.endswith(text):
        return None
    own = len(joined) - len(text)
    if own and own != len(shown[0]):
        return None
    ends = accumulate(map(len, shown))
    return [1, *(1 << max(0, end - own) for end in ends)]


def _aligned(tokens: Tokens, spellings: _Spellings) -> list[int] | None:
    shapes = [spellings.of(token, is_first=number == 0) for number, token in enumerate(tokens)]
    ends = [spellings.end]
    for spelled in reversed(shapes):
        ends.append(_union((ends[-1] >> length) & starts for starts, length in spelled))
    ends.reverse()
    found = [ends[0] & spellings.begin]
    if not found[0]:
        return None
    for spelled, reaches_end in zip(shapes, ends[1:], strict=True):
        found.append(_union((found[-1] & starts) << length for starts, length in spelled) & reaches_end)
    return found


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)


class _Spellings:
    """The possible places of a token in a text: pairs of a set of start positions and its length there.

    :param text: the text.
    :param blanks: whether tokens may lack a leading blank.
    :param own: whether the first token is the server's own.
    """

    def __init__(self, text: str, blanks: bool, own: bool) -> None:
        self._text = text
        self._blanks = blanks
        self._own = own
        self._known: dict[str, list[tuple[int, int]]] = {}
        mark = _MARK.match(text)
        self._mark = mark.end() if mark else 0
        # llama-cpp-python leaves out BOS, even if it is in the text.
        self.begin = 1 | 1 << self._mark
        self.end = 1 << len(text)

    def of(self, token: str | None, is_first: bool) -> list[tuple[int, int]]:
        """Return the possible places of a token.

        :param token: its text; None if unknown.
        :param is_first: whether it is the very first token.
        """
        if is_first and self._own:
            return [(1, 0)]
        if token is None:
            lengths = (self._mark,) if self._mark else range(1, len(self._text) + 1)
            return [(1, length) for length in lengths] if is_first else []
        if token not in self._known:
            self._known[token] = self._spelled(token)
        return self._known[token]

    def _spelled(self, token: str) -> list[tuple[int, int]]:
        found = []
        if token:
            found.append((self._places(token), len(token)))
            if self._blanks:
                found.append((self._places(" " + token), len(token) + 1))
        if token.startswith(" ") and self._text.startswith(token[1:]):
            # Tokenizers like Llama 2's put a blank before a text.
            found.append((1, len(token) - 1))
        if token == "" or _PARTIAL in token or token.startswith(_BYTES):
            longest = 1 if token.startswith(_BYTES) else max(1, len(token))
            beyond_ascii = sum(1 << place for place, sign in enumerate(self._text) if not sign.isascii())
            with_one = [_union(beyond_ascii >> place for place in range(length)) for length in range(1, longest + 1)]
            found += [(self.end * 2 - 1, 0), *((starts, length + 1) for length, starts in enumerate(with_one))]
        if token == "":
            found += [(1 << mark.start(), len(mark[0])) for mark in _MARK.finditer(self._text)]
        return found

    def _places(self, piece: str) -> int:
        places, place = 0, self._text.find(piece)
        while place >= 0:
            places |= 1 << place
            place = self._text.find(piece, place + 1)
        return places


def _mean_loss(logprobs: Sequence[float | None], first: int | None) -> float | str:
    """Return the mean loss of the tokens from a position on, or why there is none."""
    if first is None:
        return ACROSS_BORDER
    losses = [math.inf if number <= _IMPOSSIBLE else -number for number in logprobs[first:] if number is not None]
    if len(losses) < len(logprobs) - first:
        return FailureReason.NO_LOGPROBS.value
    return math.fsum(losses) / len(losses) if losses else "response_too_short"


def _is_number(value: object) -> bool:
    # A JSON integer may be too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST
