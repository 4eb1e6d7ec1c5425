"""The origin of a row: keys that the merger and the gate write into `__dj__meta__` and `__dj__stats__`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.merging.parent_kept import ParentKept

TOPIC_ID = "topic_id"
ROW_ID = "row_id"
ROW_ORDER = "row_order"
GROUP_ID = "merge_group_id"
STATUS = "merge_status"
PARENTS = "merge_parents"
PARENT_IDS = "merge_parent_ids"
CANDIDATES = "merge_candidates"
REJECTED = "merge_rejected"
REJECTED_TEXT = "merge_rejected_text"
SIMILARITY = "merge_similarity"
ERROR = "merge_error"
MODEL = "merge_model"
PROMPT_SHA256 = "merge_prompt_sha256"
PARENT_KEPT = "merge_parent_kept"
PARENT_WEAKEST = "merge_parent_weakest"
HISTORY = "merge_history"

_KEYS = (
    TOPIC_ID,
    ROW_ID,
    ROW_ORDER,
    GROUP_ID,
    STATUS,
    PARENTS,
    PARENT_IDS,
    CANDIDATES,
    REJECTED,
    REJECTED_TEXT,
    SIMILARITY,
    ERROR,
    MODEL,
    PROMPT_SHA256,
    PARENT_KEPT,
    PARENT_WEAKEST,
)

ORIGINAL = "original"
MERGED = "merged"
RESTORED = "restored"

QUALITY_SCORE = "quality_score"
QUALITY_BEFORE = "merge_quality_before"
QUALITY_AFTER = "merge_quality_after"
QUALITY_RATIO = "merge_quality_ratio"
PARENT_COVERAGE = "merge_parent_coverage"
REVERSE_IFD = "merge_reverse_ifd"
QUALITY_STATUS = "quality_status"


def lineage(
    *,
    topic_id: int,
    row_id: str,
    row_order: int,
    status: str = ORIGINAL,
    group_id: str | None = None,
    parents: Sequence[str] = (),
    parent_ids: Sequence[str] = (),
    candidates: Sequence[str] = (),
    similarity: float | None = None,
    error: str | None = None,
    model: str | None = None,
    prompt_sha256: str | None = None,
) -> dict[str, Any]:
    """Return all lineage keys of a row after the merger.

    :param topic_id: topic of the row.
    :param row_id: identity of the row.
    :param row_order: its place among the rows of its topic that entered the merger; a merged row has its first
        parent's. With it the gate can put a restored parent back in its place.
    :param status: `original`, `merged` or `restored`.
    :param group_id: the group it was paired in, or None.
    :param parents: for a merged row: each complete parent row as text.
    :param parent_ids: for a merged row: its parents' row ids.
    :param candidates: for a merged row: the other answers as text.
    :param similarity: lowest cosine within the group, or None.
    :param error: reason code of a failed merge, or why the row may not be merged at all; or None.
    :param model: the model that wrote the merge, or the strategy's name; None for other rows.
    :param prompt_sha256: hash of the prompt that asked for it, or None.
    """
    return {
        TOPIC_ID: topic_id,
        ROW_ID: row_id,
        ROW_ORDER: row_order,
        GROUP_ID: group_id,
        STATUS: status,
        PARENTS: list(parents),
        PARENT_IDS: list(parent_ids),
        CANDIDATES: list(candidates),
        REJECTED: None,
        REJECTED_TEXT: None,
        SIMILARITY: similarity,
        ERROR: error,
        MODEL: model,
        PROMPT_SHA256: prompt_sha256,
        **kept_parents(()),
    }


def kept_parents(kept: Sequence[ParentKept]) -> dict[str, Any]:
    """Return the lineage keys about how much a merge keeps of its parents.

    They are not stats, because Data-Juicer's analyzer fails on lists that only some rows have.

    :param kept: for each parent, in order; empty for rows that the gate has not judged.
    """
    return {
        PARENT_KEPT: [parent.share for parent in kept],
        PARENT_WEAKEST: [parent.weakest for parent in kept],
    }


def history(meta: Mapping[str, Any]) -> list[str]:
    """Return the lineages of earlier merges of a row, the latest last.

    A row from an earlier merge may be merged again, and its origin must not be lost.

    :param meta: the row's metadata before the merger.
    :return: each lineage as JSON text, without its own history.
    """
    earlier = list(meta.get(HISTORY) or [])
    if meta.get(STATUS) in (MERGED, RESTORED):
        last = {key: meta[key] for key in _KEYS if meta.get(key) not in (None, [])}
        earlier.append(json.dumps(last, ensure_ascii=False, sort_keys=True))
    return earlier


def restored(
    parent_meta: Mapping[str, Any],
    merged_meta: Mapping[str, Any],
    reason: str,
    text: str | None,
    kept: Sequence[ParentKept],
) -> dict[str, Any]:
    """Return the metadata of a parent that the gate restores.

    :param parent_meta: the parent's metadata before the merge.
    :param merged_meta: the metadata of the rejected merge.
    :param reason: why it was rejected: `score`, `coverage`, `reverse_ifd` or `no_score`.
    :param text: the rejected merge as text. It is kept on the first parent because it was paid for; None on the others.
    :param kept: how much the merge keeps of each parent.
    """
    return {
        **parent_meta,
        STATUS: RESTORED,
        GROUP_ID: merged_meta.get(GROUP_ID),
        SIMILARITY: merged_meta.get(SIMILARITY),
        MODEL: merged_meta.get(MODEL),
        PROMPT_SHA256: merged_meta.get(PROMPT_SHA256),
        REJECTED: reason,
        REJECTED_TEXT: text,
        **kept_parents(kept),
    }


def quality_stats(
    *,
    score: float | None = None,
    before: float | None = None,
    after: float | None = None,
    ratio: float | None = None,
    coverage: float | None = None,
    status: str = "not_scored",
) -> dict[str, Any]:
    """Return all stats keys that the gate writes.

    :param score: quality of the row itself, or None.
    :param before: for merged and restored rows: the parents' reference score; otherwise None.
    :param after: for merged and restored rows: the merge's score; otherwise None.
    :param ratio: after / before, or None.
    :param coverage: for merged and restored rows: how much the merge keeps of the parent of which it keeps least;
        otherwise None.
    :param status: `ok`, `not_scored`, or why there is no score.
    """
    return {
        QUALITY_SCORE: score,
        QUALITY_BEFORE: before,
        QUALITY_AFTER: after,
        QUALITY_RATIO: ratio,
        PARENT_COVERAGE: coverage,
        QUALITY_STATUS: status,
    }
