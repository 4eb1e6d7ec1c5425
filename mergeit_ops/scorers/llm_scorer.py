"""Shared base of the scorers that ask the LLM engine: they ask about each text once, keep failures and record costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest

__all__ = ["AskingScorer", "LLMScorer"]

A = TypeVar("A")


class AskingScorer(Generic[A]):
    """Base of the scorers that ask an engine. The engine's journal keeps the answers, so that nothing is paid for
    twice.

    A scorer asks about a text only once, even if the request failed. So the result of a row does not depend on how the
    dataset is split into batches.

    :param engine: what answers.
    """

    def __init__(self, engine: LLMEngine) -> None:
        self._engine = engine
        self._known: dict[str, A] = {}

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        factory = self._engine.backend_factory
        return {**factory.identity(), "sampling_params": dict(factory.sampling_params)}

    def ask(self, requests: Mapping[str, LLMRequest[Any]], known: Callable[[LLMOutcome[Any]], A]) -> None:
        """Send requests, and keep their results in `_known`.

        :param requests: each request under its key in `_known`. Requests whose key is there already are not sent again.
        :param known: function that turns an outcome into the result to keep.
        :raises LLMError: see `LLMEngine.run`.
        """
        new = [replace(request, tag=key) for key, request in requests.items() if key not in self._known]

        def settle(outcome: LLMOutcome[Any]) -> None:
            self._known[outcome.tag] = known(outcome)

        if new:
            self._engine.run(iter(new), settle, total=lambda: len(new), more_to_come=True)

    def engines(self) -> Sequence[LLMEngine]:
        """See `PayingScorer`."""
        return [self._engine]

    def finish(self) -> None:
        """Finish the work after the last row.

        :raises TooManyFailuresError: if there are fewer than 20 rows and all of them have failed.
        """
        if self._engine.total.requests:
            self._engine.run((), lambda outcome: None)

    def figures(self) -> Mapping[str, Any]:
        """Return the figures of the engine (see `LLMEngine.figures`), the seconds, and the unanswered requests by
        reason."""
        total = self._engine.total
        if not total.requests:
            return {}
        failed = dict(sorted(total.failures.items()))
        return {
            "requests": total.requests,
            **self._engine.figures(),
            "failed": failed,
            "seconds": round(total.seconds, 3),
        }


class LLMScorer(AskingScorer["tuple[Any, ...] | str"], ABC):
    """Scores rows by one request each."""

    @abstractmethod
    def request(self, sample: Sample) -> LLMRequest[Any]:
        """Return the request about a row; its tag is not used.

        :param sample: row with an instruction and an output.
        """

    @abstractmethod
    def value(self, answers: Sequence[Any]) -> float:
        """Return the score from the answers.

        :param answers: at least one answer, as the request's `parse` returns it.
        """

    def blank_reason(self, sample: Sample) -> str | None:
        """Return why a row cannot be asked about: `empty_response` or `empty_instruction`; None if it can.

        :param sample: the row.
        """
        if not sample.output.strip():
            return "empty_response"
        return None if sample.query.strip() else "empty_instruction"

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows.

        :param samples: n rows. Those with a blank output or question are not asked about.
        :return: n scores. Without a score, the status is `empty_response`, `empty_instruction`, or the engine's reason
            code: `api_failed`, `unparsable`, `truncated`, `refused`, `empty`, `budget`, ...
        :raises LLMUnavailableError: when no call can succeed.
        :raises TooManyFailuresError: when more than `max_failure_ratio` of at least 20 rows have failed.
        """
        found = self.answers(samples)
        return [Score.missing(one) if isinstance(one, str) else Score(self.value(one)) for one in found]

    def answers(self, samples: Sequence[Sample]) -> list[tuple[Any, ...] | str]:
        """Ask about rows.

        :param samples: n rows, as for `score`.
        :return: for each row its answers, at least one, or the reason why there is none.
        """
        keys, requests = self._requests(samples)
        self.ask(requests, _answers_of)
        return [
            self.blank_reason(sample) or "not_scored" if key is None else self._known[key]
            for sample, key in zip(samples, keys, strict=True)
        ]

    def plan(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """See `PlanningScorer`."""
        return self._engine.plan(self._requests(samples)[1].values())

    def _requests(self, samples: Sequence[Sample]) -> tuple[list[str | None], dict[str, LLMRequest[Any]]]:
        """Return the key of each row's request, None for a row that is not asked about, and the requests."""
        keys: list[str | None] = []
        requests: dict[str, LLMRequest[Any]] = {}
        for sample in samples:
            if self.blank_reason(sample) is not None:
                keys.append(None)
                continue
            request = self.request(sample)
            key = prompt_sha256(request.messages)
            keys.append(key)
            requests.setdefault(key, request)
        return keys, requests


def _answers_of(outcome: LLMOutcome[Any]) -> tuple[Any, ...] | str:
    return outcome.answers if outcome.error is None else str(outcome.error)
