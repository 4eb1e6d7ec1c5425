"""Grouping samples into topics."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.jobs.grouping import GroupingJob, group_into_topics
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.core.selection.toys import directions
from tests.recipe_runs import make_dataset

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def grouped(vectors, texts=None, **parameters):
    rows = [
        {"instruction": f"q{row}" if texts is None else texts[row], "output": "x", EMBEDDING: vector}
        for row, vector in enumerate(encode_vectors(vectors))
    ]
    return group_into_topics(LocalRows(make_dataset(rows)), GroupingJob(READER, **parameters))


def test_rows_of_one_direction_are_one_topic():
    vectors = np.repeat(np.eye(3, dtype=np.float32), [4, 2, 3], axis=0)
    topics, figures, sizes = grouped(vectors, num_clusters=3, pca_variance=None)
    assert sorted(sizes) == [2, 3, 4]
    assert sorted(len(texts) for texts in topics["instruction"]) == [2, 3, 4]
    assert figures == {"rows_in": 9, "topics": 3, "smallest_topic": 2, "largest_topic": 4}


def test_topics_that_no_row_is_in_are_counted():
    _, figures, sizes = grouped(np.repeat(np.eye(2, dtype=np.float32), 3, axis=0), num_clusters=5, pca_variance=None)
    assert figures["topics"] == 2
    assert figures["empty_topics"] == 3
    assert sum(sizes) == 6


@pytest.mark.parametrize(("drops", "sizes"), [(False, 10), (True, 9)])
def test_rows_that_cannot_be_read_have_a_topic_of_their_own_or_are_dropped(drops, sizes):
    vectors = directions(10)
    vectors[4] = 0
    texts = [f"q{row}" if row != 4 else "" for row in range(10)]
    topics, figures, found = grouped(vectors, texts, num_clusters=2, drops_unreadable=drops)
    assert sum(found) == sizes
    assert figures["unreadable"] == 1
    assert sum(map(len, topics["instruction"])) == sizes


def test_no_rows_have_no_topics():
    dataset = make_dataset([{"instruction": "a", "output": "x", EMBEDDING: encode_vectors(directions(1))[0]}]).select(
        []
    )
    topics, figures, sizes = group_into_topics(LocalRows(dataset), GroupingJob(READER))
    assert (len(topics), sizes) == (0, [])
    assert figures["topics"] == 0
