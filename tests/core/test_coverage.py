"""Coverage of parents by a merge."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mergeit_ops.core.coverage import covering_pieces, least_coverage, parent_coverage

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage_separation.py"


def test_coverage_is_the_mean_of_the_best_cosines():
    parent = np.array([(1, 0), (0, 1)], np.float32)
    merged = np.array([(0.6, 0.8), (1, 0)], np.float32)
    assert parent_coverage(parent, merged) == pytest.approx((1 + 0.8) / 2)
    assert parent_coverage(parent, parent) == pytest.approx(1)


@pytest.mark.parametrize(("p", "m"), [(0, 1), (1, 0)])
def test_without_sentences_there_is_no_coverage(p, m):
    assert parent_coverage(np.zeros((p, 2), np.float32), np.zeros((m, 2), np.float32)) is None


def test_the_parent_that_is_kept_least_counts():
    x, y = np.array([(1, 0)], np.float32), np.array([(0, 1)], np.float32)
    merged = np.array([(0.6, 0.8)], np.float32)
    assert least_coverage([x, y], merged) == pytest.approx(0.6)
    assert least_coverage([x, np.zeros((0, 2), np.float32)], merged) is None
    assert least_coverage([x], np.zeros((0, 2), np.float32)) is None


def test_a_parent_is_compared_with_sentences_and_their_clauses():
    pieces = covering_pieces("Cats sleep all day, and dogs run outside. Both eat.")
    assert pieces == [
        "Cats sleep all day, and dogs run outside.",
        "Both eat.",
        "Cats sleep all day",
        "dogs run outside.",
    ]


def test_merges_that_dropped_a_parent_are_told_from_those_that_kept_both(tmp_path, sample_rows):
    """Every way of keeping against every way of dropping, on pairs of the sample that ships."""
    spec = importlib.util.spec_from_file_location("coverage_separation", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    rows = sorted(sample_rows, key=lambda row: row["source"])[:200]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    coverage = benchmark.measure(file, pairs=48)
    assert benchmark.separation(coverage).min() >= 0.9


def test_blocks_of_sentences_change_nothing():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1_700, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parent, merge = vectors[:1_300], vectors[1_300:]
    assert parent_coverage(parent, merge) == pytest.approx(float((parent @ merge.T).max(axis=1).mean()), abs=1e-6)
