"""Rows on Ray do what rows of the default executor do, with the same results."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, ROW_ID
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.distributed.blocks import Resources
from mergeit_ops.distributed.rows import RayRows
from mergeit_ops.errors import DatasetError, EmbeddingError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.rows import ModelUse
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.recipe_runs import make_dataset

pytestmark = pytest.mark.usefixtures("ray_cluster")

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))
VECTORS = np.eye(6, dtype=np.float32)[[0, 1, 2, 2, 4, 5]]
ROWS = [
    {"instruction": "" if number == 3 else f"row {number}", "output": "x", "n": number, EMBEDDING: text}
    for number, text in enumerate(encode_vectors(VECTORS))
]


def on_ray(rows=ROWS):
    import ray

    tables = [pa.Table.from_pylist(rows[:2]), pa.Table.from_pylist(rows[2:])]
    return RayRows.of(ray.data.from_arrow(tables), Resources(), "op")


def both(rows=ROWS):
    return [LocalRows(make_dataset(rows)), on_ray(rows)]


def numbers(rows):
    return list(rows.dataset["n"]) if isinstance(rows, LocalRows) else [row["n"] for row in rows.dataset.take_all()]


def odd(table, factor):
    kept = table.filter(pa.array([number % 2 == 1 for number in table["n"].to_pylist()]))
    return kept, [number * factor for number in kept["n"].to_pylist()]


def test_rows_know_their_columns_and_number():
    here, there = both()
    assert len(here) == len(there) == 6
    assert list(here.columns) == list(there.columns)
    assert there.types["n"] == pa.int64()
    assert not there.grouped
    assert RayRows(there.blocks, ["n", BATCH_META], Resources()).grouped


def test_a_function_sees_each_row_once_and_what_it_gives_are_the_rows():
    here, there = (rows.map(odd, 10) for rows in both())
    assert numbers(here[0]) == numbers(there[0]) == [1, 3, 5]
    assert list(chain(*here[1])) == list(chain(*there[1])) == [10, 30, 50]
    assert list(chain(*there[0].tell(odd, 2, columns=["n"]))) == [2, 6, 10]


@pytest.mark.parametrize("positions", [[], [4], [0, 1, 2, 5]])
def test_rows_are_picked_out_over_all_blocks(positions):
    here, there = (rows.take(np.array(positions, dtype=np.int64), dropped=[EMBEDDING]) for rows in both())
    assert numbers(there) == positions
    assert len(here) == len(there) == len(positions)
    assert EMBEDDING not in there.columns


def test_a_choice_sees_the_vectors_of_all_blocks_with_zeros_for_what_cannot_be_read():
    found = [rows.with_vectors(READER, drops_unreadable=False) for rows in both()]
    chosen = [rows.choose(np.copy, READER) for rows, _ in found]
    expected = VECTORS.copy()
    expected[3] = 0
    np.testing.assert_array_equal(chosen[0], expected)
    np.testing.assert_array_equal(chosen[1], expected)
    assert [counts.unreadable for _, counts in found] == [1, 1]


@pytest.mark.parametrize("drops", [False, True])
def test_ids_do_not_depend_on_the_executor(drops):
    (here, _), (there, found) = (rows.identified(READER, drops) for rows in both())
    ids = [row[ROW_ID] for row in there.blocks.dataset().take_all()]
    assert ids == here.row_ids.to_pylist()
    assert len(ids) == (5 if drops else 6)
    assert found.unreadable == 1


def test_vectors_of_different_widths_are_refused():
    rows = [dict(row) for row in ROWS]
    rows[5][EMBEDDING] = encode_vectors(np.ones((1, 1), dtype=np.float32))[0]
    for all_rows in both(rows):
        with pytest.raises(EmbeddingError, match=r"^op: .*width"):
            all_rows.embedded(READER)


def processors():
    import ray

    return ray.get_runtime_context().get_assigned_resources().get("CPU")


def test_work_that_is_done_once_runs_in_one_task_a_model_on_a_whole_node():
    there = on_ray()
    assert there.once(processors) == 1
    assert there.once(processors, ModelUse("op", "cpu")) == 2


def fails():
    raise DatasetError("op: this cannot be.")


def test_an_error_of_ours_arrives_as_it_was():
    with pytest.raises(DatasetError, match=r"^op: this cannot be\.$"):
        on_ray().once(fails)
