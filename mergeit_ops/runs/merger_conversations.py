"""Accepted merges of a finished run, as the conversations that asked for them, with their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.merging.conversations import CONVERSATIONS, MergeConversation
from mergeit_ops.core.merging.prompts import Message, prompt_sha256
from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import sample_digest
from mergeit_ops.core.sample import Sample
from mergeit_ops.runs.recipe_steps import MERGER
from mergeit_ops.runs.rows import ExportRow
from mergeit_ops.runs.run import FinishedRun
from mergeit_ops.runs.stages import stages_of

_Asked = tuple[MergeConversation, str | None]


class LeftOut(str, Enum):
    """Why there is no conversation for an accepted merge."""

    NO_MODEL = "joined without a model (merge_strategy: concat)"
    OTHER_PROMPT = "asked for with another prompt than the one rebuilt from its parents"
    CHANGED = "changed after the merge, or with an answer that the merger would not read"
    NO_RATIO = "without a quality ratio"
    LOW_RATIO = "with a quality ratio below the minimum"


@dataclass(frozen=True)
class MergerConversation:
    """The question to the merging model, and its answer.

    :param row_id: row id of the merged row.
    :param topic_id: topic of the merged row.
    :param model: the model that answered.
    :param prompt: the chat turns that were sent.
    :param answer: the JSON object that the prompt asks for, with the merged row or its instruction.
    :param proved: whether the prompt has the same hash as the one that was sent.
    """

    row_id: str
    topic_id: int
    model: str
    prompt: tuple[Message, ...]
    answer: str
    proved: bool = True

    @property
    def messages(self) -> tuple[Message, ...]:
        """Return prompt and answer as one conversation."""
        return (*self.prompt, {"role": "assistant", "content": self.answer})


def merger_conversations(
    run: FinishedRun, *, min_ratio: float | None = None, any_prompt: bool = False
) -> Iterator[MergerConversation | LeftOut]:
    """Yield a conversation for each accepted merge of a run, or why there is none, in the order of the export.

    Prompts are rebuilt from the parents and the system prompt in the run's records, and compared with the hash in each
    merge. Answers are written from the merged rows, not taken from the journal of answers: a model's reply may be in a
    code fence, contain reasoning or be only nearly JSON, and the journal may be gone. Each answer, read like in the
    merger, gives the merged row.

    :param run: the run.
    :param min_ratio: lowest quality ratio of a merge; None: any.
    :param any_prompt: whether merges that were asked for with another prompt are included too, with the rebuilt prompt.
    :raises DatasetError: if a row cannot be read, or the layout of the samples is unknown.
    """
    layout = run.layout()
    asked = [_asked(record.get("parameters") or {}) for record in run.of_kind(MERGER)]
    digests = {row_id: merge.text for stage in stages_of(run.records) for row_id, merge in stage.merges.items()}
    for row in run.rows():
        if row.lineage.status == lineage.MERGED:
            ratio = row.quality.ratio
            if min_ratio is not None and (ratio is None or not ratio >= min_ratio):
                yield LeftOut.NO_RATIO if ratio is None else LeftOut.LOW_RATIO
            else:
                found = _conversation(row, layout, asked or [_asked({})], digests)
                yield found if isinstance(found, LeftOut) or found.proved or any_prompt else LeftOut.OTHER_PROMPT


def _asked(parameters: Mapping[str, Any]) -> _Asked:
    """Return how a merger asked its model: the conversation of its strategy and style, and its system prompt."""
    # Merges without a model have no hash of a prompt, so any conversation will do here.
    styles = CONVERSATIONS.get(parameters.get("merge_strategy", "llm"), CONVERSATIONS["llm"])
    return styles[parameters.get("prompt_style", "worked")], parameters.get("system_prompt")


def _conversation(
    row: ExportRow, layout: SampleFormat, asked: Sequence[_Asked], digests: Mapping[str, str | None]
) -> MergerConversation | LeftOut:
    row_id, sent = row.lineage.row_id or "", row.lineage.meta.get(lineage.PROMPT_SHA256)
    if sent is None:
        return LeftOut.NO_MODEL
    parents = [layout.read(parent).sample for parent in row.parents]
    merged = layout.read(row.content).sample
    is_as_recorded = digests.get(row_id) in (None, sample_digest(merged))
    if len(parents) < 2 or not is_as_recorded:
        return LeftOut.CHANGED
    # The last merger comes first, because a student would be used with its prompt.
    rebuilt = [(conversation, conversation.messages(parents, prompt)) for conversation, prompt in reversed(asked)]
    proved = [part for part in rebuilt if prompt_sha256(part[1]) == sent]
    conversation, prompt = (proved or rebuilt)[0]
    answer = conversation.answer(merged)
    if not _is_read(conversation, answer, merged, parents):
        return LeftOut.CHANGED
    return MergerConversation(
        row_id=row_id,
        topic_id=row.lineage.topic_id or 0,
        model=row.lineage.model or "",
        prompt=prompt,
        answer=answer,
        proved=bool(proved),
    )


def _is_read(conversation: MergeConversation, answer: str, merged: Sample, parents: list[Sample]) -> bool:
    try:
        return replace(conversation.read(answer, parents), system=merged.system) == merged
    except ReplyError:
        return False
