"""The export compared with the input: the same draw for both, and no difference if they are the same."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.report.sampling import Sketch, text_key
from mergeit_ops.report.sections.beside import build, compare
from tests.report.exports import original, surveyed, write_export

X = np.eye(4, dtype=np.float32)


def test_what_went_in_is_told_from_the_export_or_from_the_input(whole_run):
    export, data = whole_run
    run = surveyed(export, sample=500)
    from_export = build(run).values
    assert from_export["reference"] == "what entered the merger"
    assert from_export["comparison"].pool.rows == run.survey.rows_entered
    from_input = build(surveyed(export, sample=500, inputs=[data])).values["comparison"]
    assert (from_input.pool.rows, from_input.share) == (120, 1)
    assert from_input.pool.coverage == pytest.approx(1, abs=1e-6)
    assert from_input.drawn.rows == from_input.result.rows
    assert from_input.drawn.coverage < 1


def test_in_and_out_are_thinned_alike(whole_run):
    export, data = whole_run
    run = surveyed(export, sample=60, inputs=[data])
    comparison = build(run).values["comparison"]
    assert comparison.share == pytest.approx(0.5, abs=0.1)
    assert comparison.drawn.rows == round(comparison.share * run.survey.rows)
    assert comparison.result.rows == pytest.approx(comparison.drawn.rows, abs=12)


def test_a_selection_alone_is_not_compared_with_itself(tmp_path):
    run = surveyed(write_export(tmp_path / "e.jsonl", [original(0, name) for name in "abcdef"]), sample=9)
    assert build(run) is None
    assert any("--input" in note for note in run.notes)


def test_without_a_sample_nothing_is_embedded(whole_run):
    run = surveyed(whole_run[0], embedding_model="./no-such-model")
    assert build(run) is None
    assert any("--sample 0" in note for note in run.notes)


def test_more_rows_out_than_in_can_be_compared():
    comparison = compare(X[:2], 2, X, X, 4, ("in", "drawn", "out"))
    assert (comparison.pool.rows, comparison.drawn.rows, comparison.result.rows) == (2, 2, 4)
    assert comparison.result.coverage == 1


@pytest.fixture(scope="module")
def pool():
    """4,000 unit vectors around 200 centres."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 16)).repeat(20, axis=0) + rng.normal(scale=0.5, size=(4000, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def compared(pool, rows, sample):
    """Compare rows of an export, each a list of the pool's rows that it stands for, with the pool."""
    sketches = [Sketch(sample) for _ in range(3)]
    whole, result, covering = sketches
    for row in range(len(pool)):
        whole.add(text_key(str(row), 0), row)
    for row in rows:
        keys = [text_key(str(parent), 0) for parent in row]
        covering.add(min(keys), row)
        result.add(text_key(" ".join(map(str, row)), 0), row)
    bound = min(sketch.bound for sketch in sketches)

    def vectors(found):
        means = np.array([pool[row].mean(axis=0) for row in found])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    return compare(
        pool[whole.below(bound)],
        len(pool),
        vectors(result.below(bound)),
        vectors(covering.below(bound)),
        len(rows),
        ("in", "drawn", "out"),
    )


@pytest.mark.parametrize("sample", [400, 4000])
def test_rows_drawn_at_random_do_as_well_as_rows_drawn_at_random(pool, sample):
    kept = np.random.default_rng(2).permutation(4000)[:2000]
    found = compared(pool, [[row] for row in kept.tolist()], sample)
    assert found.share == pytest.approx(sample / 4000, abs=0.03)
    assert found.result.rows == pytest.approx(found.drawn.rows, rel=0.2)
    assert found.result.coverage == pytest.approx(found.drawn.coverage, abs=0.02)
    assert found.result.redundancy == pytest.approx(found.drawn.redundancy, abs=0.05)
    assert not found.coverage_gain.excludes_zero
    assert not found.redundancy_gain.excludes_zero


def test_rows_of_every_centre_cover_more_than_random_ones_and_repeat_less(pool):
    found = compared(pool, [[row] for row in range(0, 4000, 20)], 4000)
    assert (found.result.rows, found.drawn.rows) == (200, 200)
    assert found.coverage_gain.estimate == pytest.approx(found.result.coverage - found.drawn.coverage, abs=1e-6)
    assert found.coverage_gain.low > 0
    assert found.redundancy_gain.estimate == pytest.approx(found.result.redundancy - found.drawn.redundancy)
    assert found.redundancy_gain.high < 0
    # Copies of one row are worse than random rows in both.
    copies = compared(pool, [[0]] * 200, 4000)
    assert copies.coverage_gain.high < 0
    assert copies.redundancy_gain.low > 0


def test_a_single_row_has_no_interval_of_its_redundancy():
    comparison = compare(X, 4, X[:1], X[:1], 1, ("in", "drawn", "out"))
    assert (comparison.redundancy_gain.low, comparison.redundancy_gain.high) == (None, None)
    assert comparison.coverage_gain.low is not None


def test_merges_cover_their_parents_in_a_thinned_set_as_in_the_whole(pool):
    pairs = [[row, row + 1] for row in range(0, 4000, 2)]
    thinned, whole = compared(pool, pairs, 400), compared(pool, pairs, 4000)
    assert whole.share == 1
    assert thinned.result.coverage == pytest.approx(whole.result.coverage, abs=0.02)
    assert thinned.result.coverage > thinned.drawn.coverage + 0.05
