"""Combine stats of each row of a table into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.core.scoring.combination import Combination
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import JSON, json_array, python_rows, set_column
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.scoring import DIGEST_LENGTH, Scored, stat_entries, stat_types

__all__ = ["CombineJob"]


@dataclass(frozen=True)
class CombineJob:
    """Adds a combination of some stats to the stats of each row.

    :param rule: how.
    :param fields: field of each part of the rule, in the order of its weights.
    :param stat: key of the new stat.
    :param marks: whether the rows get a digest of the rule and its parts.
    """

    rule: Combination
    fields: tuple[Field, ...]
    stat: str
    marks: bool

    def features(self, features: Features) -> Features:
        """See `ScoringJob`."""
        return Features({**features, STATS: JSON})

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """See `ScoringJob`."""
        return iter(tables)

    def run(self, table: pa.Table) -> Scored:
        """See `ScoringJob`."""
        columns = dict.fromkeys(field.column for field in self.fields)
        rows = [tuple(field.value_in(row) for field in self.fields) for row in python_rows(table.select([*columns]))]
        scores = [self.rule.score(parts) for parts in rows]
        stats = [
            old | stat_entries((self.stat,), (score,), self._made_by(parts))
            for old, score, parts in zip(stats_of(table), scores, rows, strict=True)
        ]
        missing = Counter(score.status for score in scores if score.value is None)
        hidden = {field.column: count for field in self.fields if (count := field.hidden_stats(table))}
        figures = {"unscored": dict(missing)} | ({"hidden_stats": hidden} if hidden else {})
        return Scored(set_column(table, STATS, json_array(stats)), figures)

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """See `ScoringJob`."""
        return stat_types((self.stat,))

    def _made_by(self, parts: tuple[Any, ...]) -> str | None:
        if not self.marks:
            return None
        return content_digest({"rule": repr(self.rule), "parts": repr(parts)})[:DIGEST_LENGTH]
