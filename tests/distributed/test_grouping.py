"""Topics of a Ray dataset: sampled for the fit and shuffled over tasks, they are those of the default executor."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, ROW_ID
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.topics.clustering import TopicModel
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.grouping import RayIdentifiedRows, _cutoff_for
from mergeit_ops.distributed.row_ids import IdSketch
from mergeit_ops.jobs.identified_rows import LocalIdentifiedRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.recipe_runs import make_dataset

READER = SampleReader("grouper", resolve_format("auto", ["instruction", "output"]), EncoderSettings("none"))
CENTROIDS = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
MODEL = TopicModel(KMeans(3, init=CENTROIDS, n_init=1).fit(CENTROIDS), None)


def sketch(ids, step):
    """What a block tells of its ids: every `step`-th, in order."""
    return IdSketch(len(ids), 1_000, 2, sorted(ids)[::step], step)


@given(
    st.lists(st.sets(st.integers(0, 999), min_size=1, max_size=40), min_size=1, max_size=5),
    st.integers(1, 7),
    st.integers(1, 60),
)
def test_enough_ids_lie_at_or_below_the_cutoff_and_few_more(blocks, step, size):
    # An id of one block only: numbers of several blocks are told apart.
    ids = [[f"{number:03d}-{block}" for number in numbers] for block, numbers in enumerate(blocks)]
    cutoff = _cutoff_for([sketch(one, step) for one in ids], size)
    everything = sorted(row_id for one in ids for row_id in one)
    below = [row_id for row_id in everything if cutoff is None or row_id <= cutoff]
    assert len(below) >= min(size, len(everything))
    assert len(below) <= size + step * len(blocks)


def table(numbers):
    vectors = np.array([[[1, 0], [0, 1], [-1, 0], [0, 0]][number % 4] for number in numbers], dtype=np.float32)
    names = [f"row {number:02d}" for number in numbers]
    texts = ["" if number % 4 == 3 else name for number, name in zip(numbers, names, strict=True)]
    return pa.table({"instruction": texts, "output": names, ROW_ID: names, EMBEDDING: encode_vectors(vectors)})


def on_ray(*tables, embedding_model=None):
    import ray

    blocks = Blocks([ray.put(one) for one in tables], [len(one) for one in tables])
    sketches = [sketch([row for row in one[ROW_ID].to_pylist() if int(row[-2:]) % 4 != 3], 2) for one in tables]
    return RayIdentifiedRows(blocks, sketches, Resources(), embedding_model)


def here(*tables):
    rows = [row for one in tables for row in one.to_pylist()]
    return LocalIdentifiedRows.of(make_dataset(rows), READER, drops_unreadable=False)[0]


def topics_of(dataset):
    """Each topic's number, and its rows in order."""
    rows = dataset.take_all() if hasattr(dataset, "take_all") else python_rows(dataset.with_format("arrow")[:])
    return sorted((row[BATCH_META]["topic_id"], list(row["output"])) for row in rows)


TABLES = (table([5, 0, 3, 2]), table([9, 1, 6]), table([4, 7, 8]))


def test_topics_and_their_sizes_are_those_of_the_default_executor(ray_cluster):
    made, sizes = on_ray(*TABLES).topics(MODEL)
    expected, local_sizes = here(*TABLES).topics(MODEL)
    assert topics_of(made) == topics_of(expected)
    assert topics_of(made)[0] == (0, ["row 00", "row 04", "row 08"])
    assert topics_of(made)[-1] == (3, ["row 03", "row 07"])
    assert sizes.tolist() == local_sizes.tolist() == [3, 3, 2, 2]


def test_topics_note_the_model_of_their_vectors_where_it_is_known(ray_cluster):
    notes = [row[BATCH_META] for row in on_ray(TABLES[0], embedding_model="m").topics(MODEL)[0].take_all()]
    assert {note["embedding_model"] for note in notes} == {"m"}
    assert {note["batch_size"] for note in notes} == {1}
    unknown = on_ray(TABLES[0]).topics(MODEL)[0].take_all()
    assert not any("embedding_model" in row[BATCH_META] for row in unknown)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_centroids_are_fitted_on_the_rows_of_the_default_executor(ray_cluster, size):
    found = on_ray(*TABLES).with_lowest_ids(size)
    assert found.tolist() == here(*TABLES).with_lowest_ids(size).tolist()
