"""A selection from parts chooses nearly as well as one from all rows, in any order of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.facility_location import FacilityLocation, Terms, objective, select
from mergeit_ops.core.selection.scales import SCALES
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.part_selection import Rounds, select_from_parts
from mergeit_ops.jobs.parts import Part
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.scores import RowScores
from mergeit_ops.jobs.selection import SelectionJob
from tests.held_parts import HeldParts

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))
ROWS = 1_500


def clustered(rows: int = ROWS, width: int = 24, clusters: int = 60) -> np.ndarray:
    """Unit vectors around centres of very different sizes."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(clusters, width))
    shares = 1 / np.arange(1, clusters + 1)
    made = centres[rng.choice(clusters, rows, p=shares / shares.sum())] + 0.8 * rng.normal(size=(rows, width))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


VECTORS = clustered()
SCORES = np.random.default_rng(5).random(ROWS)
TARGETS = clustered(40)


def chosen(job, most=400, order=None, facts=None, vectors=VECTORS):
    """The chosen rows by their vectors, ascending; the choice; and the figures."""
    order = np.arange(len(vectors)) if order is None else order
    parts = HeldParts.of(vectors, -(-len(vectors) // most), order)
    positions, choice, figures = select_from_parts(parts, job, (facts or RowFacts()).of(order))
    assert (np.diff(positions) > 0).all()
    return np.sort(order[positions]), choice, figures


def job_of(budget, most=400, **more):
    weights = [more.pop(name, 0.0) for name in ("score_weight", "target_weight")]
    return SelectionJob(READER, FacilityLocation("cosine", *weights, partition_rows=most), budget, **more)


@pytest.mark.parametrize("budget", [1, 12, 90, 400, 1_200])
def test_the_objective_is_that_of_one_task_to_within_a_percent_and_the_budget_is_exact(budget):
    rows, choice, figures = chosen(job_of(Budget(total=budget)))
    assert len(rows) == choice.kept == budget
    assert choice.rows == ROWS
    one = objective(VECTORS, select(VECTORS, budget).indices)
    # Of a single row, greedy finds the best; the best of a sum of rows is not always among what partitions offer.
    assert objective(VECTORS, rows) >= 0.99 * one
    assert figures["offered"] == sorted(figures["offered"], reverse=True)


def test_the_order_of_the_rows_makes_no_difference():
    order = np.random.default_rng(8).permutation(ROWS)
    first, second = (chosen(job_of(Budget(ratio=0.1)), order=given)[0] for given in (None, order))
    np.testing.assert_array_equal(first, second)


def test_scores_and_a_target_count_as_in_one_task():
    curve = SCALES["minmax"](SCORES)
    scores = RowScores(Field("score", ()), curve, drops_missing=False)
    more = {"score_weight": 0.3, "target_weight": 0.3, "scores": scores, "targets": TARGETS}
    rows, choice, _ = chosen(job_of(Budget(total=100), **more), facts=RowFacts(scores=SCORES))
    terms = Terms(0.3, curve(SCORES), 0.3, TARGETS)
    one = select(VECTORS, 100, terms=terms).indices
    assert objective(VECTORS, rows, terms=terms) >= 0.99 * objective(VECTORS, one, terms=terms)
    figures = choice.figures()
    assert figures["mean_score"] == {"chosen": round(SCORES[rows].mean(), 4), "all": round(SCORES.mean(), 4)}
    reached = np.maximum((VECTORS[rows] @ TARGETS.T).max(axis=0), 0).mean()
    assert figures["target_similarity"]["chosen"] == pytest.approx(reached, abs=1e-4)


def test_tokens_are_kept_to():
    tokens = np.random.default_rng(2).integers(1, 40, ROWS)
    rows, choice, _ = chosen(job_of(Budget(total=2_000), tokens_of="response"), facts=RowFacts(tokens=tokens))
    assert 1_900 < tokens[rows].sum() <= 2_000
    assert choice.figures()["tokens"] == {"chosen": tokens[rows].sum(), "all": tokens.sum()}


@pytest.mark.parametrize("keeps", [True, False])
def test_rows_that_cannot_be_read_are_kept_outside_the_budget_or_dropped(keeps):
    vectors = VECTORS.copy()
    vectors[::10] = 0
    rows, _, _ = chosen(job_of(Budget(ratio=0.1), keeps_unreadable=keeps), vectors=vectors)
    unreadable = rows[rows % 10 == 0]
    assert len(unreadable) == (150 if keeps else 0)
    assert len(rows) - len(unreadable) == 135
    everything, _, figures = chosen(job_of(Budget(total=9_999), keeps_unreadable=keeps), vectors=vectors)
    assert len(everything) == (1_500 if keeps else 1_350)
    assert figures == {}


def test_rows_with_the_same_content_are_in_one_partition_and_one_of_them_is_chosen():
    vectors = np.repeat(VECTORS[:300], 5, axis=0)
    hashes = np.repeat(np.random.default_rng(3).integers(0, 2**63, 300, dtype=np.uint64), 5)
    whole = Part(np.arange(ROWS), hashes, vectors)
    parts = HeldParts([part.sorted() for part in whole.divided(4)])
    positions, _, _ = select_from_parts(parts, job_of(Budget(total=60)), RowFacts().of(np.arange(ROWS)))
    assert len(set((positions // 5).tolist())) == 60


def test_a_budget_that_no_last_task_can_hold_is_split_with_a_warning(lines):
    rows, _, figures = chosen(job_of(Budget(total=700)))
    assert len(rows) == 700
    assert figures["offered"] == []
    assert "4 partitions choose their shares of 700" in lines[-1]


def test_rounds_end_with_one_task_or_with_partitions_that_choose():
    few = Rounds(200_000, 10_000)
    assert [few.partitions(100_000_000), few.offered(100_000_000, 500)] == [500, 10_000_000]
    assert [few.partitions(10_000_000), few.offered(10_000_000, 50)] == [50, 1_000_000]
    assert [few.partitions(1_000_000), few.offered(1_000_000, 5)] == [5, 100_000]
    assert [few.partitions(100_000), few.offered(100_000, 1)] == [1, None]
    many = Rounds(200_000, 20_000_000)
    assert many.offered(100_000_000, 500) == 50_000_000
    # A round would leave less than twice the budget.
    assert many.offered(50_000_000, 250) is None
    assert Rounds(200_000, 5).offered(300_000, 2) == 2_000
    # Some rows cannot be read, so fewer are left than one task may hold.
    assert Rounds(200_000, 5).offered(190_000, 2) == 2_000
