"""The merge of similar samples as a job: the same in one run and table by table."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import TableList, python_rows
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.ops import LLMPairMergerMapper
from tests.tiny_models import encoder_folder

READER = SampleReader("merger", resolve_format("auto", ["instruction", "output"]), EncoderSettings("none"))
JOB = MergeJob(READER, PairingJob(READER, threshold=0.5))


def topic(number: int, names: str, vectors: list[list[float]]) -> Topic:
    columns = {
        "instruction": [f"Do {name}." for name in names],
        "output": [f"Done {name}." for name in names],
        EMBEDDING: encode_vectors(np.array(vectors, dtype=np.float32)),
    }
    return Topic(number, pa.table(columns), {"topic_id": number})


@pytest.fixture
def topics() -> list[Topic]:
    """Two topics, in which the similar pairs are A with C and D with E."""
    return [topic(0, "ABC", [[1, 0], [0, 1], [1, 0]]), topic(1, "DE", [[0, 1], [0, 1]])]


def merged(topics: list[Topic], groups: list[list[Group]] | None = None) -> list[dict]:
    sink = TableList()
    work = JOB.begin(sink)
    JOB.merge(lambda: topics, work, groups)
    return python_rows(sink.table())


def names(row: dict) -> str:
    return "".join(letter for letter in "ABCDE" if f"Done {letter}." in row["output"])


def test_rows_do_not_depend_on_how_many_topics_come_at_once(topics):
    at_once = merged(topics)
    assert [names(row) for row in at_once] == ["AC", "B", "DE"]
    assert [row[META]["merge_status"] for row in at_once] == ["merged", "original", "merged"]
    assert [row for one in topics for row in merged([one])] == at_once


def test_groups_that_are_known_are_not_looked_for_again(topics):
    known = [[Group((1, 2), 0.0)], []]
    assert [names(row) for row in merged(topics, known)] == ["A", "BC", "D", "E"]


def test_embeddings_of_another_width_are_refused_when_a_topic_is_opened(topics):
    reader = replace(READER, encoder=EncoderSettings(encoder_folder()))
    keeping = replace(JOB, reader=reader, keep_embeddings=True)
    with pytest.raises(EmbeddingError, match=r"merger: .* of another width \(2\) than those of embedding_model \(8\)"):
        next(keeping.opened([(topics[0], [Group((0, 2), 1.0)])]))
    assert next(keeping.opened([(topics[0], [])])).topic.table.num_rows == 3


def test_no_operator_travels_with_a_job():
    operator = LLMPairMergerMapper(model_params={"base_url": "http://127.0.0.1:9/v1"})
    pickled = pickle.dumps(operator._job(READER, 0.55))
    assert b"mergeit_ops.jobs" in pickled
    assert b"mergeit_ops.ops" not in pickled
