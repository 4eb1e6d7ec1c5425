"""Metadata of rewritten rows and of those that stay."""

from mergeit_ops.core.rows import rewrites
from mergeit_ops.core.rows.identity import content_digest

MADE = {"parent": "{}", "parent_id": "a", "method": "tree", "model": "m", "prompt_sha256": "0", "nodes_added": 3}


def test_every_row_has_every_key_and_keeps_those_of_others():
    for meta in (rewrites.rewritten({"topic_id": 4}, **MADE), rewrites.kept({"topic_id": 4}, "length")):
        assert set(meta) == {"topic_id", *rewrites.KEYS}
        assert meta["topic_id"] == 4


def test_a_row_that_stays_keeps_the_parent_of_an_earlier_rewriting():
    first = rewrites.rewritten({}, **MADE)
    again = rewrites.kept(first, "refused")
    assert again == first | {"rewrite_error": "refused"}
    assert rewrites.kept({}, None)["rewrite_status"] == "original"


def test_the_id_of_a_row_is_its_own_or_a_hash():
    row = {"instruction": "a", "output": "b"}
    assert rewrites.id_of(row, {}) == content_digest(row)
    assert rewrites.id_of(row, {"row_id": "r"}) == "r"
    assert rewrites.id_of(row | {"mergeit_row_id": "own"}, {"row_id": "r"}) == "own"
