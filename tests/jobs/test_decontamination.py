"""Comparing the rows of a table with benchmarks."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.contamination import ContaminationBounds
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.benchmark_rows import BenchmarkRow
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import json_array
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.jobs.decontamination import BenchmarkIndex, Benchmarks, DecontaminationJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))
QUESTION = "Which river flows through the city of Vienna"
BENCHMARK = (BenchmarkRow("b.jsonl", 3, QUESTION, "The Danube"), BenchmarkRow("b.jsonl", 4, "Name a colour", "Red"))
VECTORS = np.eye(3, dtype=np.float32)[:2]


def run(instructions, vectors=None, n=5, ngram=0.0, similarity=None, stats=None):
    columns = {"instruction": instructions, "output": ["x"] * len(instructions)}
    columns |= {} if vectors is None else {EMBEDDING: encode_vectors(np.array(vectors, dtype=np.float32))}
    columns |= {} if stats is None else {STATS: json_array(stats)}
    index = BenchmarkIndex(Benchmarks(BENCHMARK, None if similarity is None else VECTORS), n)
    job = DecontaminationJob(READER, index, ContaminationBounds(ngram if n else None, similarity))
    scored = job.run(pa.table(columns))
    return stats_of(scored.table), scored


def test_words_in_a_row_of_a_benchmark_are_found_with_their_place():
    (found, clean), _ = run([f"Tell me: {QUESTION.lower()}?", "Which tree grows in the city of Rome"])
    assert found["contamination_status"] == "ngram"
    assert found["contamination_ngram"] > 0.9
    assert found["contamination_source"] == "b.jsonl:3"
    assert clean["contamination_status"] == "clean"


def test_a_benchmark_in_a_trace_in_a_column_of_its_own_is_found():
    layout = resolve_format("alpaca", ["instruction", "output", "thinking"])
    index = BenchmarkIndex(Benchmarks(BENCHMARK, None), 5)
    job = DecontaminationJob(SampleReader("op", layout, EncoderSettings("none")), index, ContaminationBounds(0.0, None))
    rows = pa.table(
        {"instruction": ["a", "b"], "output": ["x", "x"], "thinking": [f"They ask: {QUESTION}?", "No idea."]}
    )
    assert [row["contamination_status"] for row in stats_of(job.run(rows).table)] == ["ngram", "clean"]


def test_questions_that_mean_the_same_are_found_by_their_vectors():
    (found, other), _ = run(["a", "b"], [(1, 0, 0), (0, 0, 1)], n=None, similarity=0.9)
    assert (found["contamination_status"], found["contamination_similarity"]) == ("similarity", 1.0)
    assert other["contamination_status"] == "clean"


def test_stats_of_an_earlier_look_are_replaced_and_others_stay():
    (found,), _ = run(["a"], stats=[{"own": 1, "contamination_status": "both", "contamination_source": "old"}])
    assert found["own"] == 1
    assert found["contamination_status"] == "clean"
    assert "contamination_source" not in found


def test_embeddings_of_another_width_are_a_sentence():
    with pytest.raises(EmbeddingError, match="op: "):
        run(["a"], [(1, 0)], n=None, similarity=0.9)


def test_no_rows_have_no_overlap():
    found, scored = run([])
    assert found == []
    assert scored.table.num_rows == 0
