"""What scorers that ask the LLM engine have in common: each text once, failures kept, costs on record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest

__all__ = ["LLMScorer"]


class LLMScorer(ABC):
    """Scores rows by asking an engine; its journal keeps the answers, so that nothing is paid for twice.

    A text is asked for once in the life of the scorer, also when it brought no score: what a row gets does not depend
    on how the dataset is cut into batches.

    :param engine: what answers.
    """

    def __init__(self, engine: LLMEngine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[Any, ...] | str] = {}

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        factory = self._engine.backend_factory
        return {**factory.identity(), "sampling_params": dict(factory.sampling_params)}

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
        keys: list[str | None] = []
        requests: dict[str, LLMRequest[Any]] = {}
        for sample in samples:
            if self.blank_reason(sample) is not None:
                keys.append(None)
                continue
            request = self.request(sample)
            key = prompt_sha256(request.messages)
            keys.append(key)
            if key not in self._known:
                requests.setdefault(key, request)

        def settle(outcome: LLMOutcome[Any]) -> None:
            self._known[outcome.tag] = outcome.answers if outcome.error is None else str(outcome.error)

        if requests:
            tagged = (_tagged(request, key) for key, request in requests.items())
            self._engine.run(tagged, settle, total=lambda: len(requests), more_to_come=True)
        return [
            self.blank_reason(sample) or "not_scored" if key is None else self._known[key]
            for sample, key in zip(samples, keys, strict=True)
        ]

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
        """Return what the engine took (see `LLMEngine.figures`), seconds, and rows without an answer by reason."""
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


def _tagged(request: LLMRequest[Any], tag: str) -> LLMRequest[Any]:
    return replace(request, tag=tag)
