"""What scorers that ask the LLM engine have in common: each text once, failures kept, costs on record."""

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
    """What all scorers have that ask an engine; its journal keeps the answers, so that nothing is paid for twice.

    A text is asked for once in the life of the scorer, also when it brought nothing: what a row gets does not depend
    on how the dataset is cut into batches.

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
        """Have `_known` hold what becomes of requests.

        :param requests: each under the key that `_known` has it by. Those that it holds already are not asked again.
        :param known: makes what is kept of an outcome.
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
        """Hear that there are no more rows.

        :raises TooManyFailuresError: when all of fewer than 20 rows have failed.
        """
        if self._engine.total.requests:
            self._engine.run((), lambda outcome: None)

    def figures(self) -> Mapping[str, Any]:
        """Return what the engine took (see `LLMEngine.figures`), seconds, and requests without an answer by reason."""
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
        """Return what to ask about a row; its tag is not used.

        :param sample: with an instruction and an output.
        """

    @abstractmethod
    def value(self, answers: Sequence[Any]) -> float:
        """Return the score that answers make.

        :param answers: at least one, as the request's `parse` gives them.
        """

    def blank_reason(self, sample: Sample) -> str | None:
        """Return why there is nothing to ask about a row: `empty_response` or `empty_instruction`; None when there is.

        :param sample: the row.
        """
        if not sample.output.strip():
            return "empty_response"
        return None if sample.query.strip() else "empty_instruction"

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows.

        :param samples: n rows. Those with a blank output or question are not asked about.
        :return: n scores. Where there is none the status is `empty_response`, `empty_instruction`, or the engine's
            reason code: `api_failed`, `unparsable`, `truncated`, `refused`, `empty`, `budget`, ...
        :raises LLMUnavailableError: when no call can succeed.
        :raises TooManyFailuresError: when more than `max_failure_ratio` of at least 20 rows have failed.
        """
        found = self.answers(samples)
        return [Score.missing(one) if isinstance(one, str) else Score(self.value(one)) for one in found]

    def answers(self, samples: Sequence[Sample]) -> list[tuple[Any, ...] | str]:
        """Ask about rows.

        :param samples: n rows, as for `score`.
        :return: for each the answers, at least one, or why there is none.
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
        """Return for each row the key of its request, None for a row that is not asked about; and the requests."""
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
