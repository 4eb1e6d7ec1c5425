"""Flattening topics without merging."""

import pytest
from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops import DiversitySelector, TopicClusterGrouper, TopicReverseGrouper
from tests.recipe_runs import make_dataset


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


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("selected", [False, True])
def test_topics_of_data_juicers_groupers_are_numbered_and_their_duplicates_told_apart(embedded_rows, selected, noted):
    rows = [row | {"kind": f"kind {number % 3}"} for number, row in enumerate(embedded_rows[:30])]
    rows += rows[:3]
    topics = OPERATORS.modules["key_value_grouper"](group_by_keys=["kind"]).run(make_dataset(rows))
    if noted:
        # As Data-Juicer's aggregators leave topics.
        topics = topics.map(lambda topic: topic | {BATCH_META: {"count": 1}})
    if selected:
        topics = DiversitySelector(num_per_topic=11).run(topics)
    flat = TopicReverseGrouper().run(topics)
    by_topic = {(meta["topic_id"], kind) for meta, kind in zip(flat[META], flat["kind"], strict=True)}
    assert sorted(by_topic) == [(0, "kind 0"), (1, "kind 1"), (2, "kind 2")]
    assert len({meta["row_id"] for meta in flat[META]}) == len(rows)
