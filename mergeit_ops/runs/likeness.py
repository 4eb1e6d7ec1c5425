"""Find the run that wrote an export: the one whose row ids match its rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import base_id, content_digest, sample_digest
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.rewrites import Rewrites
from mergeit_ops.runs.rows import ExportRow
from mergeit_ops.runs.stages import CheckedStage, stages_of

if TYPE_CHECKING:
    from mergeit_ops.runs.run import FinishedRun


def likeness(run: FinishedRun) -> float:
    """Return how well the rows of an export match the rows that left a run, from 0 to 1.

    If operators after our last one may have removed rows, only rows that the run did not have count against it.

    :param run: the export, with the records of a run that may have written it.
    """
    stage = stages_of(run.records)[-1]
    behind = run.records.steps.behind(stage.kind)
    if stage.left is None:
        return 0.0
    known = _Known(stage, None if behind.changers else run.layout_or_none())
    rewritten = Rewrites(run.records, stage.kind, None)
    rows = 0
    try:
        for row in run.rows():
            rows += 1
            known.meet(rewritten.before(row))
    except DatasetError:
        return 0.0
    left = len(set(stage.left) - run.records.drops.keys())
    together = rows if behind.takers else rows + left - known.met
    return known.met / max(together, 1)


class _Known:
    def __init__(self, stage: CheckedStage, layout: SampleFormat | None) -> None:
        self._stage = stage
        self._layout = layout
        self._left = set(stage.left or ())
        self._digests: Counter[str | None] = Counter(filter(None, map(base_id, self._left)))
        self._texts: Counter[str | None] = Counter(merge.text for merge in stage.standing.values())
        self.met = 0

    def meet(self, row: ExportRow) -> None:
        row_id = row.lineage.row_id
        if row_id is not None:
            self.met += row_id in self._left and self._is_merged_alike(row, row_id)
            self._left.discard(row_id)
            return
        for digest, counter in ((content_digest(row.content), self._digests), (self._text(row), self._texts)):
            if counter[digest] > 0:
                counter[digest] -= 1
                self.met += 1
                return

    def _is_merged_alike(self, row: ExportRow, row_id: str) -> bool:
        merge = self._stage.standing.get(row_id)
        if merge is None or row.lineage.status != lineage.MERGED:
            return merge is None and row.lineage.status != lineage.MERGED
        return self._layout is None or self._text(row) == merge.text

    def _text(self, row: ExportRow) -> str | None:
        return None if self._layout is None else sample_digest(self._layout.read(row.content).sample)
