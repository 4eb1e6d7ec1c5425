"""The parts of a Ray dataset: the same rows in any order and in any blocks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.facility_location import FacilityLocation, objective, select
from mergeit_ops.core.selection.k_center import KCenter
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.distributed.blocks import Resources
from mergeit_ops.distributed.rows import RayRows
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.jobs.selection_run import select_from_all
from tests.jobs.test_part_selection import READER, clustered

pytestmark = pytest.mark.usefixtures("ray_cluster")

VECTORS = clustered(900)
TABLE = pa.table(
    {
        "instruction": [f"row {number}" for number in range(900)],
        "output": ["x"] * 900,
        "n": np.arange(900),
        EMBEDDING: encode_vectors(VECTORS),
    }
)


def on_ray(tables):
    import ray

    return RayRows.of(ray.data.from_arrow(tables), Resources(), "op")


def test_a_flat_selection_is_that_of_one_task_to_within_a_percent_in_any_order_and_blocks(lines):
    job = SelectionJob(READER, FacilityLocation(partition_rows=400), Budget(ratio=0.2))
    mixed = TABLE.take(np.random.default_rng(4).permutation(900))
    # A column that is null in one block is another type there, but not another content.
    blank = TABLE.slice(0, 100).append_column("note", pa.nulls(100))
    noted = TABLE.slice(100).append_column("note", pa.array([None] * 800, pa.string()))
    found = []
    for tables in ([TABLE], [mixed.slice(0, 70), mixed.slice(70)], [blank, noted]):
        selected, figures, _ = select_from_all(on_ray(tables), job, keep_embeddings=False)
        assert EMBEDDING not in selected.columns
        assert figures["partitions"] == 3
        assert figures["rows_out"] == len(selected) == 180
        found.append(sorted(row["n"] for row in selected.dataset.take_all()))
    assert found[0] == found[1]
    one = objective(VECTORS, select(VECTORS, 180).indices)
    assert objective(VECTORS, np.array(found[0])) >= 0.99 * one
    assert objective(VECTORS, np.array(found[2])) >= 0.99 * one
    assert sum("900 samples are divided into 3 partitions" in line for line in lines) == 3


def test_rows_below_the_bound_are_chosen_by_one_task_as_without_ray(lines):
    job = SelectionJob(READER, FacilityLocation(partition_rows=900), Budget(ratio=0.2))
    selected, figures, _ = select_from_all(on_ray([TABLE]), job, keep_embeddings=False)
    assert "partitions" not in figures
    expected = np.sort(select(VECTORS, 180).indices)
    assert [row["n"] for row in selected.dataset.take_all()] == expected.tolist()


def test_embeddings_of_different_widths_are_refused_by_name():
    wide = TABLE.slice(0, 450).set_column(3, EMBEDDING, pa.array(encode_vectors(np.eye(450, dtype=np.float32))))
    job = SelectionJob(READER, FacilityLocation(partition_rows=400), Budget(ratio=0.2))
    with pytest.raises(EmbeddingError, match="mixes embeddings of widths"):
        select_from_all(on_ray([wide, TABLE.slice(450)]), job, keep_embeddings=False)


def test_k_center_chooses_the_rows_of_one_task():
    job = SelectionJob(READER, KCenter(partition_rows=400), Budget(ratio=0.2))
    selected, figures, _ = select_from_all(on_ray([TABLE.slice(0, 250), TABLE.slice(250)]), job, keep_embeddings=False)
    assert figures["partitions"] == 3
    assert figures["rounds"] >= 1
    expected = np.sort(KCenter().select(Pool(VECTORS), 180).indices)
    assert [row["n"] for row in selected.dataset.take_all()] == expected.tolist()
