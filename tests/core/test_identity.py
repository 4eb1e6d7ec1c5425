"""Row ids: equal for equal content, unequal otherwise."""

from collections import Counter

from mergeit_ops.core.identity import content_digest, group_id, number_duplicates


def test_only_what_the_user_stored_counts():
    row = {"instruction": "a", "n": 1}
    noise = {"__dj__stats__": {"x": 1}, "mergeit_row_id": "r", "mergeit_embedding": "e", "__dj__hash": "h"}
    assert content_digest(row) == content_digest({"n": 1, "instruction": "a"} | noise)
    assert content_digest(row) != content_digest({"instruction": "a", "n": 2})
    assert content_digest(row) != content_digest({"instruction": "a", "n": "1"})


def test_values_without_a_text_form_still_have_an_id():
    assert content_digest({"a": 1j}) == content_digest({"a": 1j}) != content_digest({"a": 2j})


def test_duplicates_are_numbered_across_parts_of_a_dataset():
    assert number_duplicates(["a", "b", "a", "a"]) == ["a", "b", "a-1", "a-2"]
    seen: Counter[str] = Counter()
    assert number_duplicates(["a"], seen) + number_duplicates(["a", "b"], seen) == ["a", "a-1", "b"]


def test_a_group_has_one_id_whatever_the_order_of_its_members():
    assert group_id(["x", "y"]) == group_id(["y", "x"]) != group_id(["x", "z"])
