"""Predict how likely groups of rows are to become accepted merges, from the answered groups of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log1p
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.fixed_threads import fixed_threads
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import FUNCTION_WORDS, count_words, stems

__all__ = ["MIN_PILOT", "AcceptanceModel", "Prospect", "best_first", "group_features", "pilot"]

MIN_PILOT = 40
"""Fewest groups to ask about before any is left out; fewer say little about the others."""

_PILOT_SHARE = 0.1
_BUDGET_SHARE = 0.25
"""Largest part of a token budget for the pilot."""

_SMALLEST_PILOT = 10
_DIGITS = 6  # of a compared value: the last digits of a cosine may differ between machines


@dataclass(frozen=True)
class Prospect:
    """What is known about a group before the model is asked.

    :param group_id: its id, the same in every run.
    :param question: hash of the prompt that asks for the merge.
    :param features: see `group_features`.
    :param tokens: estimated tokens of prompts and answers, at least 1.
    """

    group_id: str
    question: str
    features: tuple[float, ...]
    tokens: int


def group_features(
    parents: Sequence[Sample], similarity: float, scores: Sequence[float | None] = ()
) -> tuple[float, ...]:
    """Return the features for the prediction.

    :param parents: the rows of a group, at least two.
    :param similarity: the lowest cosine between two of them.
    :param scores: quality score of each row; used only if all are known.
    :return: the cosine; the logarithms of the number of words of all questions and of all answers; for both, the
        logarithm of the ratio of the longest to the shortest; the share of words that all rows have in common; the
        share of rows with an input; whether all scores are known; and their mean, or 0.
    """
    queries = [log1p(count_words(parent.query)) for parent in parents]
    answers = [log1p(count_words(parent.output)) for parent in parents]
    words = [set(stems(f"{parent.query}\n{parent.output}")) - FUNCTION_WORDS for parent in parents]
    every = set.union(*words)
    known = [score for score in scores if score is not None]
    scored = len(known) == len(parents)
    return (
        round(similarity, _DIGITS),
        log1p(sum(count_words(parent.query) for parent in parents)),
        log1p(sum(count_words(parent.output) for parent in parents)),
        max(queries) - min(queries),
        max(answers) - min(answers),
        len(set.intersection(*words)) / len(every) if every else 0.0,
        fmean(bool(parent.input.strip()) for parent in parents),
        float(scored),
        round(fmean(known), _DIGITS) if scored else 0.0,
    )


def pilot(prospects: Sequence[Prospect], max_tokens: int | None = None) -> list[int]:
    """Choose the groups to ask about first, to learn from them.

    They are spread over the similarities: the groups, sorted by cosine, are divided into equal parts, one for each
    group of the pilot, and the group with the lowest id is taken from each part. So the choice depends only on the
    groups, not on their order or on the answers.

    :param prospects: n groups.
    :param max_tokens: token budget of the run, a quarter of which is for the pilot. None: no budget.
    :return: positions of a tenth of the groups, but at least 40 (or all, if there are fewer), in the order of their
        cosine.
    """
    count = min(len(prospects), max(MIN_PILOT, ceil(_PILOT_SHARE * len(prospects))))
    if max_tokens is not None and prospects:
        affordable = int(_BUDGET_SHARE * max_tokens / fmean(prospect.tokens for prospect in prospects))
        count = min(count, max(_SMALLEST_PILOT, affordable))
    order = sorted(range(len(prospects)), key=lambda at: (prospects[at].features[0], prospects[at].group_id))
    edges = [len(order) * part // count for part in range(count + 1)] if count else [0]
    parts = (order[first:last] for first, last in pairwise(edges))
    return [min(part, key=lambda at: prospects[at].group_id) for part in parts]


@dataclass(frozen=True)
class AcceptanceModel:
    """Logistic regression on scaled features.

    :param base: share of accepted groups, in (0, 1). It is the only prediction if all groups had the same outcome.
    :param mean: (f,) subtracted from the features.
    :param scale: (f,) divides them, > 0.
    :param weights: (f,) weights of the scaled features; None: only the share is known.
    :param intercept: constant added to the weighted sum.
    """

    base: float
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    intercept: float = 0.0

    @classmethod
    def fit(cls, features: Sequence[Sequence[float]], accepted: Sequence[bool]) -> AcceptanceModel:
        """Learn from answered groups.

        :param features: features of n groups, at least 1.
        :param accepted: whether each became an accepted merge.
        """
        seen, labels = np.asarray(features, dtype=np.float64), np.asarray(accepted, dtype=bool)
        mean, scale = seen.mean(axis=0), seen.std(axis=0)
        scale[scale == 0] = 1.0
        # Laplace's rule: if none of ten was accepted, another one may still be.
        base = (int(labels.sum()) + 1) / (len(labels) + 2)
        if labels.all() or not labels.any():
            return cls(base, mean, scale)
        from sklearn.linear_model import LogisticRegression

        with fixed_threads(len(seen)):
            fitted = LogisticRegression().fit((seen - mean) / scale, labels)
        return cls(base, mean, scale, fitted.coef_[0], float(fitted.intercept_[0]))

    def predict(self, features: Sequence[Sequence[float]]) -> list[float]:
        """Return the probability, in (0, 1), that each group becomes an accepted merge.

        :param features: features of n groups.
        """
        if self.weights is None or not len(features):
            return [self.base] * len(features)
        scaled = (np.asarray(features, dtype=np.float64) - self.mean) / self.scale
        # Row by row, so that the probability of a group does not depend on the other groups.
        logits = (scaled * self.weights).sum(axis=1) + self.intercept
        return [round(float(value), _DIGITS) for value in 1 / (1 + np.exp(-logits))]


def best_first(prospects: Sequence[Prospect], probabilities: Sequence[float]) -> list[int]:
    """Return the positions of groups in the order in which a budget buys the most accepted merges.

    :param prospects: n groups.
    :param probabilities: probability of each group to become an accepted merge.
    :return: n positions, those with the most expected accepted merges per token first.
    """

    def worth(at: int) -> tuple[float, str]:
        return -probabilities[at] / prospects[at].tokens, prospects[at].group_id

    return sorted(range(len(prospects)), key=worth)
