"""Train weights on the scores of a judge, and measure them on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.scorers.agreement import Agreement, agreement_of
from mergeit_ops.scorers.distilled import DistilledModel, ScoreScale
from mergeit_ops.scorers.distilled_figures import held_out_figures
from mergeit_ops.scorers.distilled_training import (
    ScoredRow,
    TrainingSettings,
    build_training_data,
    choose_settings,
    describe_training,
    fit,
)
from mergeit_ops.scorers.familiarity import TrainedOn

if TYPE_CHECKING:
    from mergeit_ops.embedding.encoder import Encoder

__all__ = ["HELD_OUT_SHARE", "TrainedScorer", "train_on_judged"]

HELD_OUT_SHARE = 0.2

_DEITA_SPREAD = 0.726
"""Standard deviation of the Deita scores that the defaults of `TrainingSettings` were chosen on."""


@dataclass(frozen=True)
class TrainedScorer:
    """Weights, and their agreement with the judge.

    :param model: the weights.
    :param settings: of the fit.
    :param trained_on: description of the training rows.
    :param agreement: agreement with the judge on the held-out rows.
    :param figures: figures of `held_out_figures` on the same rows.
    """

    model: DistilledModel
    settings: TrainingSettings
    trained_on: TrainedOn
    agreement: Agreement
    figures: dict[str, Any]


def train_on_judged(
    rows: Sequence[ScoredRow], encoder: Encoder, scale: ScoreScale, *, deducts: bool = True, seed: int = 42
) -> TrainedScorer:
    """Choose settings and fit on four fifths of the rows, and measure on the first fifth, which is used for nothing
    else.

    :param rows: n rows, at least 100. The first k of them, for any k, must represent all rows.
    :param encoder: the embedding model.
    :param scale: of the scores.
    :param deducts: whether a spoiled answer should have a lower score.
    :param seed: seed of spoiled copies, splits and draws.
    """
    apart = round(HELD_OUT_SHARE * len(rows))
    held_out, train = np.split(np.arange(len(rows)), [apart])
    spread = float(np.std([rows[row].score for row in train]))
    # A judge that uses little of its scale is still informative, so the size of a point follows the spread of its
    # scores.
    unit = spread / _DEITA_SPREAD or 1.0
    data = build_training_data(rows, encoder, seed=seed, scale=scale, unit=unit, deducts=deducts)
    settings = choose_settings(data, train, seed=seed)
    fitted = fit(data, settings, train)
    figures, predicted = held_out_figures(data, fitted, held_out, seed=seed)
    lengths = [len(rows[row].sample.output) for row in held_out]
    agreement = agreement_of(data.targets[held_out], predicted, lengths)
    model = fitted.export(data.embedding_model, data.probe_embedding)
    return TrainedScorer(model, settings, describe_training(data, model, train), agreement, figures)
