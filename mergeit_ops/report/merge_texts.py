"""The merges that a page shows whole: with their parents, scores and coverage, in bounded space."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.lineage import MERGED, RESTORED
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.report.survey import MergeFigures
from mergeit_ops.report.text import TEXT_LIMIT, shown
from mergeit_ops.runs import ExportRow

__all__ = ["MergeTexts", "chosen", "texts_of", "within"]


MERGES_LIMIT = 6_000
BYTES_LIMIT = 7_000_000
"""Of all texts of merges together: a page that a mail server takes and a phone opens."""


@dataclass(frozen=True)
class MergeTexts:
    """A merge with its texts.

    :param figures: its figures.
    :param model: what wrote it, or None.
    :param merged: its texts as `[instruction, input, output]` with the number of characters cut of each; None where the
        export does not hold them.
    :param parents: the same of each parent.
    """

    figures: MergeFigures
    model: str | None
    merged: list[Any] | None
    parents: list[list[Any]]

    @property
    def size(self) -> int:
        """Return the bytes that its texts take on the page, or a little more."""
        return len(json.dumps([self.merged, self.parents], ensure_ascii=False).encode("utf-8", "replace"))


def chosen(merges: Sequence[MergeFigures], limit: int = MERGES_LIMIT, seed: int = 42) -> list[int]:
    """Return the keys of the merges to show, those that tell most first.

    All where they are few; else the worst two fifths, the best two fifths, and a sample of those between, taken in
    turn, so that the first of them are a fair choice too.

    :param merges: all.
    :param limit: how many.
    :param seed: of the sample.
    """
    ranked = sorted(merges, key=_worth)
    by_turn: list[int] = []
    worst, best = iter(ranked), iter(reversed(ranked))
    drawn = iter(random.Random(seed).sample(ranked, len(ranked)))
    taken: set[int] = set()
    while len(by_turn) < min(limit, len(ranked)):
        for source in (worst, best, worst, best, drawn):
            merge = next((merge for merge in source if merge.key not in taken), None)
            if merge is not None:
                taken.add(merge.key)
                by_turn.append(merge.key)
    return by_turn[:limit]


def texts_of(
    rows: Iterable[ExportRow], layout: SampleFormat, merges: Sequence[MergeFigures], keys: Sequence[int]
) -> list[MergeTexts]:
    """Return merges with their texts, in the order of `keys`.

    :param rows: of the export, from its start.
    :param layout: to read them with.
    :param merges: all of them.
    :param keys: of those wanted.
    """
    figures = {merge.key: merge for merge in merges}
    wanted = set(keys)
    found: dict[int, MergeTexts] = {}
    key_of_group: dict[str, int] = {}
    for row in rows:
        if row.lineage.status == MERGED and row.number in wanted:
            parents = [_texts(layout.read(parent).sample) for parent in row.parents]
            merged = _texts(layout.read(row.content).sample)
            found[row.number] = MergeTexts(figures[row.number], row.lineage.model, merged, parents)
        elif row.lineage.status == RESTORED:
            # The first of its rows gave the merge its key.
            key = key_of_group.setdefault(row.lineage.group_id or f"row {row.number}", row.number)
            if key not in wanted:
                continue
            shown_merge = found.setdefault(key, MergeTexts(figures[key], row.lineage.model, None, []))
            shown_merge.parents.append(_texts(layout.read(row.content).sample))
            if row.lineage.rejected_text is not None:
                text = _texts(_read_rejected(row.lineage.rejected_text, layout))
                found[key] = replace(shown_merge, merged=text)
    return [found[key] for key in keys if key in found]


def within(merges: Sequence[MergeTexts], limit: int = BYTES_LIMIT) -> list[MergeTexts]:
    """Return as many merges, from the first on, as fit.

    :param merges: in the order in which they are wanted.
    :param limit: bytes of their texts together.
    """
    kept, used = [], 0
    for merge in merges:
        used += merge.size
        if used > limit:
            break
        kept.append(merge)
    return kept


def _worth(merge: MergeFigures) -> tuple[bool, float, bool, float, int]:
    """Order by the gate's ratio, worst first, and by similarity where there is none."""
    ratio, similarity = merge.ratio, merge.similarity
    return (ratio is None, ratio or 0.0, similarity is None, similarity or 0.0, merge.key)


def _texts(sample: Sample) -> list[Any]:
    texts = [shown(text, TEXT_LIMIT) for text in (sample.instruction, sample.input, sample.output)]
    cut = [count for _, count in texts]
    return [text for text, _ in texts] + (cut if any(cut) else [])


def _read_rejected(text: str, layout: SampleFormat) -> Sample:
    try:
        return layout.read(decode_row(text)).sample
    except (ValueError, KeyError, TypeError):
        # Not ours to judge: what is there is shown.
        return Sample(text, "", "")
