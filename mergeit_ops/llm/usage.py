"""What a run costs: counters, the estimate of a conversation, and a hard budget."""

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
"""Figures of a plan that go into a record, each as `planned_...`."""

_TOKENS_PER_MESSAGE = 4


@dataclass
class Usage:
    """Counters of one run, or of several added up.

    :param requests: accepted requests.
    :param answered: requests with at least one answer.
    :param calls: calls made, each attempt counted.
    :param cache_hits: answers found in the journal.
    :param prompt_tokens: tokens sent, as the server counts them.
    :param completion_tokens: tokens received, as the server counts them.
    :param cached_prompt_tokens: those of the tokens sent that the server had in its cache, as far as it tells.
    :param lost_prompt_tokens: estimated tokens of lost calls, for which a server may charge.
    :param estimated_calls: answered calls whose server reported no usage, so that estimates were added instead.
    :param failures: requests without an answer, by reason code.
    :param retries: calls made again after a failed call.
    :param reasks: calls made again because an answer could not be used.
    :param cache_write_failures: answers that could not be stored.
    :param kept: answers to these requests that the journal holds.
    :param last_errors: the last error of each reason, by reason code, in the server's words.
    :param answered_as: answers by the model that the server names, if it differs from the requested one.
    :param batches: batches submitted.
    :param resubmitted: requests of batches that came back without an answer and were submitted again, by what became
        of them.
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
        :param words: what the server said; None when it said nothing.
        """
        self.failures[reason] = self.failures.get(reason, 0) + 1
        if words:
            self.last_errors[reason] = words

    def add(self, other: Usage) -> None:
        """Add the counters of another run.

        :param other: stays as it is.
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
    """Estimate how many prompt tokens a conversation is.

    :param messages: chat turns with `role` and `content`.
    """
    return sum(estimate_tokens(turn["content"]) + _TOKENS_PER_MESSAGE for turn in messages)


@dataclass
class TokenReserve:
    """What to set aside for a call: the estimate, corrected upwards by what calls have really taken.

    :param largest_completion: tokens of the longest answer so far.
    :param prompt_ratio: how many times its estimate a prompt has taken at most, at least 1.
    """

    largest_completion: int = 0
    prompt_ratio: float = 1.0

    def prompt(self, estimate: int) -> int:
        """Return the tokens to set aside for a prompt.

        :param estimate: by `estimate_messages`.
        """
        return math.ceil(estimate * self.prompt_ratio)

    def completion(self, expected: int, cap: int | None, doublings: int = 0) -> int:
        """Return the tokens to set aside for an answer, which are those it may have where the server can be told.

        :param expected: the estimate; twice as much is set aside.
        :param cap: what the recipe itself bounds answers by; None when it does not.
        :param doublings: how often an answer to this request was cut off.
        """
        room = 2 * expected * 2**doublings if cap is None else cap
        return max(1, room, self.largest_completion)

    def learn(self, prompt_estimate: int, prompt: int, completion: int) -> None:
        """Take note of what a call has taken.

        :param prompt_estimate: by `estimate_messages`.
        :param prompt: tokens of the prompt.
        :param completion: tokens of the answer.
        """
        self.prompt_ratio = max(self.prompt_ratio, prompt / max(1, prompt_estimate))
        self.largest_completion = max(self.largest_completion, completion)

    def add(self, other: TokenReserve) -> None:
        """Take note of what other calls to the same server have taken.

        :param other: stays as it is.
        """
        self.prompt_ratio = max(self.prompt_ratio, other.prompt_ratio)
        self.largest_completion = max(self.largest_completion, other.largest_completion)


class SpendingLimit(Protocol):
    """What the stage asks of a bound on tokens; see `TokenBudget`."""

    @property
    def limited(self) -> bool:
        """Whether there is a bound."""
        ...

    async def reserve(self, tokens: int) -> bool:
        """Set tokens aside; False: the request must not be sent."""
        ...

    async def overdrawn(self) -> bool:
        """Return whether what is spent and reserved no longer fits."""
        ...

    def lose(self, tokens: int) -> None:
        """Count tokens of a call that brought nothing."""
        ...

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve by what the request took."""
        ...


class TokenBudget:
    """A bound on the tokens of a run: reserved before a request is sent, settled with what it really took.

    The bound holds as long as no call takes more than its reserve. One that does passes it by at most the difference:
    nothing more is sent until all that is reserved fits again.

    :param limit: tokens in all, at least 1; None is no bound.
    :param spent: tokens that earlier runs took from the same budget.
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

    async def reserve(self, tokens: int) -> bool:
        """Set tokens aside, waiting for requests in flight where their reserve may turn out too large.

        :param tokens: the estimate for one request.
        :return: whether they fit; False means that the request must not be sent.
        """
        while (fits := self.reserve_now(tokens)) is None:
            self._settled.clear()
            await self._settled.wait()
        return fits

    def reserve_now(self, tokens: int) -> bool | None:
        """Set tokens aside if they fit, without waiting.

        :param tokens: the estimate for one request.
        :return: whether they fit; None if they may fit once what is reserved is settled.
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
        """Whether there is a bound."""
        return self._limit is not None

    async def overdrawn(self) -> bool:
        """Return whether what is spent and reserved no longer fits: calls took more than was set aside for them."""
        return self._limit is not None and self._spent + self._reserved > self._limit

    def lose(self, tokens: int) -> None:
        """Count tokens of a call that brought nothing, beside its reserve.

        :param tokens: the estimate.
        """
        self._spent += tokens

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve by what the request took.

        :param reserved: the number given to `reserve`.
        :param used: tokens the request took; 0 when it failed.
        """
        if self._limit is not None:
            self._reserved -= reserved
        self._spent += used
        self._settled.set()
