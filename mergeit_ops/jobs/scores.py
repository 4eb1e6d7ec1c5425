"""Scores of rows from a stat or a column, for all selection methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.selection.scales import SCALES, ScoreCurve
from mergeit_ops.core.text.counts import agree
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.fields import Field, hidden_stats_warning
from mergeit_ops.jobs.rows import Rows

__all__ = ["RowScores", "ScoreSettings", "read_scores"]


@dataclass(frozen=True)
class ScoreSettings:
    """The recipe's settings of scores.

    :param key: a column, a key inside one after a dot, or the name of a stat.
    :param scale: one of `SCALES`.
    :param missing: what happens to rows without a score: `lowest`, `drop` or `raise`.
    """

    key: str
    scale: str = "raw"
    missing: str = "lowest"


@dataclass(frozen=True)
class RowScores:
    """The scores of a dataset's rows, on a scale that is fitted to all of them.

    :param field: field of the scores.
    :param scale: the scale.
    :param drops_missing: whether rows without a score are excluded; otherwise they get the lowest score.
    """

    field: Field
    scale: ScoreCurve
    drops_missing: bool


def read_scores(
    rows: Rows, settings: ScoreSettings, operator: str, counts: bool = True
) -> tuple[RowScores, NDArray[np.float64]]:
    """Read the scores of all rows, and fit the scale.

    :param rows: flat rows or topics.
    :param settings: the recipe's settings.
    :param operator: registry name, for messages.
    :param counts: whether scores affect the selection; otherwise they are only reported.
    :return: the scores as a job reads them, and the number of each row; NaN if it has none.
    :raises DatasetError: if the column or stat does not exist, no row has a score, a row has none and `missing` is
        `raise`, or a score on the scale `raw` is negative.
    """
    field = Field.of(settings.key, rows.columns, STATS)
    if field is None:
        raise DatasetError(
            f"{operator}: there is no column '{settings.key.split('.')[0]}' for the score_key '{settings.key}', and no "
            "stat of that name; put the operator that writes it before this one. There are the columns "
            f"{', '.join(map(repr, rows.columns))}."
        )
    if not field.path and STATS in rows.columns:
        hidden = sum(rows.tell(field.tell_hidden_stats, rows.grouped, columns=[STATS]))
        if hidden:
            logger.warning(hidden_stats_warning(operator, field.column, hidden))
    told = list(rows.tell(field.tell_numbers, rows.grouped, columns=[field.column]))
    numbers = np.concatenate([np.zeros(0), *told])
    there = numbers[~np.isnan(numbers)]
    missing = len(numbers) - len(there)
    where = f"the score_key '{settings.key}'" + (f" (the stats in {STATS})" if field.column == STATS else "")
    if missing and not len(there):
        raise DatasetError(
            f"{operator}: no sample has a number at {where}. Check the name, and that an operator before this "
            "one writes it."
        )
    if counts and missing and settings.missing == "raise":
        raise DatasetError(
            f"{operator}: {missing:,} of {len(numbers):,} samples {agree(missing, 'has', 'have')} no number at "
            f"{where}, and missing_score is raise. Set it to lowest or drop, or score these samples."
        )
    if counts and settings.scale == "raw" and len(there) and there.min() < 0:
        raise DatasetError(
            f"{operator}: a score at {where} is {there.min():g}, and on the score_scale raw no score may be negative; "
            "set it to minmax or rank."
        )
    scale = SCALES[settings.scale](there if len(there) else np.zeros(1))
    return RowScores(field, scale, settings.missing == "drop"), numbers
