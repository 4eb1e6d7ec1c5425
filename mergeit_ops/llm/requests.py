"""Requests to an engine, and their outcomes."""

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
"""Sampling parameters that limit the length of an answer; the last one is for local models."""


@dataclass(frozen=True)
class LLMRequest(Generic[T]):
    """A conversation to answer.

    :param tag: returned with the outcome, so that the caller knows its request.
    :param messages: chat turns with `role` and `content`.
    :param parse: function that turns a text into an answer or raises `ReplyError`; the same text must give the same
        answer. If the error has a correction, the model is asked again with its answer and the correction.
    :param num_candidates: number of answers, at least 1; each is a separate call.
    :param schema: JSON schema of the answer, which servers enforce if they can; None for any text.
    :param completion_tokens: expected tokens of an answer; None (the default) takes the size of the last turn, which
        suits a merge.
    :param max_tokens: most tokens of an answer; it doubles after an answer was cut off. None (the default): the
        sampling parameters decide.
    :param fixed_tokens: estimated tokens of the conversation that are the same in every request of its kind; None (the
        default) if they are not known.
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
        """Return the request with an unusable answer and its correction.

        :param answer: the model's answer.
        :param correction: text for the model; empty: the request is not changed.
        """
        if not correction:
            return self
        turns = ({"role": "assistant", "content": without_marks(answer)}, {"role": "user", "content": correction})
        return replace(self, messages=(*self.messages, *turns))


@dataclass(frozen=True)
class LLMOutcome(Generic[T]):
    """The outcome of a request.

    :param tag: of the request.
    :param answers: the parsed answers, in the order of the candidates, without failed ones.
    :param error: why there is no answer; None if there is one.
    :param answered_by: name of the model that answered, if it is not the one that was asked; otherwise None.
    """

    tag: Any
    answers: tuple[T, ...]
    error: FailureReason | None = None
    answered_by: str | None = None


def outcome_of(tag: Any, results: Sequence[T | FailureReason], answered_by: str | None = None) -> LLMOutcome[T]:
    """Return the outcome of a request from the results of its candidates.

    :param tag: of the request.
    :param results: for each candidate, in order, its answer or the reason why there is none.
    :param answered_by: see `LLMOutcome`.
    """
    answers = tuple(result for result in results if not isinstance(result, FailureReason))
    reasons = [result for result in results if isinstance(result, FailureReason)]
    return LLMOutcome(tag, answers, None if answers else reasons[0], answered_by if answers else None)


def expected_completion_tokens(request: LLMRequest[Any], sampling_params: Mapping[str, Any]) -> int:
    """Estimate the tokens of an answer.

    :param request: the request.
    :param sampling_params: sampling parameters; their `max_tokens` or `max_completion_tokens` limits the estimate.
    """
    expected = request.completion_tokens
    if expected is None:
        expected = estimate_tokens(request.messages[-1]["content"]) if request.messages else 0
    cap = completion_cap(sampling_params)
    return expected if cap is None else min(expected, cap)


def completion_cap(sampling_params: Mapping[str, Any]) -> int | None:
    """Return the most tokens of an answer by the sampling parameters; None if they set no limit.

    :param sampling_params: sampling parameters with `max_tokens` or `max_completion_tokens`, also in `extra_body`.
    """
    places = (sampling_params, sampling_params.get("extra_body") or {})
    caps = [place[name] for place in places for name in CAP_PARAMS if isinstance(place.get(name), int)]
    return min(caps, default=None)
