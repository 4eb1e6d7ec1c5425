"""Where a row comes from: keys that are always there, and a history that forgets nothing."""

import json

from mergeit_ops.core.merging.parent_kept import ParentKept
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.lineage import history, kept_parents, quality_stats, restored

MERGED = lineage.lineage(
    topic_id=3,
    row_id="merge-g",
    row_order=2,
    status=lineage.MERGED,
    group_id="g",
    parents=["{}", "{}"],
    parent_ids=["a", "b"],
    similarity=0.5,
    model="m",
    prompt_sha256="f00",
)


def test_every_key_is_in_every_row():
    """A struct column without a key in its first rows cannot take it later."""
    original = lineage.lineage(topic_id=0, row_id="a", row_order=0)
    assert set(original) == set(MERGED)
    assert original[lineage.STATUS] == lineage.ORIGINAL
    filled = {key for key, value in original.items() if value not in (None, [])}
    assert filled == {lineage.TOPIC_ID, lineage.ROW_ID, lineage.ROW_ORDER, lineage.STATUS}
    assert set(quality_stats()) == set(quality_stats(score=1.0, status="ok"))


def test_a_row_that_was_never_merged_has_no_history():
    assert history({}) == []
    assert history(lineage.lineage(topic_id=0, row_id="a", row_order=0)) == []
    assert history({lineage.HISTORY: None}) == []


def test_a_second_merge_keeps_the_first_and_changes_nothing_of_it():
    meta = dict(MERGED)
    (first,) = history(meta)
    kept = json.loads(first)
    assert kept[lineage.PARENT_IDS] == ["a", "b"]
    assert lineage.ERROR not in kept
    assert lineage.HISTORY not in kept
    again = history(meta | {lineage.HISTORY: [first], lineage.ROW_ID: "merge-h"})
    assert again[0] == first
    assert json.loads(again[1])[lineage.ROW_ID] == "merge-h"
    assert meta == MERGED


def test_history_is_readable_in_any_script():
    assert "模型" in history(MERGED | {lineage.MODEL: "模型"})[0]


def test_a_restored_parent_keeps_its_own_lineage_and_says_why():
    parent = lineage.lineage(topic_id=3, row_id="a", row_order=2) | {"mine": 1}
    kept = [ParentKept(0.9, 0.2, 1.0), ParentKept(1.0, 1.0, 0.5)]
    found = restored(parent, MERGED, "coverage", "the merge", kept)
    assert (found[lineage.ROW_ID], found[lineage.ROW_ORDER], found["mine"]) == ("a", 2, 1)
    assert found[lineage.STATUS] == lineage.RESTORED
    assert (found[lineage.GROUP_ID], found[lineage.SIMILARITY], found[lineage.MODEL]) == ("g", 0.5, "m")
    assert (found[lineage.REJECTED], found[lineage.REJECTED_TEXT]) == ("coverage", "the merge")
    assert found[lineage.PARENT_KEPT] == [parent.share for parent in kept]
    assert parent[lineage.STATUS] == lineage.ORIGINAL
    assert len(history(found)) == 1


def test_rows_that_the_gate_has_not_judged_have_empty_lists():
    assert kept_parents(()) == {lineage.PARENT_KEPT: [], lineage.PARENT_WEAKEST: []}
