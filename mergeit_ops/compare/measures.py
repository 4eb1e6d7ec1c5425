"""What is measured, and what each measure says and does not say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["BY_KEY", "MEASURES", "Measure", "known"]


def known(value: float) -> float | None:
    """Return a value as JSON has it: None for what is not defined, as the distance of a single row is."""
    return None if math.isnan(value) else value


@dataclass(frozen=True)
class Measure:
    """A measure of a set of rows.

    :param key: its name in JSON.
    :param name: its name for people.
    :param better: which way is better; None where neither is.
    :param says: what it is.
    :param not_said: what it does not say.
    :param digits: behind the point.
    :param share: whether it is shown as a percentage.
    :param grows: whether it rises with the number of rows, whatever they are: sets of different sizes are then compared
        with as many rows of each.
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
        """Return a value as people read it; a dash for None and for what is not defined.

        :param value: of the measure.
        :param signed: with a sign, as differences have.
        """
        if value is None or math.isnan(value):
            return "–"
        # Means over subsets of what is counted are no whole numbers.
        digits = self.digits or int(not float(value).is_integer())
        text = f"{100 * value if self.share else value:{'+' if signed else ''},.{digits}f}"
        if not text.strip("+-0."):
            text = text.lstrip("+-")
        return f"{text} %" if self.share else text

    def spanned(self, low: float | None, high: float | None, *, signed: bool = False) -> str:
        """Return an interval as people read it; nothing where there is none."""
        if low is None or high is None:
            return ""
        ends = (self.shown(end, signed=signed).removesuffix(" %") for end in (low, high))
        return "{} to {}".format(*ends)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "quality",
        "quality, mean",
        "higher",
        "Mean score of the rows, all files by the same scorer; scores that rows bring are not used.",
        "Length moves such scores: long answers score well. Nor does it say what training on the rows will give.",
    ),
    Measure(
        "quality_spread",
        "quality, spread",
        None,
        "Standard deviation of these scores.",
        "Neither way is better: a small one may mean that poor rows are gone, or good ones.",
    ),
    Measure(
        "coverage",
        "coverage",
        "higher",
        "How well the reference is stood for: the mean, over its rows, of the cosine to the nearest row of the file.",
        "More rows cover more, whatever they are; a row of the reference that is in the file covers itself with 1, a "
        "merge of it with less. It is about what is asked, not how it is answered.",
        4,
        grows=True,
    ),
    Measure(
        "vendi",
        "Vendi score",
        "higher",
        "Effective number of different rows: 1 if all ask the same, at most the number of rows or of dimensions.",
        "It grows with the number of rows; and nonsense is varied too.",
        2,
        grows=True,
    ),
    Measure(
        "distance",
        "mean distance",
        "higher",
        "Mean of 1 - cosine over all pairs of rows. It does not depend on the number of rows.",
        "Topics far apart make it large; near copies within a topic hardly change it.",
        4,
    ),
    Measure(
        "novelsum",
        "NovelSum",
        "higher",
        "How far rows are from each other; near ones count more, so do rows where the reference is dense (without a "
        "reference, where the file is).",
        "Its authors find it close to the quality of a tuned model; but nonsense is far from everything. It "
        "depends on the number of rows, and has no interval.",
        3,
        grows=True,
    ),
    Measure(
        "redundancy",
        "redundancy",
        "lower",
        "Share of rows with another row of the file at a cosine above 0.9 (a definition of ours).",
        "It grows with the number of rows. Rows that ask nearly the same may be answered differently.",
        2,
        share=True,
        grows=True,
    ),
    Measure(
        "topics_reached",
        "topics reached",
        "higher",
        "Topics of the reference in which the file has at least one row.",
        "It grows with the number of rows, and one row reaches a topic as well as a hundred do. It has no interval.",
        0,
        grows=True,
    ),
    Measure(
        "effective_topics",
        "effective topics",
        None,
        "How many topics of equal size would be as evenly spread: the exponential of the entropy of their shares.",
        "Even is not the same as right: compare with the reference's own. A few rows reach fewer topics than many do.",
        1,
        grows=True,
    ),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
