"""Having a language model write merged samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from loguru import logger

from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.conversations import MergeConversation
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.characters import printable
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.dataset.merge_table import Merge, TopicMerges
from mergeit_ops.jobs.merge_run import MergeRun
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest

__all__ = ["LLMMerging"]

_FORM_TOKENS = 32
"""Tokens of the form of an answer, which do not grow with the parents: braces, keys, a fence."""


@dataclass(frozen=True)
class LLMMerging:
    """How a model is asked for merged samples.

    :param engine: asks the model.
    :param model: name of the model, as the recipe has it.
    :param conversation: the messages, and how answers are read.
    :param checks: what an answer must fulfil.
    :param system_prompt: replaces that of the conversation; None keeps it.
    :param num_candidates: answers per group, at least 1.
    :param max_answer_ratio: maximum tokens of an answer, as a multiple of the tokens that it is expected to have; None:
        no limit.
    :param may_use_gpu: whether a local model may run on a GPU.
    """

    engine: LLMEngine
    model: str
    conversation: MergeConversation
    checks: MergeChecks
    system_prompt: str | None = None
    num_candidates: int = 1
    max_answer_ratio: float | None = None
    may_use_gpu: bool = True

    @property
    def in_advance(self) -> int:
        """Return how many requests the engine prepares before it wants an answer."""
        return 2 * self.engine.settings.max_concurrency

    def run(
        self,
        topics: Iterable[TopicMerges],
        work: MergeRun,
        total: Callable[[], int | None],
        more_to_come: bool,
        operator: str,
    ) -> None:
        """Merge the groups of topics.

        :param topics: topics with their groups.
        :param work: opens the topics and takes the merges.
        :param total: returns the number of groups; None as long as it is unknown.
        :param more_to_come: whether further runs belong to the same work.
        :param operator: registry name of the operator, for the log.
        :raises LLMError: see `LLMEngine.run`.
        """
        logger.info(f"{operator}: similar pairs go to {printable(self.model)}.")

        def settle(outcome: LLMOutcome[Sample]) -> None:
            topic, number, prompt_hash = outcome.tag
            error = None if outcome.error is None else str(outcome.error)
            model, prompt = (self.model, prompt_hash) if outcome.answers else (None, None)
            work.settle(topic, number, Merge(outcome.answers, error, model, prompt))

        self.engine.run(self._requests(topics, work), settle, total=total, more_to_come=more_to_come)

    def plan(self, topics: Iterable[TopicMerges], work: MergeRun) -> dict[str, Any]:
        """Leave all groups unmerged; return what a run would take, as `LLMEngine.plan` tells it.

        :param topics: topics with their groups.
        :param work: opens the topics.
        """
        return self.engine.plan(self._planned(topics, work))

    def _planned(self, topics: Iterable[TopicMerges], work: MergeRun) -> Iterator[LLMRequest[Sample]]:
        for request in self._requests(topics, work):
            yield request
            topic, number, _ = request.tag
            work.settle(topic, number, Merge())

    def _requests(self, topics: Iterable[TopicMerges], work: MergeRun) -> Iterator[LLMRequest[Sample]]:
        for topic in topics:
            work.open(topic)
            for number in work.mergeable_groups(topic):
                yield self._request(topic, number)

    def _request(self, topic: TopicMerges, number: int) -> LLMRequest[Sample]:
        parents = topic.samples(topic.groups[number])
        messages = self.conversation.messages(parents, self.system_prompt)
        expected = estimate_tokens(self.conversation.expected_answer(parents))
        ratio = self.max_answer_ratio
        return LLMRequest(
            tag=(topic, number, prompt_sha256(messages)),
            messages=messages,
            parse=self._parser(parents),
            num_candidates=self.num_candidates,
            schema=self.conversation.schema,
            completion_tokens=expected,
            max_tokens=None if ratio is None else ceil(ratio * expected) + _FORM_TOKENS,
        )

    def _parser(self, parents: Sequence[Sample]) -> Callable[[str], Sample]:
        def parse(text: str) -> Sample:
            merged = self.conversation.read(text, parents)
            self.checks.check(merged, parents)
            return merged

        return parse
