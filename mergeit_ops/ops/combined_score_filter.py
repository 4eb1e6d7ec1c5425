"""Combine several stats of each sample into one, and filter by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS
from loguru import logger

from mergeit_ops.constraints import MAPPING, OPTIONAL_TEXT, Constraint, Number, OneOf
from mergeit_ops.core.columns import STATS
from mergeit_ops.core.scoring.combination import COMBINE, PRESETS, TURNS, Combination
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.combining import CombineJob
from mergeit_ops.jobs.fields import Field, hidden_stats_warning
from mergeit_ops.jobs.scoring import STATUS
from mergeit_ops.ops.bounded_filter import BOUND_CONSTRAINTS, BoundedFilter
from mergeit_ops.ops.parameters import check_at_most_one, declare, set_to
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS

OP_NAME = "combined_score_filter"

_NUMBER: Constraint = Number()
_POSITIVE: Constraint = Number(low=0, low_open=True)


@OPERATORS.register_module(OP_NAME)
class CombinedScoreFilter(BoundedFilter):
    """Combine several stats of each sample into one score, and filter by it.

    The score is `intercept` plus the sum of weight times stat, or plus the product of the stats with the weights as
    exponents. It goes to `__dj__stats__` under the name that `stat` gives, with `<name>_status` (`ok`, or why there is
    no score) and `<name>_made_by`, which identifies the rule and the values that it was applied to. A sample that lacks
    one of the stats has no score. Stats may be lists with one number per turn of a conversation; they are combined turn
    by turn. This operator reads no text and runs no model. Put the operators that write the stats before it. To keep
    the highest or lowest scores, put `budget_selector` after it."""

    step = "Kept by a combined score"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **BOUND_CONSTRAINTS,
        "preset": OneOf(tuple(PRESETS), optional=True),
        "weights": MAPPING,
        "combine": OneOf(COMBINE),
        "intercept": Number(),
        "turns": OneOf(TURNS),
        "full_at": MAPPING,
        "rename": MAPPING,
        "stat": OPTIONAL_TEXT,
    }

    def __init__(
        self,
        preset: Optional[str] = None,
        weights: Optional[dict[str, float]] = None,
        combine: str = "sum",
        intercept: float = 0.0,
        turns: str = "sum",
        full_at: Optional[dict[str, float]] = None,
        rename: Optional[dict[str, str]] = None,
        stat: Optional[str] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        Set either `preset` or `weights`.

        :param preset: a published rule, which sets `weights`, `combine` and `intercept`. `instruct_mining_v1`: 1.0694 -
            0.1498 `reward_score` + 0.00008257 `num_token` - 0.935 `knn_distance`; `instruct_mining_v2`: 0.0274 - 0.0078
            `reward_score` + 0.4421 `understandability` - 0.3212 `naturalness` - 0.152 `coherence` (both arXiv
            2307.06290; a loss on a log scale, so lower is better); `deita_evol`: `deita_complexity_score` times
            `deita_quality_score` (arXiv 2312.15685); `lift_total`: 0.9 `lift_score` + 0.1 `text_len` (arXiv
            2312.11508), which needs `full_at: {text_len: ...}`.
        :param weights: mapping of each stat to its coefficient, or to its exponent if `combine` is `product`. A name is
            the key of a stat in `__dj__stats__`, a column, or a key inside a column after a dot, such as
            `scores.clarity`.
        :param combine: `sum` of weight times stat, or `product` of the stats raised to their weights.
        :param intercept: added to the sum or the product; if the stats are lists, to that of each turn.
        :param turns: how the scores of the turns become one score if the stats are lists: `sum` (DEITA) or `mean`
            (MIG). Lists of different lengths give no score, with the status `turn_mismatch`.
        :param full_at: mapping of a stat to the value that earns full marks, f. A value v of this stat then counts as
            100 * min(1, v / f). LIFT takes the 98th percentile of the lengths, which you get from `dj-analyze` with
            `percentiles: [0.98]`.
        :param rename: mapping of a stat's name in the preset to its name in your rows.
        :param stat: key of the new stat; null: the name of the preset, or `combined_score`.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if both or neither of `preset` and `weights` are given, a weight is not a number, or
            `rename` or `full_at` names a stat that is not combined.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self._rule = self._rule_of(preset)
        if self.stat in self._parts:
            raise RecipeError(
                f"{self._name}: stat is '{self.stat}', which is one of the stats that are combined; it would be "
                "overwritten. Give the new stat another name."
            )

    def _rule_of(self, preset: str | None) -> Combination:
        """Return the rule; its parts have the names that the preset gives them.

        :raises RecipeError: if the parameters do not fit together.
        """
        given = self.parameters
        full_at = self._numbers("full_at", _POSITIVE)
        weights = self._numbers("weights", _NUMBER)
        check_at_most_one(self, ("preset", "weights"))
        if preset is None and not weights:
            raise RecipeError(
                f"{self._name}: give either preset or weights, got neither; weights is a mapping such as "
                "{reward_score: 0.5, knn_distance: 1.0}."
            )
        if preset is None:
            rule = Combination(weights, given["combine"], float(given["intercept"]))
        else:
            self._refuse_beside_preset()
            rule = PRESETS[preset]
        self._check_names("full_at", full_at, rule)
        if preset is None and given["rename"]:
            raise RecipeError(
                f"{self._name}: rename renames the stats of a preset; without one, name them in weights, and "
                f"{set_to(self, 'rename', None)}."
            )
        self._check_names("rename", given["rename"] or {}, rule)
        if preset == "lift_total" and "text_len" not in full_at:
            raise RecipeError(
                f"{self._name}: the preset 'lift_total' needs full_at: {{text_len: LENGTH}}, the length that earns "
                "full marks; LIFT takes the 98th percentile of all lengths."
            )
        return replace(rule, turns=given["turns"], full_at=full_at)

    def _refuse_beside_preset(self) -> None:
        for name, default in (("combine", "sum"), ("intercept", 0.0)):
            if self.parameters[name] != default:
                raise RecipeError(
                    f"{self._name}: the preset sets {name}; {set_to(self, name, default)}, or give weights instead of "
                    "a preset."
                )

    def _numbers(self, parameter: str, constraint: Constraint) -> dict[str, float]:
        values: Mapping[str, Any] = self.parameters[parameter] or {}
        for name, value in values.items():
            if not constraint.allows(value):
                raise RecipeError(f"{self._name}: {parameter}.{name} must be {constraint}, got {value!r}.")
        return {name: float(value) for name, value in values.items()}

    def _check_names(self, parameter: str, names: Mapping[str, Any], rule: Combination) -> None:
        for name, value in names.items():
            if name not in rule.weights:
                known = ", ".join(map(repr, rule.weights))
                raise RecipeError(f"{self._name}: {parameter} has '{name}', but what is combined is {known}.")
            if parameter == "rename" and not (isinstance(value, str) and value.strip()):
                raise RecipeError(f"{self._name}: rename.{name} must be a non-empty text, got {value!r}.")

    @property
    def stat(self) -> str:
        """See `BoundedFilter`."""
        return self.parameters["stat"] or self.parameters["preset"] or "combined_score"

    @property
    def status(self) -> str:
        """See `BoundedFilter`."""
        return self.stat + STATUS

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        names = self.parameters["rename"] or {}
        return tuple(names.get(name, name) for name in self._rule.weights)

    def job_for(self, columns: Sequence[str], only_look: bool = False) -> CombineJob:
        """See `StatsFilter`."""
        fields = tuple(self._field(name, columns) for name in self._parts)
        # Data-Juicer's analyzer plots every text among the stats, and this one differs from sample to sample.
        return CombineJob(self._rule, fields, self.stat, marks=not only_look)

    def _warn(self, figures: dict[str, Any]) -> None:
        super()._warn(figures)
        for name, rows in figures.get("hidden_stats", {}).items():
            logger.warning(hidden_stats_warning(self._name, name, rows))

    def _field(self, name: str, columns: Sequence[str]) -> Field:
        field = Field.of(name, columns, STATS)
        if field is None:
            raise DatasetError(
                f"{self._name}: there is no stat and no column '{name}' to combine; put the operator that writes it "
                f"before this one. There are the columns {', '.join(map(repr, columns))}."
            )
        return field
