"""From a topic and its merges to flat rows with their lineage."""

from __future__ import annotations

import pyarrow as pa
import pytest
from datasets import Features, Value

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.rows.lossless import UnencodableError, decode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.merge_table import (
    Merge,
    TopicMerges,
    agreed,
    decode_candidate,
    encode_candidate,
    flat_table,
    merged_features,
    merged_row,
)
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.dataset.topics import Topic

COLUMNS = ["instruction", "output", "source"]
LAYOUT = resolve_format("alpaca", COLUMNS)
NO_COLUMNS = DerivedColumns.parse(None)
ANSWER = Sample("Both?", "", "Both.")


def topic(*, groups=((0, 2),), keep=False, **columns) -> TopicMerges:
    table = pa.table(
        {"instruction": ["A?", "B?", "C?"], "output": ["A", "B", "C"], "source": ["s", "t", "s"], **columns}
    )
    readings = [LAYOUT.read(row) for row in python_rows(table)]
    made = [Group(members, 0.75) for members in groups]
    found = TopicMerges(Topic(4, table, {}), ["a", "b", "c"], readings, made, keep_embeddings=keep)
    for number in range(len(made)):
        found.encode_parents(number)
    return found


def flat(merges, embed=None, derived=NO_COLUMNS):
    found = flat_table(merges, LAYOUT, embed, derived)
    return python_rows(found.table), found


def test_a_merge_stands_where_its_first_parent_stood():
    merges = topic()
    merges.merges[0] = Merge((ANSWER,), model="m", prompt_sha256="sha")
    rows, found = flat(merges)
    assert [row["instruction"] for row in rows] == ["Both?", "B?"]
    assert [row["source"] for row in rows] == ["s", "t"]
    meta = rows[0][META]
    assert (meta["merge_parent_ids"], meta["topic_id"], meta["row_order"]) == (["a", "c"], 4, 0)
    assert (meta["merge_similarity"], meta["merge_model"], meta["merge_prompt_sha256"]) == (0.75, "m", "sha")
    assert [decode_row(text)["instruction"] for text in meta["merge_parents"]] == ["A?", "C?"]
    assert rows[1][META]["row_id"] == "b"
    assert [row[STATS] for row in rows] == [{}, {}]
    assert list(found.merges) == [meta["row_id"]]
    assert meta["row_id"] not in ("a", "b", "c")


def test_a_value_in_which_parents_differ_is_null_and_counted():
    merges = topic(source=["s", "t", "u"])
    merges.merges[0] = Merge((ANSWER,))
    rows, found = flat(merges)
    assert rows[0]["source"] is None
    assert found.emptied == {"source": 1}


def test_a_failed_merge_leaves_its_parents_as_they_were():
    merges = topic()
    merges.merges[0] = Merge(error="refused")
    rows, found = flat(merges)
    assert [row["instruction"] for row in rows] == ["A?", "B?", "C?"]
    assert [row[META]["merge_error"] for row in rows] == ["refused", None, "refused"]
    assert rows[0][META]["merge_group_id"] == rows[2][META]["merge_group_id"] == merges.id_of(0)
    assert (found.merges, found.emptied) == ({}, {})


def test_the_history_of_a_row_goes_on():
    merges = topic(**{META: [{"merge_status": "merged", "mine": 1}, {"mine": 1}, {"mine": 2}]}, groups=())
    first, second, _ = flat(merges)[0]
    assert len(first[META]["merge_history"]) == 1
    assert "merge_history" not in second[META]
    assert first[META]["mine"] == 1


def test_derived_columns_are_made_anew_and_travel_with_further_answers():
    derived = DerivedColumns.parse({"source": "{instruction} -> {output}"})
    merges = topic()
    merges.merges[0] = Merge((ANSWER, Sample("Other?", "", "Other.")))
    rows, _ = flat(merges, derived=derived)
    assert rows[0]["source"] == "Both? -> Both."
    (candidate,) = rows[0][META]["merge_candidates"]
    assert decode_candidate(candidate, "S") == (Sample("Other?", "", "Other.", "S"), {"source": "Other? -> Other."})


def test_a_merge_gets_a_new_embedding():
    merges = topic(**{EMBEDDING: ["aaaa", "bbbb", "cccc"]}, keep=True)
    merges.merges[0] = Merge((ANSWER,))
    assert [row[EMBEDDING] for row in flat(merges, embed=lambda samples: ["mmmm"])[0]] == ["mmmm", "bbbb"]


def test_a_row_without_a_text_form_is_not_taken_down():
    with pytest.raises(UnencodableError):
        topic(at=pa.array([1, 2, 3], pa.time64("ns")))


def test_a_topic_is_complete_when_every_group_has_its_outcome():
    merges = topic()
    assert not merges.complete
    merges.merges[0] = Merge()
    assert merges.complete
    assert topic(groups=()).complete


def test_rows_agree_key_by_key():
    assert agreed([{"a": 1, "b": 2}, {"a": 1, "b": 3}]) == {"a": 1, "b": None}
    assert agreed([{"a": 1, "b": 2}, {"a": 1}], missing_is_null=False) == {"a": 1}
    assert agreed([{"a": None}]) == {"a": None}


def test_a_merged_row_has_only_columns_of_its_parents():
    parents = [{"instruction": "a", "output": "b", "source": "s"}] * 2
    assert merged_row(LAYOUT, Sample("c", "more", "d", "S"), parents) == {
        "instruction": "c\n\nmore",
        "output": "d",
        "source": "s",
    }


def test_a_further_answer_without_derived_columns_is_its_text():
    assert decode_candidate(encode_candidate(ANSWER, {}), "") == (ANSWER, {})
    assert "derived_columns" not in encode_candidate(ANSWER, {})


@pytest.mark.parametrize("keep", [True, False])
def test_the_types_of_flat_rows(keep):
    given = Features({"instruction": Value("string"), EMBEDDING: Value("string"), "__dj__hash": Value("string")})
    names = ["instruction", *([EMBEDDING] if keep else []), META, STATS]
    assert list(merged_features(given, keep)) == names
