"""The ids of rows in blocks: which of them are repeated, as the tasks find it; no cluster is needed for that."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, ROW_ID
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.distributed import row_ids as module
from mergeit_ops.distributed.row_ids import _alike, _hashed, _identify, _number, _repeated
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def hashed(ids, first=0, parts=1):
    return _hashed._function(pa.table({ROW_ID: pa.array(ids, pa.string())}), first, parts)


@pytest.mark.parametrize(
    ("blocks", "repeated"),
    [
        ([["a", "b"], ["c"]], []),
        ([["a", "a"], ["b", "a"]], [(1, 1), (3, 2)]),
        ([[], ["ü"], [], ["ü"]], [(1, 1)]),
        ([[]], []),
    ],
)
def test_repeated_ids_are_found_over_all_blocks(blocks, repeated):
    firsts = np.cumsum([0, *map(len, blocks)])
    found = _repeated._function(*(hashed(ids, int(first)) for ids, first in zip(blocks, firsts, strict=False)))
    assert sorted(zip(*(part.tolist() for part in found), strict=True)) == repeated


def test_parts_of_all_hashes_hold_each_row_once():
    ids = [f"row {number}" for number in range(50)]
    parts = hashed(ids, parts=4)
    assert sorted(int(row) for part in parts for row in part[1]) == list(range(50))


def table(texts, vectors):
    return pa.table({"instruction": texts, "output": ["x"] * len(texts), EMBEDDING: encode_vectors(vectors)})


def test_ids_and_ordinals_are_those_of_the_default_executor():
    vectors = np.eye(4, dtype=np.float32)
    rows = table(["a", "b", "a", "a"], vectors)
    found, sketch = _identify(rows, READER, False, 0)
    numbered, _ = _number(found, (np.array([2, 3]), np.array([1, 2])))
    assert numbered[ROW_ID].to_pylist() == row_ids(rows, Counter(), "op")
    assert (sketch.rows, sketch.width, sketch.step) == (4, 4, 1)


def test_a_sketch_holds_ids_of_readable_rows_evenly_spread(monkeypatch):
    monkeypatch.setattr(module, "_SKETCH_IDS", 2)
    vectors = np.eye(5, dtype=np.float32)
    vectors[1] = 0
    rows = table([f"t{number}" for number in range(5)], vectors).append_column(ROW_ID, [["e", "d", "c", "b", "a"]])
    _, sketch = _identify(rows, READER, True, 0)
    assert (sketch.rows, sketch.step, sketch.ids) == (4, 2, ["a", "c"])


def test_a_number_that_no_float_holds_is_named_with_its_column():
    schema = pa.schema({"n": pa.float64()})
    assert _alike(pa.table({"n": [7]}), schema, "op")[0]["n"].to_pylist() == [7.0]
    with pytest.raises(DatasetError, match="op: the column 'n' is int64 in one part"):
        _alike(pa.table({"n": [2**53 + 1]}), schema, "op")
