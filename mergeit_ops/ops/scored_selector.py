"""What selectors share that know a score of each sample."""

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
    """Base of selectors that may ask for a score of each sample."""

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

        :param score_key: the quality of a sample: a column, a key inside one after a dot, or the name of a stat, such
            as `quality_score`, that an operator before this one writes. NaN counts as no score.
        :param score_scale: `minmax` maps the lowest score of the dataset to 0 and the highest to 1, `rank` likewise by
            rank, which outliers do not spoil. `raw` takes scores as they are, at least 0 and best in [0, 1].
        :param missing_score: what happens to a sample without a score if quality counts: it gets the `lowest` score of
            the dataset, is dropped and not chosen (`drop`), or stops the run (`raise`).
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
