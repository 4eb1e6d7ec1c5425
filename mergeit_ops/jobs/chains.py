"""Running chains of questions: each answer leads to the next question of its chain, or ends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.rewriting.chains import Chain, ChainCall
from mergeit_ops.core.sample import Sample
from mergeit_ops.llm.requests import LLMOutcome

__all__ = ["ChainEnd", "RunningChains"]


@dataclass(frozen=True)
class ChainEnd:
    """The outcome of a sample.

    :param new: the sample that its chain has made; None if a question had no answer.
    :param error: why there was no answer.
    :param prompt_sha256: hash of the first question.
    :param answered_by: the model that gave its last answer, if it is another than the one asked for; None else.
    """

    new: Sample | None = None
    error: str | None = None
    prompt_sha256: str = ""
    answered_by: str | None = None


class RunningChains:
    """Chains, each at a question or at its end.

    :param chains: the chain of each sample.

    `ends` maps each sample whose chain has ended to its outcome.
    """

    def __init__(self, chains: Mapping[Sample, Chain]) -> None:
        self._chains = chains
        self._prompts: dict[Sample, str] = {}
        self.ends: dict[Sample, ChainEnd] = {}

    def first_questions(self) -> Iterator[tuple[Sample, ChainCall]]:
        """Yield the first question of each chain, in order. A chain without a question ends at once."""
        for sample in self._chains:
            question = self._sent(sample, None)
            if question is not None:
                yield sample, question

    def next_question(self, outcome: LLMOutcome[Any]) -> ChainCall | None:
        """Return the next question after an answer; None if the chain has ended.

        :param outcome: outcome of a question; its tag is the sample.
        """
        if outcome.error is None:
            return self._sent(outcome.tag, outcome.answers[0], outcome.answered_by)
        self.ends[outcome.tag] = ChainEnd(error=str(outcome.error))
        return None

    def _sent(self, sample: Sample, answer: Any, answered_by: str | None = None) -> ChainCall | None:
        try:
            question = self._chains[sample].send(answer)
        except StopIteration as end:
            self.ends[sample] = ChainEnd(
                end.value, prompt_sha256=self._prompts.get(sample, ""), answered_by=answered_by
            )
            return None
        self._prompts.setdefault(sample, prompt_sha256(question.messages))
        return question
