"""Shared base of the selectors that use a score of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from mergeit_ops.constraints import OPTIONAL_TEXT, Constraint, OneOf
from mergeit_ops.core.selection.scales import SCALES
from mergeit_ops.jobs.scores import ScoreSettings
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.topic_selector import TopicSelector

SCORE_CONSTRAINTS: Mapping[str, Constraint] = {
    "score_key": OPTIONAL_TEXT,
    "score_scale": OneOf(tuple(SCALES)),
    "missing_score": OneOf(("lowest", "drop", "raise")),
}


class ScoredSelector(TopicSelector):
    """Base of the selectors that may use a score of each sample."""

    def __init__(
        self,
        *args: Any,
        score_key: Optional[str] = None,
        score_scale: str = "minmax",
        missing_score: str = "lowest",
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param score_key: the field that holds the quality of a sample: a column, a key inside one after a dot, or the
            name of a stat, such as `quality_score`, that an operator before this one writes. If there are both, the
            column is read, with a warning; `__dj__stats__.quality_score` is the stat. NaN counts as no score.
        :param score_scale: `minmax` maps the lowest score of the dataset to 0 and the highest to 1. `rank` does the
            same with the ranks of the scores, so that outliers have no influence. `raw` takes the scores as they are;
            they must be at least 0 and should be in [0, 1].
        :param missing_score: what happens to a sample without a score if scores count: it gets the `lowest` score of
            the dataset, is dropped (`drop`), or stops the run (`raise`).
        :param args: see `TopicSelector`.
        :param kwargs: see `TopicSelector`.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)

    @property
    def scoring(self) -> ScoreSettings | None:
        """Return the scores that the recipe asks for."""
        parameters = self.parameters
        if parameters["score_key"] is None:
            return None
        return ScoreSettings(parameters["score_key"], parameters["score_scale"], parameters["missing_score"])
