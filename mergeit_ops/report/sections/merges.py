"""Merges next to their parents, with search and filters."""

from __future__ import annotations

from typing import Any

from mergeit_ops.core.merging.reasons import REASONS
from mergeit_ops.core.text.counts import many
from mergeit_ops.report.merge_texts import MergeTexts, chosen, texts_of, within
from mergeit_ops.report.rendering import count, plain, rounded
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun
from mergeit_ops.report.text import TEXT_LIMIT

__all__ = ["build"]

# Part of a parent of which a merge keeps least, by the code in the lineage.
_PARTS = {"demand": "instruction", "input": "input", "answer": "output"}


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if there are no merges, or if texts cannot be read.

    :param run: the run.
    """
    merges = run.survey.merges
    if run.layout is None or not merges:
        return None
    run.say(f"Reading the texts of {many(len(merges), 'merge')} ...")
    shown = within(texts_of(run.run.rows(), run.layout, merges, chosen(merges, seed=run.seed)))
    run.notes.append(
        f"Texts longer than {count(TEXT_LIMIT)} characters are cut in the list of merges, which says how much is cut."
    )
    models = sorted({plain(part.model or "") for part in shown})
    topics = {part.figures.topic for part in shown}
    rejected = sorted({plain(part.figures.rejected) for part in shown if part.figures.rejected})
    data = {
        "gated": run.survey.gated,
        "parts": list(run.layout.parts),
        "topics": {id: label for id, label in run.topic_labels.items() if id in topics},
        "models": models,
        "reasons": {code: REASONS.get(code, code) for code in rejected},
        "items": [_item(part, models) for part in shown],
    }
    return Section("Merges and their parents", "Merges", {"shown": len(shown), "merges": len(merges)}, data)


def _item(part: MergeTexts, models: list[str]) -> list[Any]:
    """Return the values of a merge for the script, which reads them by their position."""
    merge = part.figures
    return [
        merge.key,
        merge.topic,
        rounded(merge.similarity, 4),
        rounded(merge.before, 3),
        rounded(merge.after, 3),
        rounded(merge.ratio, 4),
        rounded(merge.coverage, 3),
        [[rounded(share, 3), _PARTS.get(reason, "")] for share, reason in merge.kept],
        None if merge.rejected is None else plain(merge.rejected),
        models.index(plain(part.model or "")),
        part.merged,
        part.parents,
    ]
