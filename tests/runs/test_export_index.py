"""What an export holds, by the ids that rows had before merging."""

import json

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.rows.lineage import lineage
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.runs.export_index import first_ids, text_key
from mergeit_ops.runs.rows import Lineage

LAYOUT = resolve_format("alpaca", ["instruction", "input", "output"])


def meta(row_id, history=(), **more):
    return lineage(topic_id=0, row_id=row_id, row_order=0, **more) | {"merge_history": list(history)}


def earlier(row_id, **more):
    """Return the lineage of an earlier merge, as a row's history holds it."""
    return json.dumps({key: value for key, value in meta(row_id, **more).items() if value not in (None, [])})


def parent(row_id, **more):
    return encode_row({"instruction": row_id, META: meta(row_id, **more)})


def test_a_row_without_a_history_is_itself():
    assert list(first_ids(Lineage(meta("a")))) == ["a"]
    assert list(first_ids(Lineage({}))) == []


def test_a_row_that_was_merged_before_is_what_entered_first():
    history = earlier("m", status="merged", parents=[parent("a"), parent("b")])
    assert list(first_ids(Lineage(meta("m2", [history])))) == ["a", "b"]


def test_a_row_that_was_restored_before_is_what_it_was_then():
    assert list(first_ids(Lineage(meta("again", [earlier("a", status="restored")])))) == ["a"]


def test_merges_of_merges_are_followed_to_their_beginning():
    inner = earlier("m", status="merged", parents=[parent("a"), parent("b")])
    outer = earlier("n", status="merged", parents=[parent("m", history=[inner]), parent("c")])
    assert list(first_ids(Lineage(meta("last", [outer])))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"instruction": "A", "input": "b", "output": "x"}, {"instruction": "a", "input": "B", "output": "y"}, True),
        ({"instruction": "a", "output": "x"}, {"instruction": "b", "output": "x"}, False),
        ({"instruction": None, "output": "x"}, {"instruction": "", "output": "y"}, True),
    ],
)
def test_a_row_whose_answer_was_cleaned_is_told_by_what_it_asks(one, other, same):
    assert (text_key(LAYOUT, one) == text_key(LAYOUT, other)) is same
