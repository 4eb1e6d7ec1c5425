"""Have a language model write merged samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from loguru import logger

from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.conversations import MergeConversation
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.characters import printable
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.dataset.merge_table import ForeseenGroup, Merge, TopicMerges
from mergeit_ops.jobs.merge_judge import Case, MergeJudge
from mergeit_ops.jobs.merge_run import MergeRun, MergeWork, with_system
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest
from mergeit_ops.llm.usage import estimate_messages

__all__ = ["LLMMerging"]

_JUDGED = 200
"""Most merges in the journal that a dry run judges, because the gate's scorer may need seconds for one."""

_FORM_TOKENS = 32
"""Tokens of an answer's form (braces, keys, a fence), which do not grow with the parents."""


@dataclass(frozen=True)
class LLMMerging:
    """Asks a model for merged samples.

    :param engine: asks the model.
    :param model: name of the model in the recipe.
    :param conversation: builds the messages and reads the answers.
    :param checks: conditions that an answer must meet.
    :param system_prompt: system prompt in place of the conversation's; None keeps that one.
    :param num_candidates: answers per group, at least 1.
    :param max_answer_ratio: most tokens of an answer, as a multiple of its expected tokens; None: no limit.
    :param may_use_gpu: whether a local model may use a GPU.
    """

    engine: LLMEngine
    model: str
    conversation: MergeConversation
    checks: MergeChecks
    system_prompt: str | None = None
    num_candidates: int = 1
    max_answer_ratio: float | None = None
    may_use_gpu: bool = True
    _fixed: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def in_advance(self) -> int:
        """Return how many requests the engine prepares before it needs an answer."""
        return 2 * self.engine.settings.max_concurrency

    def run(
        self,
        topics: Iterable[TopicMerges],
        work: MergeWork,
        total: Callable[[], int | None],
        more_to_come: bool,
        operator: str,
    ) -> None:
        """Merge the groups of topics.

        If groups have decisions, all topics are opened before the first of these groups is asked about.

        :param topics: topics with their groups.
        :param work: opens the topics and gets the merges.
        :param total: function that returns the number of groups; None as long as it is unknown.
        :param more_to_come: whether more runs of the same work follow.
        :param operator: the operator's registry name, for the log.
        :raises LLMError: see `LLMEngine.run`.
        """
        logger.info(f"{operator}: similar pairs go to {printable(self.model)}.")
        not_asked: list[int] = []

        def settle(outcome: LLMOutcome[Sample]) -> None:
            topic, number, _ = outcome.tag
            work.settle(topic, number, self._merge(outcome))

        def to_ask() -> int | None:
            known = total()
            return None if known is None else known - len(not_asked)

        self.engine.run(self._requests(topics, work, not_asked), settle, total=to_ask, more_to_come=more_to_come)

    def plan(self, topics: Iterable[TopicMerges], work: MergeRun, judge: MergeJudge | None = None) -> dict[str, Any]:
        """Leave all groups unmerged, and return the plan of a run; see `LLMEngine.plan`.

        :param topics: topics with their groups.
        :param work: opens the topics.
        :param judge: judge of the merges in the journal; None: they are not judged.
        :return: the plan, with `judged` (groups with answers in the journal, up to 200) and `accepted` (accepted merges
            among them).
        """
        found: dict[str, Case] = {}

        def note(outcome: LLMOutcome[Sample]) -> None:
            topic, number, prompt = outcome.tag
            if judge is not None:
                found[prompt] = Case.of(topic, number, with_system(self._merge(outcome), topic, number), work.layout)
            if len(found) > _JUDGED:
                # Chosen by hash, these are a random sample, which is the same in every run.
                del found[max(found)]

        figures = self.engine.plan(self._planned(topics, work), note)
        judged = [] if judge is None else judge.accepted(list(found.values()))
        verdicts = [verdict for verdict in judged if verdict is not None]
        return {**figures, "judged": len(verdicts), "accepted": sum(verdicts)}

    def _merge(self, outcome: LLMOutcome[Sample]) -> Merge:
        error = None if outcome.error is None else str(outcome.error)
        model, prompt = (outcome.answered_by or self.model, outcome.tag[2]) if outcome.answers else (None, None)
        return Merge(outcome.answers, error, model, prompt)

    def _planned(self, topics: Iterable[TopicMerges], work: MergeRun) -> Iterator[LLMRequest[Sample]]:
        for request in self._requests(topics, work, []):
            yield request
            topic, number, _ = request.tag
            work.settle(topic, number, Merge())

    def _requests(
        self, topics: Iterable[TopicMerges], work: MergeWork, not_asked: list[int]
    ) -> Iterator[LLMRequest[Sample]]:
        foreseen: list[tuple[ForeseenGroup, TopicMerges, int]] = []
        for topic in topics:
            work.open(topic)
            for number in work.mergeable_groups(topic):
                group = topic.groups[number]
                if not isinstance(group, ForeseenGroup):
                    yield self.request(topic, number)
                elif group.merge is not None:
                    not_asked.append(number)
                    work.settle(topic, number, group.merge)
                else:
                    foreseen.append((group, topic, number))
        paid = self._paid_for([self.request(topic, number) for group, topic, number in foreseen if group.unlikely])
        for group, topic, number in sorted(foreseen, key=lambda one: one[0].rank):
            if group.unlikely and (id(topic), number) not in paid:
                not_asked.append(number)
                work.settle(topic, number, Merge(error=FailureReason.UNLIKELY.value))
            else:
                yield self.request(topic, number)

    def _paid_for(self, requests: Sequence[LLMRequest[Sample]]) -> set[tuple[int, int]]:
        """Return the groups whose requests the journal answers; leaving them out would save nothing."""
        found: set[tuple[int, int]] = set()

        def note(outcome: LLMOutcome[Sample]) -> None:
            topic, number, _ = outcome.tag
            found.add((id(topic), number))

        if requests:
            self.engine.plan(requests, note)
        return found

    def request(self, topic: TopicMerges, number: int) -> LLMRequest[Sample]:
        """Return the request for the merge of a group.

        :param topic: its topic.
        :param number: of the group.
        """
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
            fixed_tokens=self._fixed_tokens(len(parents)),
        )

    def _fixed_tokens(self, parents: int) -> int:
        """Return the estimated tokens of a request but for the texts of the rows."""
        if parents not in self._fixed:
            empty = [Sample("", "", "")] * parents
            self._fixed[parents] = estimate_messages(self.conversation.messages(empty, self.system_prompt))
        return self._fixed[parents]

    def _parser(self, parents: Sequence[Sample]) -> Callable[[str], Sample]:
        def parse(text: str) -> Sample:
            merged = self.conversation.read(text, parents)
            self.checks.check(merged, parents)
            return merged

        return parse
