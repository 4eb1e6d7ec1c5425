"""The tags of rows as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.tag_rows import TagRows


@pytest.mark.parametrize(
    ("tags", "names", "ids", "starts"),
    [
        ([], [], [], [0]),
        ([()], [], [], [0, 0]),
        ([("b", "a"), (), ("a", "c", "a")], ["b", "a", "c"], [0, 1, 1, 2], [0, 2, 2, 4]),
        ([("数学",), ("数学", "")], ["数学", ""], [0, 0, 1], [0, 1, 3]),
    ],
)
def test_names_are_numbered_by_first_appearance(tags, names, ids, starts):
    found = TagRows.of(tags)
    assert (found.names, found.ids.tolist(), found.starts.tolist()) == (names, ids, starts)


@given(st.lists(st.lists(st.text(max_size=2))))
def test_each_row_has_its_distinct_tags(tags):
    found = TagRows.of(tags)
    assert found.counts.tolist() == [len(set(own)) for own in tags]
    for row, own in enumerate(tags):
        part = found.ids[found.starts[row] : found.starts[row + 1]]
        assert sorted(part.tolist()) == part.tolist()
        assert {found.names[number] for number in part} == set(own)
