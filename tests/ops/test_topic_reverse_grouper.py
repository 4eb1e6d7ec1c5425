"""Flattening topics without merging."""

import pytest

from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops import TopicClusterGrouper, TopicReverseGrouper
from tests.runs import make_dataset


@pytest.mark.parametrize("keep", [False, True])
def test_grouping_and_flattening_gives_every_row_back_by_topic(embedded_rows, keep):
    rows = [row | {META: {"lang": "en"}} for row in embedded_rows]
    flat = TopicReverseGrouper(keep_embeddings=keep).run(TopicClusterGrouper().run(make_dataset(rows)))
    by_id = {row["id"]: row for row in rows}
    assert sorted(flat["id"]) == sorted(by_id)
    for row in flat:
        meta = row.pop(META)
        assert meta.pop("topic_id") in range(7)
        assert len(meta.pop("row_id")) == 20
        assert meta == {"lang": "en"}
        kept = {name: value for name, value in by_id[row["id"]].items() if name != META and (keep or name != EMBEDDING)}
        assert row == kept
    topics = [meta["topic_id"] for meta in flat[META]]
    assert topics == sorted(topics)


def test_flat_rows_are_refused(embedded_rows):
    with pytest.raises(DatasetError, match="flat samples already"):
        TopicReverseGrouper().run(make_dataset(embedded_rows))
