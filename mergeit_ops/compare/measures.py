"""The measures, and what each of them shows and does not show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["BY_KEY", "MEASURES", "Measure", "known"]


def known(value: float) -> float | None:
    """Return a value for JSON: None instead of NaN, which stands for an undefined value."""
    return None if math.isnan(value) else value


@dataclass(frozen=True)
class Measure:
    """A measure of a set of rows.

    :param key: name in JSON.
    :param name: readable name.
    :param better: which values are better; None: neither.
    :param says: sentence that says what the measure is.
    :param not_said: sentences about what the measure does not show.
    :param digits: number of decimals.
    :param share: whether to show the value as a percentage.
    :param grows: whether the measure depends on the number of rows. Sets of different sizes are then compared with the
        same number of rows.
    """

    key: str
    name: str
    better: Literal["higher", "lower"] | None
    says: str
    not_said: str
    digits: int = 3
    share: bool = False
    grows: bool = False

    def shown(self, value: float | None, *, signed: bool = False) -> str:
        """Return a value as text; a dash for None and NaN.

        :param value: value of the measure.
        :param signed: whether to write a plus sign, for differences.
        """
        if value is None or math.isnan(value):
            return "–"
        # Counts have no decimals, but their means over subsets have.
        digits = self.digits or int(not float(value).is_integer())
        text = f"{100 * value if self.share else value:{'+' if signed else ''},.{digits}f}"
        if not text.strip("+-0."):
            text = text.lstrip("+-")
        return f"{text} %" if self.share else text

    def spanned(self, low: float | None, high: float | None, *, signed: bool = False) -> str:
        """Return an interval as text; empty if there is none."""
        if low is None or high is None:
            return ""
        ends = (self.shown(end, signed=signed).removesuffix(" %") for end in (low, high))
        return "{} to {}".format(*ends)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "quality",
        "quality, mean",
        "higher",
        "Mean score of the rows. The same scorer scores all files; scores that are stored in the rows are not used.",
        "Such scores depend on length: long answers score well. They do not show what a model learns from the rows.",
    ),
    Measure(
        "quality_spread",
        "quality, spread",
        None,
        "Standard deviation of the scores.",
        "Neither direction is better: a small spread can mean that poor rows are missing, or that good rows are.",
    ),
    Measure(
        "coverage",
        "coverage",
        "higher",
        "How well the file covers the reference: the mean cosine between a row of the reference and its nearest row "
        "in the file.",
        "It grows with the number of rows. A row of the reference that is in the file covers itself with 1; a merge of "
        "this row covers it with less. It looks at the requests, not at the answers.",
        4,
        grows=True,
    ),
    Measure(
        "vendi",
        "Vendi score",
        "higher",
        "Effective number of different rows: 1 if all requests are the same, at most the number of rows or dimensions.",
        "It grows with the number of rows. Nonsense rows raise it too.",
        2,
        grows=True,
    ),
    Measure(
        "distance",
        "mean distance",
        "higher",
        "Mean of 1 - cosine over all pairs of rows. It does not depend on the number of rows.",
        "Distant topics make it large. Near copies within a topic hardly change it.",
        4,
    ),
    Measure(
        "novelsum",
        "NovelSum",
        "higher",
        "Weighted distance between rows. Near neighbours count more, and so do rows in dense regions of the reference "
        "(without a reference, of the file).",
        "Its authors report a high correlation with the quality of tuned models. But nonsense rows are far from all "
        "others and raise it. It depends on the number of rows and has no interval.",
        3,
        grows=True,
    ),
    Measure(
        "redundancy",
        "redundancy",
        "lower",
        "Share of rows that have another row with a cosine above 0.9 in the file (our own definition).",
        "It grows with the number of rows. Rows with nearly the same request can have different answers.",
        2,
        share=True,
        grows=True,
    ),
    Measure(
        "topics_reached",
        "topics reached",
        "higher",
        "Number of topics of the reference in which the file has at least one row.",
        "It grows with the number of rows. One row reaches a topic as well as a hundred rows. It has no interval.",
        0,
        grows=True,
    ),
    Measure(
        "effective_topics",
        "effective topics",
        None,
        "Number of equally large topics with the same entropy: the exponential of the entropy of the topic shares.",
        "More even is not always better: compare it with the value of the reference. It grows with the number of rows.",
        1,
        grows=True,
    ),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
