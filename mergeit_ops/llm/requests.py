"""What an engine is asked, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.text.chat_marks import without_marks
from mergeit_ops.core.text.token_estimate import estimate_tokens

__all__ = [
    "CAP_PARAMS",
    "LLMOutcome",
    "LLMRequest",
    "completion_cap",
    "expected_completion_tokens",
    "outcome_of",
]

T = TypeVar("T")

CAP_PARAMS = ("max_tokens", "max_completion_tokens", "max_new_tokens")
"""Sampling parameters that limit an answer; the last one is for local models."""


@dataclass(frozen=True)
class LLMRequest(Generic[T]):
    """One conversation to be answered.

    :param tag: comes back with the outcome, for the caller to know which request it belongs to.
    :param messages: chat turns with `role` and `content`.
    :param parse: makes an answer of a text, or raises `ReplyError`; the same text must give the same answer. If the
        error has a correction, the model is asked again with its answer and the correction.
    :param num_candidates: answers wanted, at least 1; each is a call of its own.
    :param schema: JSON schema of the answer, which servers are held to as far as they can be; None for any text.
    :param completion_tokens: tokens an answer is expected to have; None (the default) takes the size of the last
        turn, which suits a merge.
    :param max_tokens: tokens an answer may have; twice as many after it was cut off there. None (the default): what the
        sampling parameters say.
    :param fixed_tokens: estimated tokens of the conversation that are the same in every request of its kind; None (the
        default): not known.
    """

    tag: Any
    messages: tuple[Mapping[str, str], ...]
    parse: Callable[[str], T]
    num_candidates: int = 1
    schema: Mapping[str, Any] | None = None
    completion_tokens: int | None = None
    max_tokens: int | None = None
    fixed_tokens: int | None = None

    def corrected(self, answer: str, correction: str) -> LLMRequest[T]:
        """Return the request with an answer that could not be used, and what is wrong with it.

        :param answer: what the model answered.
        :param correction: what the model is told; empty: the request stays as it is.
        """
        if not correction:
            return self
        turns = ({"role": "assistant", "content": without_marks(answer)}, {"role": "user", "content": correction})
        return replace(self, messages=(*self.messages, *turns))


@dataclass(frozen=True)
class LLMOutcome(Generic[T]):
    """What became of a request.

    :param tag: of the request.
    :param answers: the parsed answers, in the order of the candidates; those that failed are left out.
    :param error: why there is no answer; None when there is one.
    :param answered_by: the model that the server names, if it is another than the one asked for; None else.
    """

    tag: Any
    answers: tuple[T, ...]
    error: FailureReason | None = None
    answered_by: str | None = None


def outcome_of(tag: Any, results: Sequence[T | FailureReason], answered_by: str | None = None) -> LLMOutcome[T]:
    """Return the outcome of a request from what became of its candidates.

    :param tag: of the request.
    :param results: for each candidate, in order, its answer or why there is none.
    :param answered_by: see `LLMOutcome`.
    """
    answers = tuple(result for result in results if not isinstance(result, FailureReason))
    reasons = [result for result in results if isinstance(result, FailureReason)]
    return LLMOutcome(tag, answers, None if answers else reasons[0], answered_by if answers else None)


def expected_completion_tokens(request: LLMRequest[Any], sampling_params: Mapping[str, Any]) -> int:
    """Estimate how many tokens an answer will have.

    :param request: the request.
    :param sampling_params: whose `max_tokens` or `max_completion_tokens` bounds the estimate.
    """
    expected = request.completion_tokens
    if expected is None:
        expected = estimate_tokens(request.messages[-1]["content"]) if request.messages else 0
    cap = completion_cap(sampling_params)
    return expected if cap is None else min(expected, cap)


def completion_cap(sampling_params: Mapping[str, Any]) -> int | None:
    """Return the tokens that sampling parameters allow an answer; None when they do not say.

    :param sampling_params: whose `max_tokens` or `max_completion_tokens` it is, in `extra_body` too.
    """
    places = (sampling_params, sampling_params.get("extra_body") or {})
    caps = [place[name] for place in places for name in CAP_PARAMS if isinstance(place.get(name), int)]
    return min(caps, default=None)
