"""Counts of rows without a text to embed."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.errors import DatasetError

LAYOUT = resolve_format("alpaca", ["instruction", "output"])
TABLE = pa.table({"instruction": ["a", None, "c", "x" * 500]})


def counts(texts, first_row=0, vectors=None, table=TABLE):
    vectors = None if vectors is None else np.array(vectors)
    return Readability.of(np.array(texts, dtype=bool), lambda row: table.slice(row, 1), LAYOUT, first_row, vectors)


def test_the_first_row_without_a_text_is_the_example():
    found = counts([True, False, True, False], first_row=100)
    assert found == Readability(4, 2, 0, (101, "instruction", "None"))
    shown = counts([True, True, True, False]).example[2]
    assert len(shown) < 150
    assert shown.endswith("x ...")
    assert counts([False], table=pa.table({"other": [1]})).example == (0, "instruction", "no such column")


def test_zero_vectors_of_texts_count_and_vectors_without_a_text_mislead():
    found = counts([True, True, False, False], vectors=[True, False, True, False])
    assert (found.rows, found.unreadable, found.zero_vectors, found.misleading) == (4, 3, 1, 1)


def test_parts_add_up_to_the_whole():
    texts = [True, True, False, True, False, False]
    table = pa.table({"instruction": ["a", "b", None, "d", 5 * " ", ""]})
    whole = counts(texts, table=table)
    parts = [counts(texts[start : start + 2], table=table.slice(start, 2)) for start in (0, 2, 4)]
    assert Readability.of_consecutive(parts) == whole
    assert Readability.of_parts([]) == Readability() == Readability.of_consecutive([])
    assert Readability().behind(9) == Readability()


def test_all_readable_rows_have_no_figures_and_no_warning(lines):
    found = counts([True] * 4)
    found.check("op", dropped=False)
    assert found.figures() == {}
    assert lines == []


@pytest.mark.parametrize(("dropped", "fate"), [(True, "dropped, because"), (False, "kept outside the budget")])
def test_half_of_the_rows_may_be_unreadable(dropped, fate, lines):
    found = counts([True, False, False, True])
    found.check("op", dropped)
    assert found.figures() == {"unreadable": 2}
    (line,) = lines
    assert line.startswith("op: 2 of 4 rows have no text that can be read (row 1, column 'instruction': None)")
    assert fate in line


def test_more_than_half_are_refused_with_the_cure():
    with pytest.raises(DatasetError, match=r"op: 3 of 4 rows have no text.*set sample_format") as caught:
        counts([False, False, False, True]).check("op", dropped=True)
    assert "zero vector" not in str(caught.value)
    with pytest.raises(DatasetError, match="zero vector instead of an embedding; embed the rows again"):
        counts([True] * 4, vectors=[False, False, False, True]).check("op", dropped=False)
