"""Find the samples of a topic to merge with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mergeit_ops.core.columns import LANGUAGE_STAT
from mergeit_ops.core.formats import Reading
from mergeit_ops.core.merging.pairing import Group, Pairing, find_groups
from mergeit_ops.core.rows.lossless import UnencodableError, encode_row
from mergeit_ops.core.text.language import completed, language_of
from mergeit_ops.dataset.recipe_columns import column_of, path_inside, value_at
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.errors import temporary_files
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["PairingJob"]


@dataclass(frozen=True)
class PairingJob:
    """A search for groups of samples to merge.

    :param reader: reads and embeds the samples.
    :param threshold: cosine in [-1, 1] that every two samples of a group must exceed, unless groups are random.
    :param order: the order in which groups are formed.
    :param seed: seed of random groups.
    :param max_group_size: most samples in a group.
    :param ratio: share in (0, 1] of a topic's samples that should be in groups; None: all groups found.
    :param within: columns, or keys inside columns, in which the samples of a group must agree.
    :param across_languages: whether the samples of a group may be in different languages.
    """

    reader: SampleReader
    threshold: float
    order: Pairing = "best_first"
    seed: int = 42
    max_group_size: int = 2
    ratio: float | None = None
    within: tuple[str, ...] = ()
    across_languages: bool = False

    def groups(self, topic: Topic) -> list[Group]:
        """Return the groups of a topic, as positions in it."""
        readings = self.reader.readings(topic.table)
        mergeable = np.flatnonzero([reading.problem is None for reading in readings])
        if len(mergeable) < 2:
            return []
        vectors = self.reader.vectors(topic.table)[mergeable]
        ratio = self.ratio
        if ratio is not None:
            # The share refers to all rows of the topic, including those that cannot be merged.
            ratio = ratio * len(readings) / len(mergeable)
        group_keys = self._group_keys(topic, [readings[position] for position in mergeable], mergeable)
        seed = (self.seed, topic.topic_id)
        groups = find_groups(vectors, self.threshold, self.order, self.max_group_size, ratio, group_keys, seed)
        return [replace(group, members=tuple(int(mergeable[member]) for member in group.members)) for group in groups]

    def _group_keys(
        self, topic: Topic, readings: Sequence[Reading], positions: NDArray[np.int64]
    ) -> list[tuple[str, ...]]:
        """Return the values in which rows must agree to be merged, such as the system prompt.

        :param topic: the topic.
        :param readings: readings of some of its rows.
        :param positions: positions of these rows.
        """
        values = [""] * len(readings)
        if self.within:
            there = topic.table.column_names
            places = {name: (column_of(name, there) or name, path_inside(name, there)) for name in self.within}
            columns = list(dict.fromkeys(column for column, _ in places.values()))
            rows = python_rows(topic.table.select(columns).take(pa.array(positions, pa.int64())))
            values = [
                _as_key({name: value_at(row[column], path)[1] for name, (column, path) in places.items()})
                for row in rows
            ]
        languages = [""] * len(readings) if self.across_languages else _languages(topic, readings, positions)
        return [
            (reading.sample.system, reading.context, value, language)
            for reading, value, language in zip(readings, values, languages, strict=True)
        ]


def _languages(topic: Topic, readings: Sequence[Reading], positions: NDArray[np.int64]) -> list[str]:
    """Return the language of each row: the stat of Data-Juicer's `language_id_score_filter`, or that found in its
    texts."""
    stats = stats_of(topic.table)
    known = [str(stats[position].get(LANGUAGE_STAT) or "") for position in positions]
    with temporary_files("The model that tells languages"):
        return completed(
            [
                language or language_of(reading.sample.query, f"{reading.sample.query}\n{reading.sample.output}")
                for language, reading in zip(known, readings, strict=True)
            ]
        )


def _as_key(row: Mapping[str, Any]) -> str:
    """Return the values of a row as one text, which is equal for equal values."""
    try:
        return encode_row(row)
    except UnencodableError:
        return repr(row)
