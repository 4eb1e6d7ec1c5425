"""Turn a topic and its merges into flat rows with lineage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import EMBEDDING, META, STATS, is_carried, is_content
from mergeit_ops.core.formats import Reading, SampleFormat
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.rows import lineage, rewrites
from mergeit_ops.core.rows.identity import base_id, content_digests, exact_digest, group_id, sample_digest
from mergeit_ops.core.rows.lossless import UnencodableError, decode_row, encode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.emptied_columns import emptied
from mergeit_ops.dataset.tables import (
    JSON,
    TEXT,
    arrow_array,
    inexact_columns,
    json_array,
    loses_nanoseconds,
    python_columns,
    python_rows,
)
from mergeit_ops.dataset.topics import Topic


@dataclass(frozen=True)
class Merge:
    """The outcome of a group.

    :param answers: merged samples, the preferred one first; empty if the merge failed.
    :param error: reason code if it failed, otherwise None.
    :param model: the model that wrote it, or the strategy's name.
    :param prompt_sha256: hash of the prompt that asked for it, or None.
    """

    answers: tuple[Sample, ...] = ()
    error: str | None = None
    model: str | None = None
    prompt_sha256: str | None = None


@dataclass(frozen=True)
class ForeseenGroup(Group):
    """A group with a decision before the other groups of its topic are asked about.

    :param merge: its outcome; None if there is none yet.
    :param rank: its place among all groups of the run; groups with lower ranks are asked about first.
    :param unlikely: whether an accepted merge is too unlikely to pay for.
    """

    merge: Merge | None = None
    rank: int = 0
    unlikely: bool = False


_FEW = 20
_DERIVED = "derived_columns"

MergeRecord = dict[str, Any]
"""The record of a merged row: its parents' row ids, and digests of its text and its columns."""


def merge_record(
    parent_ids: Sequence[str], merged: Sample, row: Mapping[str, Any], inexact: Collection[str]
) -> MergeRecord:
    """Return the record of a merged row, which identifies it in the export.

    :param parent_ids: row ids of its parents.
    :param merged: the row as the layout reads it.
    :param row: its columns.
    :param inexact: the columns that some form of export does not preserve exactly.
    """
    return {"parents": list(parent_ids), "text": sample_digest(merged), "row": exact_digest(row, inexact)}


@dataclass
class TopicMerges:
    """A topic, its groups, and the merges so far.

    :param topic: the topic.
    :param row_ids: row id of each sample.
    :param readings: the samples as read by the layout.
    :param groups: disjoint groups of positions.
    :param merges: maps the number of a group to its outcome.
    :param keep_embeddings: whether parents keep their embeddings, to have them when they are restored.
    """

    topic: Topic
    row_ids: Sequence[str]
    readings: Sequence[Reading]
    groups: Sequence[Group] = ()
    merges: dict[int, Merge] = field(default_factory=dict)
    keep_embeddings: bool = False

    def __post_init__(self) -> None:
        table = self.topic.table
        self.carried = [name for name in table.column_names if is_carried(name)]
        content = [table.schema.field(name) for name in table.column_names if is_content(name)]
        self.inexact = inexact_columns(pa.schema(content))
        metas = [row[META] or {} for row in python_rows(table.select([META]))] if META in table.column_names else None
        self._metas: Sequence[Mapping[str, Any]] = metas or [{}] * table.num_rows
        self._parents: dict[int, list[str]] = {}

    @property
    def complete(self) -> bool:
        """Return whether every group has its outcome."""
        return len(self.merges) == len(self.groups)

    def contents(self) -> dict[str, str]:
        """Return digests of the rows whose ids do not prove their content in every export format.

        These are the rows with values that an export may round, and rows that had an id in the dataset.

        :return: `exact_digest` by row id; empty if the ids are enough.
        """
        names = [name for name in self.topic.table.column_names if is_content(name)]
        columns = self.topic.table.select(names)
        if not self.inexact and self._ids_are_digests(columns):
            return {}
        rows = python_rows(columns)
        return {row_id: exact_digest(row, self.inexact) for row_id, row in zip(self.row_ids, rows, strict=True)}

    def _ids_are_digests(self, columns: pa.Table) -> bool:
        # A few rows are enough, because either the dataset had ids, or the grouper made all of them.
        few = columns.slice(0, _FEW)
        digests = content_digests(python_columns(few), few.num_rows)
        found = [base_id(row_id) for row_id in self.row_ids]
        return None not in found and found[: len(digests)] == digests

    def samples(self, group: Group) -> list[Sample]:
        """Return a group's samples."""
        return [self.readings[position].sample for position in group.members]

    def rows(self, group: Group, also: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return a group's rows as Python values, with the carried columns and further ones by name."""
        return python_rows(self.topic.table.select([*self.carried, *also]).take(pa.array(group.members)))

    def rows_of(self, groups: Sequence[Group]) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of some groups, with the carried columns, taken from the table at once."""
        members = [position for group in groups for position in group.members]
        rows = iter(python_rows(self.topic.table.select(self.carried).take(pa.array(members, pa.int64()))))
        return (list(islice(rows, len(group.members))) for group in groups)

    def encode_parents(self, number: int) -> None:
        """Encode a group's complete rows as text, with the metadata to restore them.

        :raises UnencodableError: if a row has no lossless text form. The group must not be merged then.
        """
        group = self.groups[number]
        if any(loses_nanoseconds(self.topic.table.schema.field(name).type) for name in self.carried):
            raise UnencodableError("A column of times of day in nanoseconds has no lossless text form.")
        embedding = [EMBEDDING] if self.keep_embeddings and EMBEDDING in self.topic.table.column_names else []
        self._parents[number] = [
            encode_row(row | {META: self._original_meta(position)})
            for row, position in zip(self.rows(group, embedding), group.members, strict=True)
        ]

    def _original_meta(self, position: int, **more: Any) -> dict[str, Any]:
        before = self._metas[position]
        own = lineage.lineage(topic_id=self.topic.topic_id, row_id=self.row_ids[position], row_order=position, **more)
        meta = {**before, **own, lineage.HISTORY: lineage.history(before)}
        if not meta[lineage.HISTORY]:
            # On Ray, the key exists and is null before a first merge.
            del meta[lineage.HISTORY]
        return meta

    def unmerged(self) -> tuple[list[int], list[dict[str, Any]]]:
        """Return positions and metadata of the samples that stay as they are."""
        group_of = {position: number for number, group in enumerate(self.groups) for position in group.members}
        positions, metas = [], []
        for position in range(self.topic.table.num_rows):
            number = group_of.get(position)
            if number is None:
                metas.append(self._original_meta(position, error=self.readings[position].problem))
            elif self.merges[number].answers:
                continue
            else:
                metas.append(
                    self._original_meta(
                        position,
                        group_id=self.id_of(number),
                        similarity=self.groups[number].similarity,
                        error=self.merges[number].error,
                    )
                )
            positions.append(position)
        return positions, metas

    def id_of(self, number: int) -> str:
        """Return the id of a group."""
        return group_id([self.row_ids[position] for position in self.groups[number].members])

    def merged_meta(self, number: int, candidates: Sequence[str]) -> dict[str, Any]:
        """Return the metadata of a group's merged row.

        :param number: of the group.
        :param candidates: the other answers as text.
        """
        group, merge = self.groups[number], self.merges[number]
        parent_ids = [self.row_ids[position] for position in group.members]
        own = lineage.lineage(
            topic_id=self.topic.topic_id,
            # The id of a new row: it differs from those of its parents, and is the same in every run that merges them.
            row_id=f"merge-{self.id_of(number)}",
            row_order=group.members[0],
            status=lineage.MERGED,
            group_id=self.id_of(number),
            parents=self._parents[number],
            parent_ids=parent_ids,
            candidates=list(candidates),
            similarity=group.similarity,
            model=merge.model,
            prompt_sha256=merge.prompt_sha256,
        )
        common = agreed([self._metas[position] for position in group.members], missing_is_null=False)
        # Each parent keeps its own history, and its content before it was rewritten.
        for key in (lineage.HISTORY, *rewrites.KEYS):
            common.pop(key, None)
        return common | own


def encode_sample(sample: Sample, **more: Any) -> str:
    """Return a sample as text, with more fields if there are any."""
    return encode_row({"instruction": sample.instruction, "input": sample.input, "output": sample.output, **more})


def encode_candidate(sample: Sample, derived: Mapping[str, str]) -> str:
    """Return another answer as text, for the gate.

    :param sample: the answer.
    :param derived: the derived columns that its row would have.
    """
    return encode_sample(sample, **({_DERIVED: dict(derived)} if derived else {}))


def decode_candidate(text: str, system: str) -> tuple[Sample, dict[str, str]]:
    """Return another answer and its derived columns; the inverse of `encode_candidate`.

    :param text: the answer.
    :param system: system prompt of the merge, which all answers share.
    """
    fields = decode_row(text)
    derived = fields.pop(_DERIVED, {})
    return Sample(**fields, system=system), derived


def agreed(rows: Sequence[Mapping[str, Any]], missing_is_null: bool = True) -> dict[str, Any]:
    """Return the values that all rows share, key by key.

    :param rows: at least one.
    :param missing_is_null: whether a key with different values stays, with None.
    """
    common = {key: value for key, value in rows[0].items() if all(key in row and row[key] == value for row in rows)}
    return {key: common.get(key) for key in rows[0]} if missing_is_null else common


def merged_features(features: Features, keep_embeddings: bool) -> Features:
    """Return the columns and types of the flat rows after the merger.

    :param features: columns and types of the samples inside the topics.
    :param keep_embeddings: whether rows keep their embeddings.
    """
    carried = {name: feature for name, feature in features.items() if is_carried(name)}
    embedding = {EMBEDDING: TEXT} if keep_embeddings else {}
    return Features({**carried, **embedding, META: JSON, STATS: JSON})


@dataclass(frozen=True)
class FlatTopic:
    """A topic's rows after merging.

    :param table: the rows.
    :param merges: the record of each merged row, by its row id.
    :param emptied: maps each column to the number of merged rows that lost its value.
    """

    table: pa.Table
    merges: Mapping[str, MergeRecord]
    emptied: Counter[str]


def flat_table(
    topic: TopicMerges,
    layout: SampleFormat,
    embed: Callable[[Sequence[Sample]], Sequence[str]] | None,
    derived: DerivedColumns,
) -> FlatTopic:
    """Return a topic's rows after merging: unchanged originals, and each merged row in the place of its first parent.

    :param topic: a topic whose groups all have their outcome.
    :param layout: layout of the samples.
    :param embed: function that returns the embeddings of merged samples as text; None if rows do not keep embeddings.
    :param derived: columns to fill on merged rows.
    :return: carried columns, the embedding if wanted, metadata, and empty stats. Stats of filters before the merge do
        not apply to merged text, and with a stale or missing stat later filters drop rows or crash.
    """
    table = topic.topic.table
    positions, metas = topic.unmerged()
    columns = [*topic.carried, EMBEDDING] if embed else topic.carried
    accepted = [number for number in range(len(topic.groups)) if topic.merges[number].answers]
    parts = []
    if positions or not accepted:
        parts.append(table.select(columns).take(pa.array(positions, pa.int64())))
    records: dict[str, MergeRecord] = {}
    lost: Counter[str] = Counter()
    if accepted:
        answers = [topic.merges[number].answers[0] for number in accepted]
        parents = list(topic.rows_of([topic.groups[number] for number in accepted]))
        rows = [_with_derived(layout, answer, of_one, derived) for answer, of_one in zip(answers, parents, strict=True)]
        for row, of_one in zip(rows, parents, strict=True):
            lost.update(emptied(row, of_one, layout))
        arrays = {
            name: arrow_array([row[name] for row in rows], table.schema.field(name).type) for name in topic.carried
        }
        if embed:
            arrays[EMBEDDING] = pa.array(embed(answers), pa.string())
        further = [
            [_candidate(layout, answer, of_one, derived) for answer in topic.merges[number].answers[1:]]
            for number, of_one in zip(accepted, parents, strict=True)
        ]
        merged_metas = [topic.merged_meta(number, texts) for number, texts in zip(accepted, further, strict=True)]
        parts.append(pa.table(arrays))
        records = {
            meta[lineage.ROW_ID]: merge_record(meta[lineage.PARENT_IDS], layout.read(row).sample, row, topic.inexact)
            for meta, row in zip(merged_metas, rows, strict=True)
        }
        positions = positions + [topic.groups[number].members[0] for number in accepted]
        metas = metas + merged_metas
    order = sorted(range(len(positions)), key=positions.__getitem__)
    flat = pa.concat_tables(parts)
    if len(order) > 1:
        flat = flat.take(pa.array(order, pa.int64()))
    flat = flat.append_column(META, json_array(metas[number] for number in order))
    return FlatTopic(flat.append_column(STATS, json_array({} for _ in order)), records, lost)


def merged_row(layout: SampleFormat, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the carried columns of a merged row.

    :param layout: layout of the samples.
    :param sample: the merged sample.
    :param parents: the carried columns of its parents. Columns outside the layout keep a value that all parents share,
        and are null otherwise.
    """
    written = layout.write(sample, parents)
    return agreed(parents) | {name: value for name, value in written.items() if name in parents[0]}


def _with_derived(
    layout: SampleFormat, sample: Sample, parents: Sequence[Mapping[str, Any]], derived: DerivedColumns
) -> dict[str, Any]:
    row = merged_row(layout, sample, parents)
    return row | derived.values(row, sample, layout)


def _candidate(
    layout: SampleFormat, sample: Sample, parents: Sequence[Mapping[str, Any]], derived: DerivedColumns
) -> str:
    # Rendered now, because the gate may choose this answer but does not know the merger's parameters.
    made = derived.values(merged_row(layout, sample, parents), sample, layout) if derived else {}
    return encode_candidate(sample, made)
