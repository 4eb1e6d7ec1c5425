"""What the record of a run says of the gate's rows."""

from types import SimpleNamespace

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.rows.identity import sample_digest
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.gate_record import GateRecord

LAYOUT = resolve_format("alpaca", ["instruction", "output"])
MERGED = Sample("Both?", "", "Both.")


def verdict(row_id, rejected=None):
    """Return a merge of a and b as the gate sees it, and what is decided."""
    meta = {"row_id": row_id, "merge_parent_ids": ["a", "b"]}
    return SimpleNamespace(meta=meta, candidates=(MERGED,)), SimpleNamespace(
        decision=SimpleNamespace(rejected=rejected)
    )


def noted(before, after, *verdicts, rebuilt=None):
    record = GateRecord()
    record.gated(
        [{"row_id": row_id} for row_id in before],
        [{"row_id": row_id} for row_id in after],
        verdicts,
        rebuilt or {},
        LAYOUT,
        ["n"],
    )
    return record


def test_an_accepted_merge_is_told_by_its_text_and_a_rejected_one_by_its_parents():
    details = noted(["m", "r"], ["m", "a", "b"], verdict("m"), verdict("r", "score")).details([True] * 3)
    assert details["accepted"] == {"m": {"parents": ["a", "b"], "text": sample_digest(MERGED)}}
    assert details["restored"] == {"r": ["a", "b"]}
    assert (details["entered"], details["left"], details["dropped"]) == (["m", "r"], ["m", "a", "b"], [])
    assert details["inexact"] == ["n"]


def test_a_merge_whose_row_was_made_anew_is_told_by_its_columns():
    row = {"instruction": "New?", "output": "New."}
    details = noted(["m"], ["m"], verdict("m"), rebuilt={"m": row}).details([True])
    assert details["accepted"]["m"]["text"] == sample_digest(Sample("New?", "", "New."))
    assert details["accepted"]["m"]["row"]


def test_rows_that_do_not_stay_are_dropped_on_record():
    details = noted(["a", "b", None], ["a", None, "b"]).details([False, True, True])
    assert (details["left"], details["dropped"], details["entered"]) == (["b"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="zip"):
        noted(["a"], ["a"]).details([])


def test_rows_without_ids_leave_no_record():
    assert noted([None, ""], [None, None]).details([True, True]) == {}


def test_tables_of_one_run_are_noted_together():
    record = noted(["a"], ["a"])
    record.gated([{"row_id": "b"}], [{"row_id": "b"}], (), {}, LAYOUT, ["k"])
    assert record.details([True, False])["entered"] == ["a", "b"]
    assert record.details([True, False])["inexact"] == ["k", "n"]
