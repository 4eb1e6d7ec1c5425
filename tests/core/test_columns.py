"""Which columns belong to the user, and which a merge hands on."""

import pytest

from mergeit_ops.core.columns import (
    BATCH_META,
    EMBEDDING,
    HASH_COLUMNS,
    META,
    ROW_ID,
    STATS,
    SYSTEM_PREFIX,
    is_carried,
    is_content,
)


@pytest.mark.parametrize("column", [META, STATS, BATCH_META, EMBEDDING, ROW_ID, *HASH_COLUMNS])
def test_columns_of_data_juicer_and_of_this_package_are_neither_content_nor_carried(column):
    assert not is_content(column)
    assert not is_carried(column)


@pytest.mark.parametrize("column", ["instruction", "", "mergeit", "dj__meta__", "我的列", "text__dj__"])
def test_columns_of_the_user_are_both(column):
    assert is_content(column)
    assert is_carried(column)


def test_other_system_columns_are_handed_on():
    """Data-Juicer may need them later: the merger knows nothing of them."""
    column = SYSTEM_PREFIX + "suffix__"
    assert is_carried(column)
    assert not is_content(column)
