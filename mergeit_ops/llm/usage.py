"""The cost of a run: counters, the estimate of a conversation, and a hard budget."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.llm.prices import Prices

__all__ = ["PLANNED_FIGURES", "SpendingLimit", "TokenBudget", "TokenReserve", "Usage", "estimate_messages"]

PLANNED_FIGURES = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "cost")
"""Figures of a plan that are recorded, each as `planned_...`."""

_TOKENS_PER_MESSAGE = 4


@dataclass
class Usage:
    """Counters of one run, or of several added up.

    :param requests: requests that the run took on.
    :param answered: requests with at least one answer.
    :param calls: calls made, counting each attempt.
    :param cache_hits: answers found in the journal.
    :param prompt_tokens: tokens sent, as the server counts them.
    :param completion_tokens: tokens received, as the server counts them.
    :param cached_prompt_tokens: tokens sent that the server had in its cache, if it reports them.
    :param lost_prompt_tokens: estimated tokens of lost calls, for which a server may charge.
    :param estimated_calls: answered calls without reported usage, for which estimates were added.
    :param failures: requests without an answer, by reason code.
    :param retries: calls made again after a failed call.
    :param reasks: calls made again because an answer could not be used.
    :param cache_write_failures: answers that could not be stored.
    :param kept: answers to these requests that are in the journal.
    :param last_errors: the last error of each reason, by reason code, in the server's words.
    :param answered_as: number of answers by the model that the server names, if it differs from the requested one.
    :param batches: batches submitted.
    :param resubmitted: requests of batches that had no answer and were submitted again, by their outcome.
    :param seconds: wall time.
    """

    requests: int = 0
    answered: int = 0
    calls: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    lost_prompt_tokens: int = 0
    estimated_calls: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    reasks: int = 0
    cache_write_failures: int = 0
    kept: int = 0
    last_errors: dict[str, str] = field(default_factory=dict)
    answered_as: dict[str, int] = field(default_factory=dict)
    batches: int = 0
    resubmitted: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def total_tokens(self) -> int:
        """Tokens sent and received."""
        return self.prompt_tokens + self.completion_tokens

    def cost(self, prices: Prices) -> float:
        """Return what the tokens cost.

        :param prices: of the model.
        """
        return prices.cost(self.prompt_tokens, self.completion_tokens, self.cached_prompt_tokens)

    def count_failure(self, reason: str, words: str | None = None) -> None:
        """Add one request without an answer.

        :param reason: the reason code.
        :param words: message of the server; None without one.
        """
        self.failures[reason] = self.failures.get(reason, 0) + 1
        if words:
            self.last_errors[reason] = words

    def add(self, other: Usage) -> None:
        """Add the counters of another run.

        :param other: not changed.
        """
        for item in fields(self):
            if item.name not in ("failures", "last_errors", "answered_as", "resubmitted"):
                setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))
        for counted in ("failures", "answered_as", "resubmitted"):
            mine = getattr(self, counted)
            for name, count in getattr(other, counted).items():
                mine[name] = mine.get(name, 0) + count
        self.last_errors |= other.last_errors

    def as_dict(self) -> dict[str, Any]:
        """Return the counters as plain data, failures sorted by reason."""
        counters = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**counters, "failures": dict(sorted(self.failures.items()))}


def estimate_messages(messages: Sequence[Mapping[str, str]]) -> int:
    """Estimate the prompt tokens of a conversation.

    :param messages: chat turns with `role` and `content`.
    """
    return sum(estimate_tokens(turn["content"]) + _TOKENS_PER_MESSAGE for turn in messages)


@dataclass
class TokenReserve:
    """The tokens to reserve for a call: the estimate, corrected upward by what calls have actually used.

    :param largest_completion: tokens of the longest answer so far.
    :param prompt_ratio: largest ratio of a prompt's tokens to their estimate so far, at least 1.
    """

    largest_completion: int = 0
    prompt_ratio: float = 1.0

    def prompt(self, estimate: int) -> int:
        """Return the tokens to reserve for a prompt.

        :param estimate: result of `estimate_messages`.
        """
        return math.ceil(estimate * self.prompt_ratio)

    def completion(self, expected: int, cap: int | None, doublings: int = 0) -> int:
        """Return the tokens to reserve for an answer. This is also its limit, if the server can be given one.

        :param expected: the estimate; twice as much is reserved.
        :param cap: the recipe's own limit of an answer; None if it sets none.
        :param doublings: number of times that an answer to this request was cut off.
        """
        room = 2 * expected * 2**doublings if cap is None else cap
        return max(1, room, self.largest_completion)

    def learn(self, prompt_estimate: int, prompt: int, completion: int) -> None:
        """Record the tokens of a call.

        :param prompt_estimate: result of `estimate_messages`.
        :param prompt: tokens of the prompt.
        :param completion: tokens of the answer.
        """
        self.prompt_ratio = max(self.prompt_ratio, prompt / max(1, prompt_estimate))
        self.largest_completion = max(self.largest_completion, completion)

    def add(self, other: TokenReserve) -> None:
        """Record the tokens of other calls to the same server.

        :param other: not changed.
        """
        self.prompt_ratio = max(self.prompt_ratio, other.prompt_ratio)
        self.largest_completion = max(self.largest_completion, other.largest_completion)


class SpendingLimit(Protocol):
    """The stage's interface to a token limit; see `TokenBudget`."""

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        ...

    async def reserve(self, tokens: int) -> bool:
        """Reserve tokens; False if the request must not be sent."""
        ...

    async def overdrawn(self) -> bool:
        """Return whether what is spent and reserved no longer fits."""
        ...

    def lose(self, tokens: int) -> None:
        """Count tokens of a call that brought nothing."""
        ...

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve by the request's actual use."""
        ...


class TokenBudget:
    """A limit of the tokens of a run. Tokens are reserved before a request is sent, and replaced by its actual use.

    The limit holds as long as no call uses more than its reserve. A call that does exceeds the limit by at most the
    difference, because nothing more is sent until all reserves fit again.

    :param limit: tokens in all, at least 1; None for no limit.
    :param spent: tokens that earlier runs spent of the same budget.
    """

    def __init__(self, limit: int | None, spent: int = 0) -> None:
        self._limit = limit
        self._spent = spent
        self._reserved = 0
        self._settled: asyncio.Event = asyncio.Event()

    @property
    def spent(self) -> int:
        """Tokens settled so far."""
        return self._spent

    @property
    def left(self) -> int | None:
        """Tokens that are neither spent nor reserved, below 0 if calls used more than their reserves; None without a
        limit."""
        return None if self._limit is None else self._limit - self._spent - self._reserved

    async def reserve(self, tokens: int) -> bool:
        """Reserve tokens; wait for requests in flight if their reserves may turn out too large.

        :param tokens: the estimate for one request.
        :return: whether they fit; if False, the request must not be sent.
        """
        while (fits := self.reserve_now(tokens)) is None:
            self._settled.clear()
            await self._settled.wait()
        return fits

    def reserve_now(self, tokens: int) -> bool | None:
        """Reserve tokens if they fit, without waiting.

        :param tokens: the estimate for one request.
        :return: whether they fit; None if they may fit after the reserves are settled.
        """
        if self._limit is not None:
            if self._spent + tokens > self._limit:
                return False
            if self._spent + self._reserved + tokens > self._limit:
                return None
            self._reserved += tokens
        return True

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._limit is not None

    async def overdrawn(self) -> bool:
        """Return whether spent and reserved tokens exceed the limit because calls used more than their reserves."""
        return self.left is not None and self.left < 0

    def lose(self, tokens: int) -> None:
        """Count the tokens of a call without a result, in addition to its reserve.

        :param tokens: the estimate.
        """
        self._spent += tokens

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve by the request's actual use.

        :param reserved: the number given to `reserve`.
        :param used: tokens that the request used; 0 if it failed.
        """
        if self._limit is not None:
            self._reserved -= reserved
        self._spent += used
        self._settled.set()
