"""Similar tags of a dataset, for a selection by tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from mergeit_ops.core.tags.similar_pairs import MOST_TAGS, similar_pairs
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.row_facts import FactReader
from mergeit_ops.jobs.rows import Rows

__all__ = ["tag_edges"]


def tag_edges(rows: Rows, tags: FactReader, similarity: float) -> tuple[tuple[str, str, float], ...]:
    """Return the pairs of tags with similar embeddings, and their cosines.

    :param rows: flat rows or topics.
    :param tags: reader of the tags of flat rows.
    :param similarity: lowest cosine of a pair.
    :raises DatasetError: if there are too many tags to compare.
    """
    tags = replace(tags, needs=frozenset({"tags"}), tokens_of=None, readable=None)
    names = sorted(set().union(*rows.tell(_names, tags, rows.grouped, columns=tags.columns(rows.columns))))
    if len(names) > MOST_TAGS:
        raise DatasetError(
            f"{tags.reader.operator}: there are {len(names):,} tags, and the graph of edge_similarity takes at "
            f"most {MOST_TAGS:,}; put tag_normalization_mapper before this operator, or set edge_similarity to null."
        )
    first, second, cosines = similar_pairs(tags.reader.encoder.embed(names), similarity)
    return tuple(
        (names[tag], names[other], cosine)
        for tag, other, cosine in zip(first.tolist(), second.tolist(), cosines.tolist(), strict=True)
    )


def _names(table: pa.Table, tags: FactReader, grouped: bool) -> tuple[None, set[str]]:
    tables: Iterable[pa.Table] = (topic.table for topic in table_topics(table)) if grouped else (table,)
    return None, {tag for part in tables for own in tags.read(part).tags or () for tag in own}
