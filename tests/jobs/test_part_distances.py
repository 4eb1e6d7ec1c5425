"""k-center from parts chooses the rows that it chooses with all vectors."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.k_center import KCenter
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.selection import SelectionJob
from tests.jobs.test_part_selection import READER, ROWS, VECTORS, chosen

MARKED = np.random.default_rng(6).random(ROWS) < 0.02


def job_of(budget, start="centroid", **more):
    return SelectionJob(READER, KCenter(start, partition_rows=400), budget, **more)


@pytest.mark.parametrize("start", ["centroid", "first", "random", "column"])
@pytest.mark.parametrize("budget", [50, 600])
def test_the_rows_are_those_of_one_task_whatever_the_start(start, budget):
    facts = RowFacts(chosen=MARKED) if start == "column" else RowFacts()
    rows, choice, figures = chosen(job_of(Budget(total=budget), start), facts=facts)
    expected = KCenter(start).select(Pool(VECTORS, chosen=MARKED), budget).indices
    np.testing.assert_array_equal(rows, np.sort(expected))
    assert choice.kept == budget
    assert figures["rounds"] >= 1


def test_the_order_of_the_rows_makes_no_difference():
    order = np.random.default_rng(8).permutation(ROWS)
    first, second = (chosen(job_of(Budget(ratio=0.1)), order=given)[0] for given in (None, order))
    np.testing.assert_array_equal(first, second)


def test_tokens_are_kept_to_and_rows_that_cannot_be_read_are_not_chosen():
    vectors, tokens = VECTORS.copy(), np.random.default_rng(2).integers(1, 40, ROWS)
    vectors[::10] = 0
    job = job_of(Budget(total=2_000), tokens_of="response", keeps_unreadable=False)
    rows, _, _ = chosen(job, vectors=vectors, facts=RowFacts(tokens=tokens))
    assert 1_900 < tokens[rows].sum() <= 2_000
    assert (rows % 10 != 0).all()
    readable = np.flatnonzero(np.arange(ROWS) % 10)
    expected = KCenter().select_within(Pool(vectors[readable]), tokens[readable], 2_000).indices
    np.testing.assert_array_equal(rows, np.sort(readable[expected]))


def test_duplicates_fill_the_budget_when_all_else_is_chosen():
    vectors = np.repeat(VECTORS[:300], 5, axis=0)
    rows, _, _ = chosen(job_of(Budget(total=400)), vectors=vectors)
    assert len(rows) == 400
    assert len(set((rows // 5).tolist())) == 300
