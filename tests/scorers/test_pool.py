"""What every scorer among all rows must keep to."""

import numpy as np
import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.errors import ScorerError
from mergeit_ops.scorers.pool import check_pairwise, needs_of, pool_notes, pool_scores, prepared

VECTORS = np.eye(3, dtype=np.float32)
ROWS = [Sample("a", "", "b")] * 3


class Whole:
    """Scores a row by how many rows there are."""

    measures = {"whole": "whole_score"}
    note_stats = ("whole_note",)

    def prepare(self, pool):
        return [len(pool.vectors)] * len(pool.vectors)

    def score(self, samples, known):
        return [(Score(float(number)),) for number in known]

    def notes(self, known):
        return [(f"of {number}",) for number in known]


def test_each_row_gets_its_scores_and_notes():
    known = prepared(Whole(), Pool(VECTORS))
    assert pool_scores(Whole(), ROWS, known) == [(Score(3.0),)] * 3
    assert pool_notes(Whole(), known) == [{"whole_note": "of 3"}] * 3


def test_a_scorer_that_prepares_too_few_values_is_named():
    class OneShort(Whole):
        def prepare(self, pool):
            return super().prepare(pool)[1:]

    with pytest.raises(ScorerError, match="OneShort prepared 2 values for 3 rows"):
        prepared(OneShort(), Pool(VECTORS))


def test_a_scorer_that_fails_is_named():
    class Failing(Whole):
        def score(self, samples, known):
            raise KeyError("boom")

    with pytest.raises(ScorerError, match="Failing"):
        pool_scores(Failing(), ROWS, [3, 3, 3])


def test_a_scorer_without_needs_gets_the_vectors():
    assert needs_of(Whole()) == {"vectors"}


@pytest.mark.parametrize("rows", [0, 200_000])
def test_so_many_rows_can_be_compared_pair_by_pair(rows):
    check_pairwise("mine", rows)


def test_more_rows_are_refused():
    with pytest.raises(ScorerError, match=r"mine compares every row with every other .* there are 200,001"):
        check_pairwise("mine", 200_001)
