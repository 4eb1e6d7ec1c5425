"""The model of the vectors of topics, if the grouper has recorded it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mergeit_ops.core.columns import BATCH_META
from mergeit_ops.dataset.topics import EMBEDDING_MODEL, table_topics
from mergeit_ops.jobs.rows import Rows

__all__ = ["noted_model"]


def noted_model(rows: Rows) -> str | None:
    """Return the recorded model; None if there is none.

    :param rows: topics.
    """
    told = rows.tell(_noted, columns=[BATCH_META]) if BATCH_META in rows.columns else ()
    return next((model for model in told if model), None)


def _noted(table: pa.Table) -> tuple[None, str | None]:
    models: Sequence[str | None] = [topic.batch_meta.get(EMBEDDING_MODEL) for topic in table_topics(table)]
    return None, next((model for model in models if model), None)
