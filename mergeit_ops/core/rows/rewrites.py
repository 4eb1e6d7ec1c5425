"""The origin of a rewritten row: keys in `__dj__meta__` from operators that write new texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergeit_ops.core.columns import ROW_ID
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import content_digest

__all__ = [
    "ERROR",
    "KEYS",
    "METHOD",
    "MODEL",
    "NODES_ADDED",
    "ORIGINAL",
    "PARENT",
    "PARENT_ID",
    "PROMPT_SHA256",
    "REWRITTEN",
    "STATUS",
    "id_of",
    "kept",
    "rewritten",
]

STATUS = "rewrite_status"
PARENT = "rewrite_parent"
PARENT_ID = "rewrite_parent_id"
ERROR = "rewrite_error"
METHOD = "rewrite_method"
MODEL = "rewrite_model"
PROMPT_SHA256 = "rewrite_prompt_sha256"
NODES_ADDED = "nodes_added"

KEYS = (STATUS, PARENT, PARENT_ID, ERROR, METHOD, MODEL, PROMPT_SHA256, NODES_ADDED)

ORIGINAL = "original"
REWRITTEN = "rewritten"


def id_of(row: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """Return the id of a row: the one that it brings, or a hash of its content, which equal rows share.

    :param row: its columns.
    :param meta: its metadata.
    """
    brought = row.get(ROW_ID) or meta.get(lineage.ROW_ID)
    return str(brought) if brought else content_digest(row)


def rewritten(
    before: Mapping[str, Any],
    *,
    parent: str,
    parent_id: str,
    method: str,
    model: str,
    prompt_sha256: str,
    nodes_added: int = 0,
) -> dict[str, Any]:
    """Return the metadata of a row with new texts.

    :param before: metadata of the original row. Entries of other operators stay.
    :param parent: the complete original row with its metadata, as text of `encode_row`.
    :param parent_id: its row id: the one that it brought, or a hash of its content.
    :param method: name of the method that wrote the new texts.
    :param model: name of the model.
    :param prompt_sha256: hash of the first prompt.
    :param nodes_added: number of nodes added to the tree of the instruction. It is never null, because Ray's JSON would
        then turn the other values into fractions.
    """
    return {
        **before,
        STATUS: REWRITTEN,
        PARENT: parent,
        PARENT_ID: parent_id,
        ERROR: None,
        METHOD: method,
        MODEL: model,
        PROMPT_SHA256: prompt_sha256,
        NODES_ADDED: nodes_added,
    }


def kept(before: Mapping[str, Any], error: str | None) -> dict[str, Any]:
    """Return the metadata of a row that stays as it was.

    :param before: metadata of the row. A row that an earlier operator has rewritten keeps its parent.
    :param error: why it was not rewritten.
    """
    known = {key: before.get(key) for key in KEYS}
    own = {STATUS: before.get(STATUS) or ORIGINAL, NODES_ADDED: before.get(NODES_ADDED) or 0, ERROR: error}
    return {**before, **known, **own}
