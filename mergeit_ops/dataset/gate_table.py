"""Turn merged rows and the gate's decisions into the rows after the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.gate.rule import Decision
from mergeit_ops.core.merging.parent_kept import ParentKept, parents_kept
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.dataset.merge_table import decode_candidate, encode_sample, merged_row
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import arrow_array, json_array, python_rows, set_column
from mergeit_ops.errors import DatasetError


@dataclass(frozen=True)
class MergedRow:
    """A merged row as the gate sees it.

    :param position: its position in the table.
    :param meta: its metadata.
    :param candidates: the merge itself, followed by the other answers.
    :param derived: derived columns of each candidate; empty for the merge itself, whose row has them.
    :param parent_rows: its parents' carried columns.
    :param parent_metas: its parents' metadata.
    :param parents: its parents as samples.
    """

    position: int
    meta: Mapping[str, Any]
    candidates: tuple[Sample, ...]
    derived: tuple[Mapping[str, str], ...]
    parent_rows: tuple[dict[str, Any], ...]
    parent_metas: tuple[dict[str, Any], ...]
    parents: tuple[Sample, ...]

    @cached_property
    def kept(self) -> list[list[ParentKept]]:
        """How much each candidate keeps of each parent."""
        return [parents_kept(self.parents, candidate) for candidate in self.candidates]

    @property
    def coverages(self) -> tuple[float, ...]:
        """How much each candidate keeps of the parent of which it keeps least."""
        return tuple(min(parent.share for parent in kept) for kept in self.kept)


@dataclass(frozen=True)
class GateVerdict:
    """The decision on a merged row and the scores behind it.

    :param decision: the gate's decision.
    :param candidate_scores: scores of the merge and the other answers.
    :param parent_scores: scores of its parents.
    :param kept: how much the merge and each other answer keep of each parent.
    """

    decision: Decision
    candidate_scores: Sequence[Score]
    parent_scores: Sequence[Score]
    kept: Sequence[Sequence[ParentKept]]


def metadata_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the metadata of each row; empty if it has none."""
    if META not in table.column_names:
        return [{} for _ in range(table.num_rows)]
    return [row[META] or {} for row in python_rows(table.select([META]))]


def merged_rows(table: pa.Table, metas: Sequence[Mapping[str, Any]], layout: SampleFormat) -> list[MergedRow]:
    """Return the table's merged rows, in order."""
    positions = [position for position, meta in enumerate(metas) if _is_merge(meta)]
    columns = [name for name in layout.columns if name in table.column_names]
    rows = python_rows(table.select(columns).take(pa.array(positions, pa.int64()))) if positions else []
    return [
        _merged_row(position, metas[position], layout.read(row).sample, layout, table.column_names)
        for position, row in zip(positions, rows, strict=True)
    ]


def _is_merge(meta: Mapping[str, Any]) -> bool:
    return meta.get(lineage.STATUS) == lineage.MERGED and bool(meta.get(lineage.PARENTS))


def _merged_row(
    position: int, meta: Mapping[str, Any], merged: Sample, layout: SampleFormat, columns: Sequence[str]
) -> MergedRow:
    further = [decode_candidate(text, merged.system) for text in meta.get(lineage.CANDIDATES) or []]
    parent_rows = [decode_row(text) for text in meta[lineage.PARENTS]]
    gone = sorted({name for row in parent_rows for name in row} - {META, EMBEDDING, *columns})
    if gone:
        raise DatasetError(
            f"the columns {', '.join(map(repr, gone))} that the parents of merged rows had are gone; an operator "
            "between the merger and the gate renames or removes them: put it after the gate, so that parents can be "
            "given back."
        )
    parent_metas = tuple(row.pop(META) for row in parent_rows)
    # In the form that the row itself would have: a layout without an input column puts the input into the instruction.
    answers = (answer for answer, _ in further)
    return MergedRow(
        position=position,
        meta=meta,
        candidates=(merged, *(layout.read(merged_row(layout, answer, parent_rows)).sample for answer in answers)),
        derived=({}, *(derived for _, derived in further)),
        parent_rows=tuple(parent_rows),
        parent_metas=parent_metas,
        parents=tuple(layout.read(row).sample for row in parent_rows),
    )


def gated_table(
    table: pa.Table,
    metas: Sequence[Mapping[str, Any]],
    verdicts: Mapping[int, tuple[MergedRow, GateVerdict]],
    scores: Mapping[int, Score],
    layout: SampleFormat,
    embed: Callable[[Sequence[Sample]], Sequence[str]],
) -> tuple[pa.Table, list[Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
    """Return the rows after the gate; a rejected merge is replaced by its parents.

    :param table: rows before the gate; whole topics of the merger if they have lineage.
    :param metas: their metadata.
    :param verdicts: maps the position of each merged row to the row and its verdict.
    :param scores: maps the position of each other scored row to its score.
    :param layout: layout of the samples.
    :param embed: function that returns the embeddings of restored samples as text, if the table has this column.
    :return: the table's columns, metadata if rows have lineage, and the existing stats plus those of the gate. Restored
        parents return to their place in the topic; without restored rows the order does not change. Also the metadata
        of each row, in order, and the columns of the rows that were not in the input, by row id.
    """
    old_stats = stats_of(table)
    out: list[_OutRow] = []
    for position, meta in enumerate(metas):
        if position not in verdicts:
            stats = old_stats[position] | _plain_stats(scores.get(position))
            out.append(_OutRow(meta, stats, kept=position))
            continue
        merged, verdict = verdicts[position]
        if verdict.decision.rejected is None:
            out.append(_accepted(merged, verdict, old_stats[position], layout))
        else:
            out += _restored(merged, verdict)
    if any(row.kept is None and row.meta[lineage.STATUS] == lineage.RESTORED for row in out):
        out = _in_topic_order(out)
    rebuilt = {row.meta.get(lineage.ROW_ID, ""): row.rebuilt for row in out if row.rebuilt is not None}
    return _assemble(table, out, layout, embed), [row.meta for row in out], rebuilt


@dataclass(frozen=True)
class _OutRow:
    """A row after the gate: a row of the table (`kept`), or one with other content (`rebuilt`)."""

    meta: Mapping[str, Any]
    stats: Mapping[str, Any]
    kept: int | None = None
    rebuilt: Mapping[str, Any] | None = None


def _accepted(merged: MergedRow, verdict: GateVerdict, old_stats: Mapping[str, Any], layout: SampleFormat) -> _OutRow:
    decision = verdict.decision
    score = verdict.candidate_scores[decision.chosen]
    stats = {**old_stats, **_decision_stats(decision, score)}
    meta = {**merged.meta, lineage.CANDIDATES: [], **lineage.kept_parents(verdict.kept[decision.chosen])}
    if decision.chosen == 0:
        return _OutRow(meta, stats, kept=merged.position)
    rebuilt = merged_row(layout, merged.candidates[decision.chosen], merged.parent_rows)
    # If the parents are copies of each other, they share an embedding, but it is not the merge's.
    rebuilt.pop(EMBEDDING, None)
    rebuilt |= merged.derived[decision.chosen]
    return _OutRow(meta, stats, rebuilt=rebuilt)


def _restored(merged: MergedRow, verdict: GateVerdict) -> Iterator[_OutRow]:
    decision = verdict.decision
    assert decision.rejected is not None
    rejected_text = encode_sample(merged.candidates[decision.chosen])
    for number, (row, meta, score) in enumerate(
        zip(merged.parent_rows, merged.parent_metas, verdict.parent_scores, strict=True)
    ):
        text = rejected_text if number == 0 else None
        yield _OutRow(
            lineage.restored(meta, merged.meta, decision.rejected, text, verdict.kept[decision.chosen]),
            _decision_stats(decision, score),
            rebuilt=row,
        )


def _decision_stats(decision: Decision, score: Score) -> dict[str, Any]:
    return lineage.quality_stats(
        score=score.value,
        before=decision.before,
        after=decision.after,
        ratio=decision.ratio,
        coverage=decision.coverage,
        status=score.status,
    ) | ({} if decision.reverse_ifd is None else {lineage.REVERSE_IFD: decision.reverse_ifd})


def _plain_stats(score: Score | None) -> dict[str, Any]:
    return lineage.quality_stats() if score is None else lineage.quality_stats(score=score.value, status=score.status)


def _in_topic_order(rows: list[_OutRow]) -> list[_OutRow]:
    # Topics keep their order; only rows within a topic move.
    first_seen: dict[Any, int] = {}
    for row in rows:
        first_seen.setdefault(row.meta.get(lineage.TOPIC_ID), len(first_seen))
    return sorted(
        rows, key=lambda row: (first_seen[row.meta.get(lineage.TOPIC_ID)], row.meta.get(lineage.ROW_ORDER, -1))
    )


def _assemble(
    table: pa.Table,
    rows: Sequence[_OutRow],
    layout: SampleFormat,
    embed: Callable[[Sequence[Sample]], Sequence[str]],
) -> pa.Table:
    columns = [name for name in table.column_names if name not in (META, STATS)]
    rebuilt = [row.rebuilt for row in rows if row.rebuilt is not None]
    source = table.select(columns)
    if rebuilt:
        arrays = {
            name: _restored_column(name, rebuilt, table.schema.field(name).type)
            for name in columns
            if name != EMBEDDING
        }
        if EMBEDDING in columns:
            arrays[EMBEDDING] = pa.array(_embeddings(rebuilt, layout, embed), pa.string())
        source = pa.concat_tables([source, pa.table(arrays).select(columns)], promote_options="default")
    next_rebuilt = iter(range(table.num_rows, table.num_rows + len(rebuilt)))
    order = [row.kept if row.kept is not None else next(next_rebuilt) for row in rows]
    result = source.take(pa.array(order, pa.int64()))
    if META in table.column_names:
        result = set_column(result, META, json_array(row.meta for row in rows))
    return set_column(result, STATS, json_array(row.stats for row in rows))


def _restored_column(name: str, rows: Sequence[Mapping[str, Any]], arrow_type: pa.DataType) -> pa.Array[Any]:
    values = [row.get(name) for row in rows]
    if pa.types.is_null(arrow_type):
        # On Ray, a column without values in a filter's batch has lost its type. These rows still have it.
        return pa.array(values)
    try:
        return arrow_array(values, arrow_type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DatasetError(
            f"the values of column '{name}' in restored parents do not fit its type {arrow_type} any more "
            f"({error}); an operator between the merger and the gate changes it: put it after the gate."
        ) from error


def _embeddings(
    rows: Sequence[Mapping[str, Any]], layout: SampleFormat, embed: Callable[[Sequence[Sample]], Sequence[str]]
) -> list[str]:
    """Return the stored embeddings of parents, and new ones for rows without an embedding."""
    missing = [number for number, row in enumerate(rows) if not row.get(EMBEDDING)]
    texts = [row.get(EMBEDDING) or "" for row in rows]
    if missing:
        for number, text in zip(missing, embed([layout.read(rows[number]).sample for number in missing]), strict=True):
            texts[number] = text
    return texts


def whole_topics(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Divide tables so that the rows of one topic, which follow each other, are in one table.

    Restored rows return to their place in the topic, so a topic must not be divided.

    :param tables: flat rows, in order.
    """
    carried: list[pa.Table] = []  # rows of one topic
    topic: Any = None
    parts = (table for table in tables if table.num_rows)
    following = next(parts, None)
    while following is not None:
        table, following = following, next(parts, None)
        topics = [meta.get(lineage.TOPIC_ID) for meta in metadata_of(table)]
        cut = next((at for at in range(len(topics), 0, -1) if topics[at - 1] != topics[-1]), 0)
        if topics[-1] is None or following is None:
            cut = len(topics)
        if carried and topics[0] != topic:
            yield pa.concat_tables(carried)
            carried = []
        if cut:
            yield pa.concat_tables([*carried, table.slice(0, cut)])
            carried = []
        if cut < len(topics):
            carried.append(table.slice(cut))
        topic = topics[-1]
