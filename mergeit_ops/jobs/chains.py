"""Chains of questions under way: an answer leads to the next question of its chain, or to its end."""

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
    """What became of a sample.

    :param new: what its chain has made of it; None: a question had no answer.
    :param error: why it had none.
    :param prompt_sha256: hash of the first question.
    :param answered_by: the model that gave its last answer, if it is another than the one asked for; None else.
    """

    new: Sample | None = None
    error: str | None = None
    prompt_sha256: str = ""
    answered_by: str | None = None


class RunningChains:
    """Chains, each at some question or at its end.

    :param chains: by the sample that each is about.

    `ends` maps each sample whose chain has ended to what became of it.
    """

    def __init__(self, chains: Mapping[Sample, Chain]) -> None:
        self._chains = chains
        self._prompts: dict[Sample, str] = {}
        self.ends: dict[Sample, ChainEnd] = {}

    def first_questions(self) -> Iterator[tuple[Sample, ChainCall]]:
        """Yield the first question of each chain, in order. A chain without one ends at once."""
        for sample in self._chains:
            question = self._sent(sample, None)
            if question is not None:
                yield sample, question

    def next_question(self, outcome: LLMOutcome[Any]) -> ChainCall | None:
        """Return the question that an answer leads to; None if its chain is at its end.

        :param outcome: of a question; its tag is the sample.
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
