"""Identity of rows: the same row has the same id in every executor and every run."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

from mergeit_ops.core.columns import is_content
from mergeit_ops.core.rows.lossless import UnencodableError, encode_row
from mergeit_ops.core.sample import Sample

_CONTENT_ID = re.compile(r"([0-9a-f]{20})(-\d+)?")
_DIGEST_CHARS = 20  # 80 bits: the odds of a collision among a billion rows are about one in two million


def content_digest(row: Mapping[str, Any]) -> str:
    """Return a hash of everything that the user stored in a row, independent of the order of its columns.

    System columns, embeddings and row ids do not count, because they differ between runs on the same data. A null
    inside a mapping does not count either, because some readers fill missing keys with null.

    :param row: maps column names to values.
    :return: 20 hexadecimal characters.
    """
    content = {name: _without_nulls(value) for name, value in row.items() if is_content(name)}
    try:
        text = encode_row(content)
    except UnencodableError:
        text = repr(sorted(content.items()))
    return _digest(text)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def sample_digest(sample: Sample) -> str:
    """Return a hash of a sample's texts, which identifies a merged row, whatever else its row holds."""
    return content_digest(sample.content)


def exact_digest(row: Mapping[str, Any], inexact: Collection[str]) -> str:
    """Return a hash of everything that all export formats preserve exactly.

    :param row: maps column names to values. Empty columns do not count, because on Ray a block may not know their type.
    :param inexact: columns that some export format rounds or writes as text.
    """
    return content_digest({name: value for name, value in row.items() if name not in inexact and not _is_hollow(value)})


def _is_hollow(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_hollow, value.values()))
    return value is None or (isinstance(value, list) and all(map(_is_hollow, value)))


def base_id(row_id: str) -> str | None:
    """Return the digest in a row id, without the ordinal; None for an id that comes from the dataset."""
    found = _CONTENT_ID.fullmatch(row_id)
    return found[1] if found else None


def content_digests(columns: Mapping[str, Sequence[Any]], rows: int) -> list[str]:
    """Return `content_digest` of every row of a table, but several times as fast.

    Values of plain types are written column by column, in the same text as by `encode_row`. A row with a value of any
    other type is encoded separately.

    :param columns: maps column names to the values of all rows.
    :param rows: number of rows.
    :return: one digest per row.
    """
    names = sorted(name for name in columns if is_content(name))
    row_text = "{" + ",".join(encode_basestring(name).replace("%", "%%") + ":%s" for name in names) + "}"
    texts = [list(map(_plain_text, columns[name])) for name in names]
    digests = []
    for number, values in enumerate(zip(*texts, strict=True) if names else [()] * rows):
        if None in values:
            digests.append(content_digest({name: columns[name][number] for name in names}))
        else:
            digests.append(_digest(row_text % values))
    return digests


def _plain_text(value: Any) -> str | None:
    """Return a value as JSON; None if its type is not plain."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if value is None:
        return "null"
    if kind is int:
        return int.__repr__(value)
    if kind is bool:
        return "true" if value else "false"
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]


def number_duplicates(digests: Iterable[str], seen: Counter[str] | None = None) -> list[str]:
    """Turn content digests into row ids by numbering exact duplicates.

    :param digests: content digests, in dataset order.
    :param seen: how often each digest occurred before; updated, so that a dataset can be numbered in parts.
    :return: one id per row: the digest, followed by `-1`, `-2`, ... from its second occurrence on.
    """
    seen = Counter() if seen is None else seen
    row_ids = []
    for digest in digests:
        ordinal = seen[digest]
        seen[digest] += 1
        row_ids.append(f"{digest}-{ordinal}" if ordinal else digest)
    return row_ids


def group_id(row_ids: Sequence[str]) -> str:
    """Return the id of a merge group: a hash of its members' row ids, in any order."""
    joined = "\n".join(sorted(row_ids))
    return hashlib.sha256(joined.encode("utf-8")).hexdigest()[:_DIGEST_CHARS]
