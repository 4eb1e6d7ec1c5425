"""A row of a finished run, with its origin and its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mergeit_ops.core.columns import META, is_content
from mergeit_ops.core.rows import lineage, rewrites
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.errors import DatasetError


@dataclass(frozen=True)
class Lineage:
    """The origin of a row: its metadata by name; None or empty if missing.

    :param meta: the row's `__dj__meta__`, including keys of other operators.
    """

    meta: Mapping[str, Any]

    @property
    def status(self) -> str | None:
        """Return `original`, `merged` or `restored`; None for a row that did not pass through a merger."""
        return self.meta.get(lineage.STATUS)

    @property
    def row_id(self) -> str | None:
        """Return the row's identity; None for a row that passed through neither a merger nor a reverse grouper."""
        return self.meta.get(lineage.ROW_ID)

    @property
    def topic_id(self) -> int | None:
        """Return the row's topic."""
        return self.meta.get(lineage.TOPIC_ID)

    @property
    def row_order(self) -> int | None:
        """Return the row's position in its topic when it entered the merger."""
        return self.meta.get(lineage.ROW_ORDER)

    @property
    def group_id(self) -> str | None:
        """Return the id of the row's group."""
        return self.meta.get(lineage.GROUP_ID)

    @property
    def parent_ids(self) -> tuple[str, ...]:
        """Return the row ids of a merged row's parents."""
        return tuple(self.meta.get(lineage.PARENT_IDS) or ())

    @property
    def parent_texts(self) -> tuple[str, ...]:
        """Return a merged row's parents as text, as they are in the export."""
        return tuple(self.meta.get(lineage.PARENTS) or ())

    @property
    def similarity(self) -> float | None:
        """Return the lowest cosine in the row's group."""
        return self.meta.get(lineage.SIMILARITY)

    @property
    def error(self) -> str | None:
        """Return why the merge of an original failed."""
        return self.meta.get(lineage.ERROR)

    @property
    def rejected(self) -> str | None:
        """Return why the gate rejected the merge of a restored row."""
        return self.meta.get(lineage.REJECTED)

    @property
    def rejected_text(self) -> str | None:
        """Return the rejected merge as text, on the first of its parents."""
        return self.meta.get(lineage.REJECTED_TEXT)

    @property
    def model(self) -> str | None:
        """Return the name of the model or of the strategy that made the merge."""
        return self.meta.get(lineage.MODEL)

    @property
    def history(self) -> tuple[str, ...]:
        """Return the lineages of earlier merges, as JSON text, the latest last."""
        return tuple(self.meta.get(lineage.HISTORY) or ())

    @property
    def kept(self) -> list[tuple[float, str]]:
        """Return, for each parent, how much the merge keeps of it, and the part of which it keeps least; empty if
        unknown."""
        shares, weakest = self.meta.get(lineage.PARENT_KEPT), self.meta.get(lineage.PARENT_WEAKEST)
        if not isinstance(shares, list) or not isinstance(weakest, list):
            return []
        return [
            (float(share), reason)
            for share, reason in zip(shares, weakest, strict=False)
            if isinstance(share, (int, float)) and isinstance(reason, str)
        ]


@dataclass(frozen=True)
class Quality:
    """The gate's figures for a row; None if it did not examine the row.

    :param stats: the row's `__dj__stats__`, including keys of other operators.
    """

    stats: Mapping[str, Any]

    @property
    def score(self) -> float | None:
        """Return the row's own score."""
        return self.stats.get(lineage.QUALITY_SCORE)

    @property
    def before(self) -> float | None:
        """Return the reference score of the parents."""
        return self.stats.get(lineage.QUALITY_BEFORE)

    @property
    def after(self) -> float | None:
        """Return the score of the merge."""
        return self.stats.get(lineage.QUALITY_AFTER)

    @property
    def ratio(self) -> float | None:
        """Return `after` / `before`."""
        return self.stats.get(lineage.QUALITY_RATIO)

    @property
    def coverage(self) -> float | None:
        """Return how much the merge keeps of the parent of which it keeps least."""
        return self.stats.get(lineage.PARENT_COVERAGE)

    @property
    def reverse_ifd(self) -> float | None:
        """Return the reverse IFD of the merge, if the gate asked for it."""
        return self.stats.get(lineage.REVERSE_IFD)

    @property
    def status(self) -> str | None:
        """Return `ok`, `not_scored`, or the reason why there is no score."""
        return self.stats.get(lineage.QUALITY_STATUS)


@dataclass(frozen=True)
class ExportRow:
    """A row of an export.

    :param number: its number in the export, from 1, over all files.
    :param file: its file.
    :param line: its number in that file, from 1.
    :param content: the user's columns.
    :param lineage: its origin, from its metadata.
    :param quality: the gate's figures, from its stats.
    """

    number: int
    file: Path
    line: int
    content: dict[str, Any]
    lineage: Lineage
    quality: Quality

    @property
    def where(self) -> str:
        """Return the place of the row, for a message."""
        return f"row {self.number} ({self.file.name}, line {self.line})"

    @cached_property
    def parents(self) -> tuple[dict[str, Any], ...]:
        """Return a merged row's complete parents: their columns, without metadata and embedding.

        :raises DatasetError: if the text of a parent cannot be read.
        """
        return tuple(content for content, _ in self._parents)

    @cached_property
    def parent_lineages(self) -> tuple[Lineage, ...]:
        """Return the lineage with which each parent entered the merge.

        :raises DatasetError: if the text of a parent cannot be read.
        """
        return tuple(parent for _, parent in self._parents)

    @property
    def before_rewriting(self) -> ExportRow:
        """Return the row before its last rewriting: its columns and its metadata.

        :raises DatasetError: if it was not rewritten, or the text of the row cannot be read.
        """
        try:
            fields = decode_row(self.lineage.meta[rewrites.PARENT])
            before = Lineage(dict(fields.pop(META, None) or {}))
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"The rewrite_parent of {self.where} cannot be read ({error}).") from error
        return replace(self, content=fields, lineage=before)

    @cached_property
    def _parents(self) -> list[tuple[dict[str, Any], Lineage]]:
        found = []
        for number, text in enumerate(self.lineage.parent_texts, start=1):
            try:
                fields = decode_row(text)
            except (ValueError, KeyError, TypeError) as error:
                raise DatasetError(f"Parent {number} of {self.where} cannot be read ({error}).") from error
            meta = fields.pop(META, None)
            found.append((content_of(fields), Lineage(meta if isinstance(meta, dict) else {})))
        return found


def content_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's columns of a row."""
    return {name: value for name, value in row.items() if is_content(name)}
