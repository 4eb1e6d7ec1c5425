"""Names of the columns that operators hand to each other, and of the keys they write into them."""

from __future__ import annotations

ROW_ID = "mergeit_row_id"
"""Identity of a row, given by the first operator that meets it."""

EMBEDDING = "mergeit_embedding"
"""Unit vector of the row's query text, as base64 of little-endian float32."""

# Data-Juicer's own system columns. Written out because core does not import Data-Juicer; a test compares them.
META = "__dj__meta__"
STATS = "__dj__stats__"
BATCH_META = "__dj__batch_meta__"
LANGUAGE_STAT = "lang"
"""Key of the stats in which Data-Juicer's `language_id_score_filter` leaves the language of a row."""
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
    """Tell whether a column belongs to the user, not to Data-Juicer or to this package."""
    return not column.startswith(SYSTEM_PREFIX) and column not in (ROW_ID, EMBEDDING)


def is_carried(column: str) -> bool:
    """Tell whether the merger hands a column on as it is.

    Hashes of deduplicators describe the text before a merge, stats are started afresh, and metadata, row ids and
    embeddings have rules of their own.
    """
    return column not in (META, STATS, BATCH_META, ROW_ID, EMBEDDING, *HASH_COLUMNS)
