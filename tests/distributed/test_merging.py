"""Merging block by block gives the rows and figures of merging in one process."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.merging import merged
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.recipe_runs import make_dataset

pytestmark = pytest.mark.usefixtures("ray_cluster")

READER = SampleReader("merger", resolve_format("auto", ["instruction", "output"]), EncoderSettings("none"))
JOB = MergeJob(READER, PairingJob(READER, threshold=0.5))


def topic(number, names, vectors):
    return {
        "instruction": [f"Do {name}." for name in names],
        "output": [f"Done {name}." for name in names],
        EMBEDDING: encode_vectors(np.array(vectors, dtype=np.float32)),
        BATCH_META: {"topic_id": number, "batch_size": len(names)},
    }


TOPICS = [topic(0, "ABC", [[1, 0], [0, 1], [1, 0]]), topic(1, "DE", [[0, 1], [0, 1]]), topic(2, "F", [[1, 0]])]


def told(row):
    return row["instruction"], row["output"], row[META]["merge_status"], row[META]["topic_id"], row[META]["row_id"]


@pytest.mark.parametrize("cuts", [[3], [1, 2], [1, 1, 1]])
def test_rows_and_figures_do_not_depend_on_the_blocks(cuts):
    import ray

    starts = np.cumsum([0, *cuts])
    tables = [pa.Table.from_pylist(TOPICS[start : start + size]) for start, size in zip(starts, cuts, strict=False)]
    there = Manifest("merger", {})
    made = merged(Blocks([ray.put(one) for one in tables], cuts), JOB, Resources(), there, None)
    here = Manifest("merger", {})
    expected = LocalRows(make_dataset(TOPICS)).merged(JOB, here)
    rows = made.dataset().take_all()
    assert [told(row) for row in rows] == [told(row) for row in expected.dataset]
    assert [row[META]["merge_status"] for row in rows] == ["merged", "original", "merged", "original"]
    assert there.figures["merged"] == here.figures["merged"] == 2
    assert not any(STATS in row for row in rows)


def test_a_column_of_stats_stays_where_topics_bring_one():
    import ray

    brought = pa.Table.from_pylist([TOPICS[0] | {STATS: [{"n": 1}, {"n": 2}, {"n": 3}]}])
    made = merged(Blocks([ray.put(brought)], [1]), JOB, Resources(), Manifest("merger", {}), None)
    assert [STATS in row for row in made.dataset().take_all()] == [True, True]
