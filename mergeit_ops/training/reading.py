"""Reading sets to train on, without the rows that have the question of a held-out row."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mergeit_ops.compare.reading import readings
from mergeit_ops.core.columns import META, is_content
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.exchanges import whole_responses
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import content_digest, number_duplicates
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.conversations import Conversation, conversation_with_calls

__all__ = ["TrainingSet", "question_of", "read_training_set"]


@dataclass
class TrainingSet:
    """The rows of a file that can be trained on.

    :param path: path of the file or folder.
    :param rows: number of all rows of the file.
    :param samples: the n rows with a question and an answer. A reasoning trace stands before its answer.
    :param ids: n row ids: a hash of the texts, and an ordinal for rows with the same texts.
    :param without_text: number of rows without a question or an answer.
    :param asks_held_out: number of rows that are left out because they, or a parent of a merged row, have the question
        of a held-out row.
    :param conversations: for each of the n rows, its conversation with tool calls, or None if it has no calls.
    :param more_than_text: number of rows with parts other than text that cannot be read. The student trains on their
        texts only.
    """

    path: Path
    rows: int = 0
    samples: list[Sample] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    conversations: list[Conversation | None] = field(default_factory=list)
    without_text: int = 0
    asks_held_out: int = 0
    more_than_text: int = 0

    @property
    def digest(self) -> str:
        """Return a hash of the rows that does not depend on their order."""
        return hashlib.sha256("\n".join(sorted(self.ids)).encode()).hexdigest()[:20]


def read_training_set(
    path: Path, layout: Mapping[str, Any] | None = None, held_out: Set[str] = frozenset()
) -> TrainingSet:
    """Read a file or a folder.

    :param path: see `mergeit_ops.compare.reading.read_set`.
    :param layout: parameters of `resolve_format`; None: the columns tell the format.
    :param held_out: results of `question_of` for the held-out rows. Rows with one of these questions are left out.
    :raises DatasetError: if the file cannot be read, or no row is left.
    """
    found = TrainingSet(path)
    digests = []
    for row, reading in readings(path, layout):
        found.rows += 1
        if reading is None:
            found.without_text += 1
            continue
        if held_out and not held_out.isdisjoint(_questions(row, reading.sample, layout)):
            found.asks_held_out += 1
            continue
        more = reading.problem == "more_than_text"
        conversation = conversation_with_calls(row) if more else None
        found.more_than_text += more and conversation is None
        sample = whole_responses(reading.sample)
        found.samples.append(sample)
        found.conversations.append(conversation)
        # Rows with the same texts can have different tool calls.
        calls = {} if conversation is None else {"turns": list(conversation.turns), "tools": list(conversation.tools)}
        digests.append(content_digest({**sample.content, **calls}))
    if not found.samples:
        raise DatasetError(
            f"{path}: no row can be trained on. Rows without a question or an answer: {found.without_text:,}. Rows "
            f"with the question of a held-out row: {found.asks_held_out:,}."
        )
    found.ids = number_duplicates(digests, Counter())
    return found


def question_of(sample: Sample) -> str:
    """Return the question of a row without case and spacing. A copy with another answer has the same question."""
    return " ".join(sample.query.casefold().split())


def _questions(row: Mapping[str, Any], sample: Sample, layout: Mapping[str, Any] | None) -> Iterator[str]:
    yield question_of(sample)
    for parent in _parents(row):
        columns = [name for name in parent if is_content(name)]
        parameters = {"name": "auto", **(layout or {})}
        try:
            known = resolve_format(parameters.pop("name"), columns, **parameters)
        except ValueError:
            continue
        yield question_of(known.read(parent).sample)
        yield from _questions_of_parents(parent, layout)


def _questions_of_parents(row: Mapping[str, Any], layout: Mapping[str, Any] | None) -> Sequence[str]:
    return list(_questions(row, Sample("", "", ""), layout))[1:]


def _parents(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    meta = row.get(META)
    texts = meta.get(lineage.PARENTS) if isinstance(meta, Mapping) else None
    for text in texts or ():
        try:
            yield decode_row(text)
        except (ValueError, TypeError):
            continue
