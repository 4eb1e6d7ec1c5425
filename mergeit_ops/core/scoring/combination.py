"""One score from several: a weighted sum, or a product."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mergeit_ops.core.scoring.score import Score

__all__ = ["COMBINE", "PRESETS", "TURNS", "TURN_MISMATCH", "Combination"]

COMBINE = ("sum", "product")
TURNS = ("sum", "mean")

TURN_MISMATCH = "turn_mismatch"
"""Status of a row whose parts are lists of different lengths."""

_FULL_MARKS = 100.0


@dataclass(frozen=True)
class Combination:
    """The rule by which the parts of a row become its score.

    A part is a number, or a list with one number per turn of a conversation. Lists are combined turn by turn.

    :param weights: maps the name of each part to its coefficient in the sum, or its exponent in the product.
    :param combine: `sum` or `product`.
    :param intercept: constant added to the sum or the product of each turn.
    :param turns: how the scores of the turns become one score: `sum` or `mean`.
    :param full_at: maps the name of a part to the value that earns full marks, f; a value v counts as 100 * min(1, v /
        f).
    """

    weights: Mapping[str, float]
    combine: str = "sum"
    intercept: float = 0.0
    turns: str = "sum"
    full_at: Mapping[str, float] = field(default_factory=dict)

    def score(self, parts: Sequence[Any]) -> Score:
        """Return the score of a row.

        :param parts: value of each part, in the order of `weights`.
        :return: the score; without one, the status is `missing_<name>` for the first part that is not a finite number,
            `turn_mismatch`, or `not_finite`.
        """
        columns: list[list[float]] = []
        for name, part in zip(self.weights, parts, strict=True):
            values = part if isinstance(part, (list, tuple)) else [part]
            if not values or not all(map(_is_number, values)):
                return Score.missing(f"missing_{name}")
            columns.append([self._marks(name, float(value)) for value in values])
        if len({len(column) for column in columns}) > 1:
            return Score.missing(TURN_MISMATCH)
        try:
            by_turn = [self._combined(turn) for turn in zip(*columns, strict=True)]
        except (ValueError, OverflowError):  # a root of a negative number, a power of zero, or a number too large
            return Score.missing("not_finite")
        total = math.fsum(by_turn)
        value = total / len(by_turn) if self.turns == "mean" else total
        return Score(value) if math.isfinite(value) else Score.missing("not_finite")

    def _combined(self, values: Sequence[float]) -> float:
        weighted = zip(values, self.weights.values(), strict=True)
        if self.combine == "product":
            return self.intercept + math.prod(math.pow(value, exponent) for value, exponent in weighted)
        return self.intercept + math.fsum(value * weight for value, weight in weighted)

    def _marks(self, name: str, value: float) -> float:
        full = self.full_at.get(name)
        return value if full is None else _FULL_MARKS * min(1.0, value / full)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


PRESETS: Mapping[str, Combination] = {
    # The log of the loss of a model; lower is better. Parts of the first rule: reward, answer length in tokens,
    # distance to the sixth neighbour.
    "instruct_mining_v1": Combination(
        {"reward_score": -0.1498, "num_token": 8.257e-5, "knn_distance": -0.9350}, intercept=1.0694
    ),
    "instruct_mining_v2": Combination(
        {"reward_score": -0.0078, "understandability": 0.4421, "naturalness": -0.3212, "coherence": -0.1520},
        intercept=0.0274,
    ),
    "deita_evol": Combination({"deita_complexity_score": 1.0, "deita_quality_score": 1.0}, combine="product"),
    # The judge's points out of 100, and the length of the row, for which `full_at` gives the length with full marks.
    "lift_total": Combination({"lift_score": 0.9, "text_len": 0.1}),
}
"""Published rules by name. Parts have the default names of their stats."""
