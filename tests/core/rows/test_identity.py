"""Row ids: equal for equal content, unequal otherwise."""

import datetime as dt
from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.rows.identity import content_digest, content_digests, group_id, number_duplicates, sample_digest
from mergeit_ops.core.sample import Sample


def test_only_what_the_user_stored_counts():
    row = {"instruction": "a", "n": 1}
    noise = {"__dj__stats__": {"x": 1}, "mergeit_row_id": "r", "mergeit_embedding": "e", "__dj__hash": "h"}
    assert content_digest(row) == content_digest({"n": 1, "instruction": "a"} | noise)
    assert content_digest(row) != content_digest({"instruction": "a", "n": 2})
    assert content_digest(row) != content_digest({"instruction": "a", "n": "1"})


def test_a_key_that_a_reader_of_files_filled_up_with_null_counts_as_missing():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]
    filled = [{"content": None, "tool_calls": None} | turn for turn in turns]
    filled[1]["tool_calls"] = [{"id": "1", "name": None}]
    assert content_digest({"messages": turns}) == content_digest({"messages": filled})
    assert content_digest({"tags": [None, "x"]}) != content_digest({"tags": ["x"]})
    assert content_digest({"a": None}) != content_digest({})


def test_values_without_a_text_form_still_have_an_id():
    assert content_digest({"a": 1j}) == content_digest({"a": 1j}) != content_digest({"a": 2j})


def test_duplicates_are_numbered_across_parts_of_a_dataset():
    assert number_duplicates(["a", "b", "a", "a"]) == ["a", "b", "a-1", "a-2"]
    seen: Counter[str] = Counter()
    assert number_duplicates(["a"], seen) + number_duplicates(["a", "b"], seen) == ["a", "a-1", "b"]


def test_a_group_has_one_id_whatever_the_order_of_its_members():
    assert group_id(["x", "y"]) == group_id(["y", "x"]) != group_id(["x", "z"])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(max_size=5)
    | st.sampled_from(["%s", "%", '"', "\\", "\x00\n\u2028", "\ud800", 1j, dt.date(2020, 1, 2), Decimal("1.0")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.text(max_size=6) | st.sampled_from(["%s", "%%", 'a"b', "__dj__stats__", "mergeit_embedding", "instruction"])


@given(st.dictionaries(NAMES, st.lists(VALUES, min_size=3, max_size=3), max_size=5))
def test_a_table_has_the_digests_of_its_rows(columns):
    rows = [{name: values[i] for name, values in columns.items()} for i in range(3)]
    assert content_digests(columns, 3) == [content_digest(row) for row in rows]


def test_ids_of_a_row_stay_what_they_were():
    row = {"instruction": 'Say "hi" in 100 %\n', "input": None, "output": "né", "n": 3, "ok": True}
    assert content_digest(row) == content_digests({name: [value] for name, value in row.items()}, 1)[0]
    assert content_digest(row) == "238d998c349092bc3e5f"


def test_each_text_of_a_sample_counts():
    samples = [Sample(*texts) for texts in (("a", "", "b"), ("a", "b", ""), ("", "a", "b"), ("a", "", "b", "s"))]
    assert len({sample_digest(sample) for sample in samples}) == 4
    assert sample_digest(Sample("a", "", "b")) == sample_digest(samples[0])
