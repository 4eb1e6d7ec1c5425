"""Names of the columns that operators pass to each other, and of the keys in them."""

from __future__ import annotations

ROW_ID = "mergeit_row_id"
"""Identity of a row, assigned by the first operator that needs it."""

EMBEDDING = "mergeit_embedding"
"""Unit vector of the row's query text, as base64 of little-endian float32."""

# Data-Juicer's system columns. They are repeated here because core does not import Data-Juicer; a test compares them.
META = "__dj__meta__"
STATS = "__dj__stats__"
BATCH_META = "__dj__batch_meta__"
LANGUAGE_STAT = "lang"
"""Key of the stats for the language of a row from Data-Juicer's `language_id_score_filter`."""
SYSTEM_PREFIX = "__dj__"
HASH_COLUMNS = (
    "__dj__hash",
    "__dj__minhash",
    "__dj__simhash",
    "__dj__imagehash",
    "__dj__videohash",
    "__dj__line_hashes",
    "__dj__is_unique",
    "__dj__uid",
)


def is_content(column: str) -> bool:
    """Return whether a column belongs to the user, not to Data-Juicer or to this package."""
    return not column.startswith(SYSTEM_PREFIX) and column not in (ROW_ID, EMBEDDING)


def is_carried(column: str) -> bool:
    """Return whether the merger passes a column on unchanged.

    Hashes of deduplicators describe the text before a merge, stats start again, and metadata, row ids and embeddings
    have their own rules.
    """
    return column not in (META, STATS, BATCH_META, ROW_ID, EMBEDDING, *HASH_COLUMNS)
