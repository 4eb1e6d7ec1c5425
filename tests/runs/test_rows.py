"""A row of a finished run, with what is known of it."""

from pathlib import Path

import pytest

from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.core.rows.lineage import PARENT_KEPT, PARENT_WEAKEST, lineage, quality_stats
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.rows import ExportRow, Lineage, Quality, content_of


def row(meta, stats=None):
    return ExportRow(7, Path("out.jsonl"), 3, {"text": "a"}, Lineage(meta), Quality(stats or {}))


def test_a_row_without_lineage_has_nothing():
    bare, quality = Lineage({}), Quality({})
    assert (bare.status, bare.row_id, bare.topic_id, bare.similarity, bare.rejected) == (None,) * 5
    assert (bare.parent_ids, bare.parent_texts, bare.history, bare.kept) == ((), (), (), [])
    assert (quality.score, quality.ratio, quality.coverage, quality.status) == (None,) * 4


def test_lineage_and_quality_are_what_was_written():
    meta = lineage(
        topic_id=3, row_id="x", row_order=2, status="merged", parent_ids=["a", "b"], similarity=0.5, model="m"
    )
    own = Lineage(meta)
    assert (own.topic_id, own.row_id, own.row_order, own.status) == (3, "x", 2, "merged")
    assert (own.parent_ids, own.similarity, own.model) == (("a", "b"), 0.5, "m")
    quality = Quality(quality_stats(score=1.0, before=2.0, after=3.0, ratio=1.5, coverage=0.9, status="ok"))
    assert (quality.score, quality.before, quality.after, quality.ratio) == (1.0, 2.0, 3.0, 1.5)
    assert (quality.coverage, quality.reverse_ifd, quality.status) == (0.9, None, "ok")


@pytest.mark.parametrize(
    ("shares", "weakest", "kept"),
    [
        ([0.5, 1], ["input", "answer"], [(0.5, "input"), (1.0, "answer")]),
        ([0.5, None], ["input", "answer"], [(0.5, "input")]),
        ([0.5], [None], []),
        (None, ["input"], []),
        ("0.5", "input", []),
    ],
)
def test_what_a_merge_keeps_is_read_as_far_as_it_can_be(shares, weakest, kept):
    assert Lineage({PARENT_KEPT: shares, PARENT_WEAKEST: weakest}).kept == kept


def test_parents_come_back_with_their_lineage_and_without_embedding():
    texts = [encode_row({"text": "ü", EMBEDDING: "x", META: {"row_id": "a"}}), encode_row({"text": None})]
    merged = row({"merge_parents": texts})
    assert merged.parents == ({"text": "ü"}, {"text": None})
    assert [parent.row_id for parent in merged.parent_lineages] == ["a", None]


@pytest.mark.parametrize("text", ["", "{", "[1]", "7"])
def test_a_parent_that_cannot_be_read_is_named(text):
    with pytest.raises(DatasetError, match=r"Parent 2 of row 7 \(out.jsonl, line 3\) cannot be read"):
        assert row({"merge_parents": [encode_row({"text": "a"}), text]}).parents


def test_the_users_columns_are_the_content():
    assert content_of({"text": "a", META: {}, EMBEDDING: "x", "": 1}) == {"text": "a", "": 1}
