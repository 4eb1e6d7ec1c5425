"""The texts of merges and their parents on a page of bounded size."""

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
"""Maximum bytes of all texts of merges. Mail servers accept such a page, and phones can open it."""


@dataclass(frozen=True)
class MergeTexts:
    """A merge with its texts.

    :param figures: figures of the merge.
    :param model: model that wrote the merge, or None.
    :param merged: `[instruction, input, output]`, followed by the number of characters cut from each if any text is
        cut; None if the export does not have the texts.
    :param parents: the same list for each parent.
    """

    figures: MergeFigures
    model: str | None
    merged: list[Any] | None
    parents: list[list[Any]]

    @property
    def size(self) -> int:
        """Return an upper estimate of the bytes of the texts on the page."""
        return len(json.dumps([self.merged, self.parents], ensure_ascii=False).encode("utf-8", "replace"))


def chosen(merges: Sequence[MergeFigures], limit: int = MERGES_LIMIT, seed: int = 42) -> list[int]:
    """Return the keys of the merges to show.

    If there are more merges than the limit, two fifths are the worst ones, two fifths the best ones, and one fifth is a
    random sample. They take turns, so that the first entries are a fair choice too.

    :param merges: all merges.
    :param limit: maximum number of keys.
    :param seed: seed of the sample.
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

    :param rows: all rows of the export.
    :param layout: format of the rows.
    :param merges: all merges.
    :param keys: keys of the merges to return.
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
            # The key of a rejected merge is the number of its first restored row.
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
    """Return the first merges whose texts together fit into the limit.

    :param merges: merges in the order of their importance.
    :param limit: maximum bytes of all their texts.
    """
    kept, used = [], 0
    for merge in merges:
        used += merge.size
        if used > limit:
            break
        kept.append(merge)
    return kept


def _worth(merge: MergeFigures) -> tuple[bool, float, bool, float, int]:
    """Return a sort key: the gate's ratio, lowest first; then the similarity for merges without a ratio."""
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
        # The report does not check the export: it shows a text that it cannot read as it is.
        return Sample(text, "", "")
