"""The text from which a sample was made: keys of `backtranslation_mapper` in `__dj__meta__`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "KEYS",
    "METHOD",
    "MODEL",
    "OK",
    "PROMPT_SHA256",
    "SOURCE",
    "SOURCE_ID",
    "STATUS",
    "noted",
    "restored",
    "source_of",
]

STATUS = "backtranslation_status"
SOURCE = "backtranslation_source"
SOURCE_ID = "backtranslation_source_id"
METHOD = "backtranslation_method"
MODEL = "backtranslation_model"
PROMPT_SHA256 = "backtranslation_prompt_sha256"

KEYS = (STATUS, SOURCE, SOURCE_ID, METHOD, MODEL, PROMPT_SHA256)
"""All are texts, or null."""

OK = "ok"


def noted(
    before: Mapping[str, Any],
    *,
    status: str,
    source: str | None,
    source_id: str,
    method: str,
    model: str | None = None,
    prompt_sha256: str | None = None,
) -> dict[str, Any]:
    """Return the metadata of a row for which a sample was made, or should have been made, from a text.

    :param before: metadata of the row. Entries of other operators stay.
    :param status: `ok`, or why there is no sample.
    :param source: the text; None if the row has none.
    :param source_id: id of the original row; see `rewrites.id_of`.
    :param method: name of the method.
    :param model: name of the model that wrote the sample; None if none did.
    :param prompt_sha256: hash of the conversation; None if there was none.
    """
    return {
        **before,
        STATUS: status,
        SOURCE: source,
        SOURCE_ID: source_id,
        METHOD: method,
        MODEL: model,
        PROMPT_SHA256: prompt_sha256,
    }


def source_of(meta: Mapping[str, Any] | None) -> str:
    """Return the text from which a row was made; empty if its metadata has none.

    :param meta: metadata of the row.
    """
    source = (meta or {}).get(SOURCE)
    return source if isinstance(source, str) else ""


def restored(
    row: Mapping[str, Any], meta: Mapping[str, Any], *, text_key: str, written: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a row and its metadata as they were before a sample was made from it.

    :param row: its columns now.
    :param meta: its metadata now.
    :param text_key: column of its text.
    :param written: columns that were written.
    """
    fields = {name: value for name, value in row.items() if name not in written}
    return fields | {text_key: meta.get(SOURCE)}, {key: value for key, value in meta.items() if key not in KEYS}
