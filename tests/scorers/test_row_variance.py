"""The spread over the principal axes as a scorer."""

import numpy as np
import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.row_variance import STATISTICS, PrincipalAxes, row_statistic
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.errors import RecipeError
from mergeit_ops.scorers.row_variance import RowVariance
from tests.core.selection.toys import directions


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("components", [None, 1, 3])
def test_scores_are_the_statistic_of_the_coordinates(statistic, components):
    vectors = directions(50, 8)
    scorer = RowVariance(statistic=statistic, components=components)
    known = scorer.prepare(Pool(vectors))
    (coordinates,) = PrincipalAxes.of(vectors, components).coordinates(vectors)
    assert known == pytest.approx(row_statistic(coordinates, statistic).tolist())
    found = scorer.score([Sample("a", "", "b")] * 50, known)
    assert [score.value for (score,) in found] == known
    assert np.isfinite(known).all()


@pytest.mark.parametrize("parameters", [{"statistic": "median"}, {"components": 0}, {"components": 1.5}])
def test_parameters_that_cannot_work_are_refused(parameters):
    with pytest.raises(RecipeError, match="row_variance"):
        RowVariance(**parameters)


def test_what_changes_the_scores_is_their_identity():
    identities = [RowVariance(), RowVariance(statistic="mean_square"), RowVariance(components=2)]
    assert len({str(scorer.identity()) for scorer in identities}) == 3
