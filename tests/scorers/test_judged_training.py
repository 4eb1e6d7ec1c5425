"""Training after a judge: on its scale, on the rows that are not held out, with figures of those that are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mergeit_ops.scorers.distilled import ScoreScale, row_features
from mergeit_ops.scorers.distilled_training import ScoredRow
from mergeit_ops.scorers.judged_training import TrainedScorer, train_on_judged
from tests.scorers.distilled import HashEncoder, scored_rows

ROWS = scored_rows(150)


DEITA = ScoreScale()


def trained(rows, scale=DEITA, **parameters) -> TrainedScorer:
    return train_on_judged(rows, HashEncoder(), scale, **parameters)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def on_deita_scale() -> TrainedScorer:
    return trained(ROWS)


def on_scale(low, high) -> list[ScoredRow]:
    return [replace(row, score=low + (row.score - 1) / 5 * (high - low)) for row in ROWS]


def test_scores_that_follow_the_text_are_learnt(on_deita_scale):
    agreement = on_deita_scale.agreement
    assert (agreement.rows, on_deita_scale.trained_on.rows) == (30, 120)
    assert agreement.spearman.estimate > 0.9
    assert agreement.spearman.estimate == pytest.approx(on_deita_scale.figures["ranking"]["all"]["spearman"], abs=1e-3)
    assert on_deita_scale.figures["gate"]["random_triples"]["gamma_1"]["pairs"] == 20_000
    assert set(on_deita_scale.figures["corruptions"]) <= {
        "repeated",
        "shuffled",
        "swapped",
        "padded",
        "stuffed",
        "padded_unseen",
    }


@pytest.mark.parametrize("ends", [(0, 100), (-2, 2), (0, 1)])
def test_another_scale_gives_the_same_scorer_on_that_scale(ends, on_deita_scale):
    low, high = ends
    features = row_features([row.sample for row in ROWS], HashEncoder())  # type: ignore[arg-type]

    def shares(found: TrainedScorer, low: float, high: float) -> np.ndarray:
        return (found.model.predict(features) - low) / (high - low)

    plain, other = trained(ROWS, deducts=False), trained(on_scale(low, high), ScoreScale(low, high), deducts=False)
    np.testing.assert_allclose(shares(other, low, high), shares(plain, 1, 6), atol=1e-3)
    # Splits of trees that are equally good may fall either way.
    whole = trained(on_scale(low, high), ScoreScale(low, high))
    assert np.abs(shares(whole, low, high) - shares(on_deita_scale, 1, 6)).mean() < 0.01


def test_held_out_scores_have_no_part_in_the_weights(on_deita_scale):
    disturbed = [replace(row, score=7 - row.score) if number < 30 else row for number, row in enumerate(ROWS)]
    found = trained(disturbed)
    np.testing.assert_array_equal(found.model.dual_coefficients, on_deita_scale.model.dual_coefficients)
    np.testing.assert_array_equal(found.model.leaf_values, on_deita_scale.model.leaf_values)
    assert found.agreement.spearman.estimate < -0.9


def test_without_deduction_nothing_is_taken_off():
    found = trained(ROWS, deducts=False)
    assert found.model.leaf_values.shape[0] == 0
    width = found.model.projection.shape[0] + len(found.model.surface_mean)
    features = np.zeros((3, width), dtype=np.float32)
    assert np.isfinite(found.model.predict(features)).all()


def test_scores_without_a_ratio_have_no_figures_of_a_gate():
    found = trained(on_scale(-2, 2), ScoreScale(-2, 2, "its scores may be negative"))
    assert found.figures["gate"] == {}
    assert found.model.scale.no_ratio == "its scores may be negative"


def test_rows_that_all_have_one_score_give_that_score():
    found = trained([replace(row, score=4.0) for row in ROWS], deducts=False)
    features = row_features([row.sample for row in ROWS[:5]], HashEncoder())  # type: ignore[arg-type]
    np.testing.assert_allclose(found.model.predict(features), 4.0, atol=0.3)
    assert found.agreement.spearman.estimate == 0
    assert "too low for a gate" in found.agreement.warning()
